"""The published road on the samples of one term: skeletons from the pre-trained network, constants by BFGS.

What preset "llc" does with the samples of a net that Adam has trained, at its own settings. The error of the
samples, which that road has from its nets, is the one that all searches are told here.
"""

from __future__ import annotations

import numpy as np
from peer_pysindy_term import PeerTerm

from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.forms.term_samples import Samples, scale_of


def search_with_llc(samples: Samples, seconds: float, seed: int) -> PeerTerm:
    """The best formula of the beam; it takes what time it takes."""
    from jaxllc.baselines.llc.formulas import best_formula
    from jaxllc.baselines.llc.net_samples import ADAM_ERROR, FITTED
    from jaxllc.pretrained.engine import PretrainedEngine
    from jaxllc.pretrained.shipped import shipped_model
    from jaxllc.settings.llc_settings import RoadSettings

    road = RoadSettings()
    engine = PretrainedEngine(shipped_model()[0], width=road.beam)
    unit = scale_of(samples.values)
    error = float(np.sqrt(np.mean(samples.error**2))) / unit
    same = Samples.of(
        samples.names, samples.points, samples.values, max(ADAM_ERROR, error) * unit
    ).thinned(FITTED, seed)
    found = best_formula(engine, same, Grammar(), road.restarts, seed, as_good=0.0)
    return PeerTerm(found.expression)
