"""The information criterion: laws, sets of terms and single expressions are all compared by it.

    n ln(v) + cost,   v = mean square + floor

v is the variance of a sample, which is fitted along with the law. The floor is what no law can be held to
account for, such as the error of the grid and of the solver: without it a fit to clean samples would pay for
every digit gained. The cost is what a model pays for being rich: ln n for each constant makes the criterion
the BIC, a description length in nats goes with half of n.
Source: Schwarz (1978), for Gaussian errors of unknown variance.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def information_criterion(
    mean_square: Any, num_samples: float, cost: Any, floor: float = 0.0, below: float = 1.0
) -> Any:
    """The criterion of fits, lower is better; arrays of fits give arrays.

    mean_square: of the residuals; num_samples: n, how many of their errors are independent; cost, floor: as
    above, the floor in units of mean_square. below: share that counts of what a fit gains below a variance of
    one, where mean_square is in units of errors that are known; none where 0, all where 1.
    """
    variance = np.maximum(mean_square, 0.0) + floor
    if below == 1.0:
        return num_samples * np.log(variance) + cost
    above = np.log(np.maximum(variance, 1.0))
    return num_samples * (above + below * np.log(np.minimum(variance, 1.0))) + cost
