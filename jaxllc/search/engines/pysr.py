"""Expressions of a term by PySR: an adapter to its PySRRegressor.

PySR is written in Julia: importing it starts Julia, and downloads it on first use. So the import waits
until the engine is asked for expressions, and nothing else in jaxllc touches it.

Source: M. Cranmer, "Interpretable machine learning for science with PySR and
SymbolicRegression.jl", arXiv:2305.01582.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import sympy

from jaxllc.equations.function_table import TABLE, searchable
from jaxllc.equations.functions import FUNCTIONS
from jaxllc.errors import InputError
from jaxllc.search.forms.grammar import Grammar, is_real_function
from jaxllc.search.forms.term_samples import Samples, scale_of
from jaxllc.settings.names import check_installed


@dataclass
class PySREngine:
    """Proposes the Pareto front of one seeded, serial run of PySR.

    niterations, populations, maxsize, elementwise_loss: as in PySRRegressor; the loss
    takes (prediction, target, weight), weights being 1 / error^2 up to a factor. options: more of its
    keyword arguments; they win over those set here.
    """

    name: str = "pysr"
    by_the_clock: ClassVar[bool] = True
    niterations: int = 40
    populations: int = 15
    maxsize: int = 25
    elementwise_loss: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def propose(
        self, samples: Samples, grammar: Grammar, seed: int, deadline: float
    ) -> list[sympy.Expr]:
        """Expressions in the symbols `samples.names`, simplest first, all allowed by the grammar.

        deadline: a `time.perf_counter()` value at which PySR is told to stop; runs of one seed are
        equal as long as it is not reached. Raises InputError where PySR or Julia is missing, and
        where PySR refuses an option.
        """
        left = deadline - time.perf_counter()
        if left <= 0:
            return []
        regressor_class = _load()
        sizes = np.sqrt((samples.points**2).mean(0))
        sizes = np.where(sizes > 0, sizes, 1.0)
        spread = scale_of(samples.values)
        weights = (samples.error.min() / samples.error) ** 2
        # Neutral names: x_i, beta or E could be a function's or a constant's name in PySR.
        names = [f"v{k}" for k in range(samples.num_inputs)]
        try:
            regressor = regressor_class(**self.arguments(grammar, seed, left))
        except TypeError as error:
            raise InputError(f"the engine 'pysr' cannot use these options: {error}") from error
        regressor.fit(
            samples.points / sizes, samples.values / spread, weights=weights, variable_names=names
        )
        inputs = {
            name: sympy.Float(1.0 / size) * sympy.Symbol(own)
            for name, own, size in zip(names, samples.names, sizes, strict=True)
        }
        front = regressor.equations_.sort_values(["complexity", "loss"])["sympy_format"]
        expressions = (_rebuilt(e, inputs) * sympy.Float(spread) for e in front)
        return list(
            dict.fromkeys(e for e in expressions if is_real_function(e) and grammar.allows(e))
        )

    def arguments(self, grammar: Grammar, seed: int, seconds: float) -> dict[str, Any]:
        """Keyword arguments for PySRRegressor; seconds: time left, infinite for no limit."""
        records = [TABLE[name] for name in searchable() if TABLE[name].pysr]
        # Those that Julia lacks are handed over with their definition.
        defined = [r for r in records if "(" in r.pysr]
        allowed = [r for r in records if r.name in grammar.functions]
        unary = [r.pysr for r in allowed if not r.more and r not in defined]
        unary += ["square", *(r.pysr for r in allowed if r in defined)]
        binary = ["+", "-", "*", *(["/"] if grammar.division else [])]
        binary += [r.pysr for r in allowed if r.more]
        arguments: dict[str, Any] = {
            "binary_operators": binary,
            "unary_operators": unary,
            "niterations": self.niterations,
            "populations": self.populations,
            "maxsize": self.maxsize,
            "timeout_in_seconds": seconds if np.isfinite(seconds) else None,
            # PySR is reproducible only in one thread.
            "random_state": seed % 2**32,
            "deterministic": True,
            "parallelism": "serial",
            "precision": 64,
            "extra_sympy_mappings": {r.name: FUNCTIONS[r.name] for r in defined},
            "input_stream": "devnull",
            "progress": False,
            "verbosity": 0,
            "temp_equation_file": True,
        }
        if self.elementwise_loss is not None:
            arguments["elementwise_loss"] = self.elementwise_loss
        return {**arguments, **self.options}


def _rebuilt(expression: sympy.Expr, inputs: Mapping[str, sympy.Expr]) -> sympy.Expr:
    """PySR's unevaluated expression, evaluated, in our symbols and with constants as doubles."""
    if expression.is_Symbol:
        return inputs[expression.name]
    if expression.is_Float:
        return sympy.Float(float(expression))
    if not expression.args:
        return expression
    return expression.func(*(_rebuilt(argument, inputs) for argument in expression.args))


def _load() -> Any:
    check_installed("pysr")
    try:
        from pysr import PySRRegressor
    except Exception as error:  # juliapkg and juliacall raise bare Exceptions
        raise InputError(
            f"the engine 'pysr' could not start Julia ({error}): install Julia 1.10 or newer, or allow "
            "the download that PySR makes when it is first used"
        ) from error
    return PySRRegressor
