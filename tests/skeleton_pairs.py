"""What must hold of two texts that are one skeleton, and of two that are not."""

import math

from jaxllc.equations.expressions import parse
from jaxllc.metrics import skeleton_equal, term_recall, worst_coefficient_error


def assert_one_skeleton(a, b):
    assert skeleton_equal(parse(b), parse(a))
    assert term_recall(parse(b), parse(a)) == 1.0
    assert math.isfinite(worst_coefficient_error(parse(b), parse(a)))


def assert_two_skeletons(a, b):
    assert not skeleton_equal(parse(b), parse(a))
    assert not skeleton_equal(parse(a), parse(b))
