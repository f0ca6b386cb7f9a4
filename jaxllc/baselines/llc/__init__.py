"""The road of the LLC method as it was published, and nothing else: the preset "llc" of `discover`.

Rates of change from smoothed samples; two nets, trained to explain them; a pre-trained network that writes
skeletons for samples of each net; constants by BFGS with restarts; the best of the beam. There is no judge,
no search through terms and no fit to trajectories. Benchmarks compare the default road with this one.
Source: Hu, Cui and Yang, Nature Communications 16:6226 (2025); the nets as in its re-implementation.
"""

from __future__ import annotations

from jaxllc.baselines.llc.road import preset_law, published_law
from jaxllc.settings.llc_settings import RoadSettings

__all__ = ["RoadSettings", "preset_law", "published_law"]
