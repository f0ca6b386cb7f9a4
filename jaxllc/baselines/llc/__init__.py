"""The road of the LLC method as it was published, and nothing else: the preset "llc" of `discover`.

Rates of change from smoothed samples; two nets, trained to explain them; a pre-trained network that writes
skeletons for samples of each net; constants by BFGS with restarts; the best of the beam. There is no judge,
no search through terms and no fit to trajectories. Benchmarks compare the default road with this one.

What differs from the paper: nets are trained by variable projection and Levenberg-Marquardt in double
precision, the interaction net reads x_j or x_j - x_i alone where that explains the rates, formulas are
weighed by the error of the nets, a further constant has a price, and the pre-trained network is that of this
package, which is shown the samples of a net twice: as the data lie, and evenly over the values.
`RoadSettings(nets="adam")` trains nets as the re-implementation of the paper does, in both ends.
Source: Hu, Cui and Yang, Nature Communications 16:6226 (2025).
"""

from __future__ import annotations

from jaxllc.baselines.llc.road import preset_law, published_law
from jaxllc.settings.llc_settings import RoadSettings

__all__ = ["RoadSettings", "preset_law", "published_law"]
