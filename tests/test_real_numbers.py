"""Real numbers: what is missing or masked is nan, what is no number is refused in one sentence."""

from decimal import Decimal
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from jaxllc.errors import InputError
from jaxllc.tables.real_numbers import real_numbers


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2.5], [1.0, 2.5]),
        ((1, None), [1.0, np.nan]),
        (np.ma.masked_array([1, 2], [True, False]), [np.nan, 2.0]),
        (np.ma.masked_array([1, 2], False), [1.0, 2.0]),
        ([np.ma.masked_array([1, 2], [True, False]), [3, 4]], [[np.nan, 2.0], [3.0, 4.0]]),
        ([1.0, np.ma.masked], [1.0, np.nan]),
        (np.ma.masked_array([1, "a"], [False, True], dtype=object), [1.0, np.nan]),
        (pd.Series([1, None], dtype="Int64"), [1.0, np.nan]),
        (pd.Series([3, 4], index=["b", "a"]), [3.0, 4.0]),
        (pd.DataFrame({"a": [1, 2], "b": [0.5, None]}), [[1.0, 0.5], [2.0, np.nan]]),
        (pd.DataFrame({"a": pd.array([1, None], dtype="Int8"), "b": [1.0, 2.0]}).T, None),
        (
            np.array([Decimal("0.5"), Fraction(1, 4), np.float32(2), pd.NA]),
            [0.5, 0.25, 2.0, np.nan],
        ),
        (jnp.arange(2), [0.0, 1.0]),
        (np.float16(1.5), 1.5),
        ([], []),
    ],
)
def test_numbers_come_as_they_are_and_missing_ones_as_nan(values, expected):
    found = real_numbers(values, "states")
    assert found.dtype == np.float64
    if expected is not None:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ("abc", "str"),
        (["1", "2"], "text such as '1'"),
        ([True, False], "true and false"),
        ([1 + 2j], "complex"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "dates"),
        (np.array([1], dtype="timedelta64[D]"), "durations"),
        (np.array([1.0, "b"], dtype=object), r"\[1\] is str 'b'"),
        (np.array([1.0, True], dtype=object), r"\[1\] is bool True"),
        (pd.DataFrame({"a": [1.0], "b": [True]}), "is bool True"),
        (pd.DataFrame({"a": [1.0], "b": ["x"]}), "is str 'x'"),
        (pd.DataFrame({"a": [1.0], "d": pd.to_datetime(["2020-01-01"])}), r"\[0, 1\] is"),
        ([[1, 2], [3]], "numbers"),
        ({"a": 1}, "dict"),
        ({1, 2}, "set"),
        (None, "NoneType"),
        (object(), "object"),
        (len, "builtin_function"),
    ],
)
def test_what_is_no_number_is_named(values, word):
    with pytest.raises(InputError, match=word) as caught:
        real_numbers(values, "states")
    assert "states" in str(caught.value)
    assert len(str(caught.value)) < 200


def test_the_unit_of_a_quantity_is_not_lost():
    class Quantity:
        magnitude, units = np.arange(3.0), "metre"

    with pytest.raises(InputError, match="has the unit metre"):
        real_numbers(Quantity(), "states")


def test_numbers_are_a_copy():
    given = np.arange(3.0)
    real_numbers(given, "states")[0] = 7.0
    assert given[0] == 0.0


def test_numbers_beyond_the_largest_float_are_infinite():
    found = real_numbers(np.array([10**400, -(10**400)], dtype=object), "states")
    np.testing.assert_array_equal(found, [np.inf, -np.inf])
