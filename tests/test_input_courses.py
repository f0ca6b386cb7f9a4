"""Inputs over time: their values, integrals and jumps."""

import numpy as np
import pytest
from scipy.integrate import quad

from jaxllc.data.drivers.input_course import InputCourse, are_steps, joined, side_by_side, stepped

# A ramp, a jump at 2 and a bend at 3.
JUMPING = InputCourse(np.array([0.0, 2.0, 2.0, 3.0, 5.0]), np.array([[0.0, 1.0, -1.0, 1.0, 1.0]]))


def by_hand(t):
    if t < 2:
        return t / 2
    return -1 + 2 * (t - 2) if t < 3 else 1.0


def test_values_are_straight_lines_and_jumps_have_two_sides():
    times = np.array([0.0, 0.5, 1.9, 2.0, 2.25, 3.0, 4.0, 5.0])
    np.testing.assert_allclose(JUMPING.at(times)[0], [by_hand(t) for t in times])
    assert JUMPING.at(np.array([2.0]), before=True)[0, 0] == 1.0
    np.testing.assert_array_equal(JUMPING.jumps, [2.0])
    # It stays as it is beyond its ends.
    np.testing.assert_array_equal(JUMPING.at(np.array([-1.0, 9.0]))[0], [0.0, 1.0])


def test_means_are_those_of_a_slow_integral():
    starts, stops = np.array([0.0, 1.5, 1.9, 2.0]), np.array([0.7, 2.6, 4.2, 2.0])
    found = JUMPING.means(starts, stops)[0]
    for a, b, mean in zip(starts, stops, found, strict=True):
        if a < b:
            area = quad(by_hand, a, b, points=[p for p in (2.0, 3.0) if a < p < b], limit=200)[0]
            np.testing.assert_allclose(mean, area / (b - a), atol=1e-12)
    assert found[-1] == -1.0  # of no time at all: the value after the jump


@pytest.mark.parametrize("substeps", [1, 2, 3])
@pytest.mark.parametrize("offset", [0.0, 0.13])
def test_simpsons_rule_over_the_steps_gives_the_integral_whatever_jumps(substeps, offset):
    grid = np.linspace(0.0, 5.0, 11) + offset
    grid = grid[grid <= 5.0]
    starts, lengths = grid[:-1], np.diff(grid)
    values = JUMPING.over_steps(starts, lengths, substeps)[0]
    step = lengths[:, None] / substeps
    simpson = values[:, :-2:2] + 4 * values[:, 1::2] + values[:, 2::2]
    areas = (simpson * step / 6).sum(axis=1)
    exact = JUMPING.means(grid[:-1], grid[1:])[0] * lengths
    # Within what the input is: a jump near an end of a step would ask for more.
    allowed = 2 * step[0, 0] / 6 if offset else 1e-12
    assert np.abs(areas - exact).max() < allowed
    far = np.abs(grid[:-1] + lengths / 2 - 2.0) > 1.0
    np.testing.assert_allclose(areas[far], exact[far], atol=1e-12)
    assert values.min() >= -1
    assert values.max() <= 1


def test_a_jump_at_an_end_of_an_interval_belongs_to_the_other_side():
    values = JUMPING.over_steps(np.array([1.0, 2.0]), np.array([1.0, 1.0]), 1)[0]
    np.testing.assert_allclose(values[0], [0.5, 0.75, 1.0])
    np.testing.assert_allclose(values[1], [-1.0, 0.0, 1.0])


def test_integrals_over_a_grid_lose_nothing_at_a_jump():
    step = InputCourse(np.array([0.0, 2.3, 2.3, 4.0]), np.array([[1.0, 1.0, 0.0, 0.0]]))
    for count in (9, 41, 47):
        grid = np.linspace(0.0, 4.0, count)
        area = np.trapezoid(step.on_grid(grid)[0], grid)
        np.testing.assert_allclose(area, 2.3, atol=1e-12)


def test_steps_hold_their_values_until_the_next_time():
    times = np.array([0.0, 1.0, 2.0, 3.0])
    knots, values = stepped(times, np.array([[1.0, 1.0, 0.0, 0.0]]))
    held = InputCourse(knots, values)
    np.testing.assert_array_equal(held.at(np.array([0.5, 1.99, 2.0, 2.5]))[0], [1, 1, 0, 0])
    np.testing.assert_array_equal(held.jumps, [2.0])


@pytest.mark.parametrize(
    ("values", "steps"),
    [
        ([0, 1, 0, 1, 1], True),
        ([2, 2, 2, 2], True),
        ([0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1, 1, 1], True),
        ([0, 1, 2, 3, 4], False),
        ([0.1, 0.5, 0.2, 0.9], False),
        ([0, 1], False),
    ],
)
def test_which_samples_are_those_of_steps(values, steps):
    assert are_steps(np.arange(float(len(values))), np.array([values], dtype=float)) is steps


def test_courses_that_are_joined_stay_what_they_are():
    other = InputCourse(np.array([0.0, 1.0, 5.0]), np.array([[0.0, 3.0, 1.0], [1.0, 1.0, 2.0]]))
    knots, values = joined([JUMPING, other])
    times = np.linspace(0.0, 5.0, 57)
    for course, own in zip((JUMPING, other), values, strict=True):
        again = InputCourse(knots, own)
        for before in (False, True):
            np.testing.assert_allclose(again.at(times, before), course.at(times, before))
    both = side_by_side([JUMPING, other], [1, 2])
    np.testing.assert_allclose(both.at(times), np.concatenate([JUMPING.at(times), other.at(times)]))


def test_another_clock_and_other_nodes():
    moved = JUMPING.moved(1.0, 0.5)
    np.testing.assert_allclose(moved.at(np.array([1.0]))[0], [by_hand(1.5)])
    two = InputCourse(np.array([0.0, 1.0]), np.array([[0.0, 1.0], [2.0, 3.0]]))
    np.testing.assert_array_equal(two.selected(np.array([1])).values, [[2.0, 3.0]])
    assert JUMPING.selected(np.array([1, 0])) is JUMPING
