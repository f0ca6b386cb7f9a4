"""Errors are sentences that a person can read, whatever the value."""

import pickle  # of our own text, for an error that another process raises
import re

import numpy as np
import pytest

from jaxllc.commands.command_line import main
from jaxllc.equations.expressions import parse, to_text
from jaxllc.errors import InputError, as_finite
from jaxllc.settings.checks import checked_settings
from jaxllc.signaling.settings import SignalingSettings
from jaxllc.sweeps.grids import Integers, Uniform

ODD = (None, 3, 1.5, 1j, True, int, np.array(3), np.array([]), np.timedelta64(3, "s"), object())


@pytest.mark.parametrize(
    "value", ["1" * 5000, "1, " * 5000, list(range(9000)), {"a": ["b" * 900] * 9}]
)
def test_a_message_is_short_and_keeps_its_place_and_its_mend(value):
    error = InputError(f"states.csv, row 3: {value!r} is not a number; leave the cell empty")
    assert len(str(error)) <= 1000
    assert re.fullmatch(
        r"states\.csv, row 3: .*\.\.\..* is not a number; leave the cell empty", str(error)
    )
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301


def test_a_short_message_stays_as_it_is():
    assert str(InputError("k is 3")) == "k is 3"
    path = "/" + "/".join(["folder"] * 20)
    assert path in str(InputError(f"{path}/law.json is not a law"))


def test_what_is_no_number_of_a_float_is_none():
    for value in (None, "1", True, 10**400, np.nan, -np.inf, 1j, np.timedelta64(3, "s"), [1.0]):
        assert as_finite(value) is None
    for value in (3, -0.5, np.float32(0.5), np.int64(7)):
        assert as_finite(value) == value


@pytest.mark.parametrize("name", ["engines", "functions", "demand"])
@pytest.mark.parametrize("value", [*ODD, "exp"])
def test_lists_of_names_are_lists(name, value):
    if isinstance(value, np.ndarray) and value.size == 0 and name != "engines":
        return  # an empty list is one
    with pytest.raises(InputError, match=f"{name} is"):
        checked_settings(None, {name: value})


@pytest.mark.parametrize("name", ["sums", "division", "neural", "preset", "max_terms", "moves"])
def test_other_choices_are_of_their_kind(name):
    for value in (1j, np.array([]), [], object(), "odd", None):
        with pytest.raises(InputError, match=name):
            checked_settings(None, {name: value})


def test_numbers_beyond_all_floats_are_refused():
    for value in (10**400, -(10**400), np.timedelta64(3, "s")):
        with pytest.raises(InputError):
            Uniform(1, value)
        with pytest.raises(InputError):
            Integers(1, value)
        with pytest.raises(InputError, match="l2"):
            SignalingSettings.from_dict({"l2": value})
    with pytest.raises(InputError, match=r"at most 2\*\*62"):
        Integers(0, 2**63)


def test_numbers_below_the_normal_ones_are_read_back_as_they_are_written():
    for text in ("1e-300/99999999", "1e-200*1e-115*x_i", "2.5e-320"):
        assert parse(to_text(parse(text))) == parse(text)


def test_a_command_with_its_output_closed_ends_as_any_other(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    assert main(["discover", "nowhere.csv", "nowhere.csv"]) == 2
    assert main(["--version"]) == 0
