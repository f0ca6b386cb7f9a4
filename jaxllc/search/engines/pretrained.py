"""The engine `pretrained`: what the model that comes with jaxllc writes for samples, with fitted constants.

The model is loaded and compiled when it is first asked, so that a search that ends before need not wait. A
compilation cache of JAX, where the user sets one (JAX_COMPILATION_CACHE_DIR), keeps it for the next process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy

from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.forms.term_samples import Samples

if TYPE_CHECKING:
    from jaxllc.pretrained.engine import PretrainedEngine


class ShippedEngine:
    """Proposes the skeletons that the shipped model finds likeliest; see `jaxllc.pretrained.engine`."""

    name = "pretrained"
    # It writes a few of many forms, so that one with more constants may imitate another with fewer.
    plain = 2

    def prepare(self) -> None:
        """Load and compile the model, once in a process; raises InputError where its file is not whole."""
        _engine()

    def propose(
        self, samples: Samples, grammar: Grammar, seed: int, deadline: float
    ) -> list[sympy.Expr]:
        """Expressions in the samples' names, those with the fewest constants first."""
        return _engine().propose(samples, grammar, seed, deadline)


def _engine() -> PretrainedEngine:
    from jaxllc.pretrained.shipped import shipped_engine

    return shipped_engine()
