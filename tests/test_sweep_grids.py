"""Grids of a sweep: their algebra, keys, ranges and random draws."""

import itertools
import json

import numpy as np
import pytest

from jaxllc.errors import InputError
from jaxllc.sweeps import (
    Choice,
    Grid,
    Integers,
    LogUniform,
    Uniform,
    grid,
    log_range,
    points,
    random_draws,
    zipped,
)

A = grid(a=[1, 2])
B = zipped(b=[1, 2, 3], c=["x", "y", "z"])
C = points([{"d": None}, {"e": [1, 2]}])


def test_a_product_has_every_pair_and_the_last_axis_is_fastest():
    assert list(grid(l2=[0.1, 0.2], seed=range(2))) == [
        {"l2": 0.1, "seed": 0}, {"l2": 0.1, "seed": 1},
        {"l2": 0.2, "seed": 0}, {"l2": 0.2, "seed": 1},
    ]  # fmt: skip
    assert grid(l2=[0.1, 0.2], seed=range(2)) == grid(l2=[0.1, 0.2]) * grid(seed=range(2))
    assert len(A * B * C) == 2 * 3 * 2
    assert (A * B).axes == ("a", "b", "c")
    with pytest.raises(InputError, match="the axis 'a'; leave it out of one of them"):
        A * grid(a=[3])


def test_product_and_union_obey_the_laws_of_algebra():
    one, none = grid(), Grid(())
    for x, y, z in itertools.permutations([A, B, C]):
        assert (x * y) * z == x * (y * z)
        assert (x + y) + z == x + (y + z)
        assert (x + y) * z == x * z + y * z
        assert set((x * y).keys) == set((y * x).keys)
    for x in (A, B, C):
        assert x * one == one * x == x == x + none == none + x == x + x
        assert x * none == none


def test_a_union_keeps_each_point_once_in_the_order_of_first_sight():
    joined = grid(seed=[3, 1]) + grid(seed=[1, 2])
    assert [point["seed"] for point in joined] == [3, 1, 2]
    assert (A + C).axes == ("a", "d", "e")


def test_zipped_pairs_values_and_refuses_unequal_lengths():
    assert list(B)[1] == {"b": 2, "c": "y"}
    with pytest.raises(
        InputError, match="axes of one length, not a 2, b 3; join unequal ones by grid"
    ):
        zipped(a=[1, 2], b=[1, 2, 3])


def test_keys_do_not_depend_on_the_order_of_fields_or_the_kind_of_number():
    (one,) = points([{"l2": 1e-6, "seed": 3}]).keys
    (two,) = points([{"seed": np.int64(3), "l2": np.float64(1e-6)}]).keys
    assert one == two == '{"l2":1e-06,"seed":3}'
    assert [json.loads(key) for key in (A * B).keys] == list(A * B)
    assert list(points([{"held": ("a", "b")}])) == [{"held": ["a", "b"]}]


def test_a_grid_cannot_be_changed_through_its_points_and_is_cut_by_slices():
    for point in A:
        point["a"] = 9
    assert list(A) == [{"a": 1}, {"a": 2}]
    assert list(B[1:]) == [{"b": 2, "c": "y"}, {"b": 3, "c": "z"}]
    with pytest.raises(InputError, match=r"cut by a slice such as grid\[:10\], not by 0"):
        B[0]
    assert repr(A * B) == "Grid(6 points over a, b, c)"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: grid(l2=[]), "l2 has no value"),
        (lambda: grid(l2="abc"), r"l2 is 'abc'; give a list of its values, such as \['abc'\]"),
        (lambda: grid(l2=1e-6), "l2 is 1e-06; give a list"),
        (lambda: grid(seed=[1, 1]), 'the point {"seed":1} stands twice'),
        (lambda: grid(l2=[float("nan")]), "l2 is nan in a point"),
        (lambda: grid(f=[print]), "such as the name of an object in place of it"),
        (lambda: points([3]), "a point of a grid is a dict"),
        (lambda: log_range(0, 1, 3), r"low 0 and high 1; it needs numbers, 0 < low <= high"),
        (lambda: log_range(1, 2, 1), "count is 1, but 1 and 2 are two numbers"),
        (lambda: log_range(1, 2, 0), "count is 0"),
        (lambda: LogUniform(1.0, 0.5), "LogUniform has low 1.0 and high 0.5"),
        (lambda: Integers(0, 2.5), "high of Integers is 2.5"),
        (lambda: Choice([]), "values of Choice is empty"),
        (lambda: random_draws(3, 0, l2=[1, 2]), "give Uniform, LogUniform, Integers or Choice"),
        (lambda: random_draws(9, 0, n=Integers(1, 3)), "gave only 3 different points"),
    ],
)
def test_bad_input_is_said_in_one_sentence(make, said):
    with pytest.raises(InputError, match=said):
        make()


def test_a_log_range_grows_by_one_factor_and_its_numbers_are_short():
    assert log_range(1e-6, 1e-4, 3) == (1e-6, 1e-5, 1e-4)
    values = np.array(log_range(0.2, 70, 9))
    np.testing.assert_allclose(values[1:] / values[:-1], 350 ** (1 / 8))
    assert log_range(2.0, 2.0, 1) == (2.0,)


DRAWS = {
    "l2": LogUniform(1e-6, 1e-4),
    "rate": Uniform(-1.0, 3.0),
    "seed": Integers(0, 10_000),
    "kind": Choice(["x", "y", None]),
}


def test_random_draws_lie_in_their_bounds_and_follow_their_distributions():
    drawn = random_draws(2000, 7, **DRAWS)
    values = {name: [point[name] for point in drawn] for name in DRAWS}
    l2, rate = np.log10(values["l2"]), np.array(values["rate"])
    assert -6 <= l2.min() < -5.99
    assert -4.01 < l2.max() <= -4
    assert l2.mean() == pytest.approx(-5, abs=0.05)
    assert rate.mean() == pytest.approx(1, abs=0.1)
    assert rate.std() == pytest.approx(4 / 12**0.5, rel=0.05)
    assert set(values["kind"]) == {"x", "y", None}
    assert {point["n"] for point in random_draws(3, 0, n=Integers(1, 3))} == {1, 2, 3}


def test_random_draws_are_repeatable_and_stay_when_more_are_drawn_or_axes_added():
    few, many = random_draws(5, 7, **DRAWS), random_draws(50, 7, **DRAWS)
    assert few == many[:5]
    assert random_draws(5, 8, **DRAWS) != few
    more = random_draws(5, 7, other=Uniform(0, 1), **DRAWS)
    assert [{k: v for k, v in point.items() if k != "other"} for point in more] == list(few)
