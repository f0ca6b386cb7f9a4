"""Names are suggested only where a slip of the finger made one of the other."""

import pytest

from jaxllc.errors import nearest_match


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("reciever", "receiver"),
        ("times", "time"),
        ("tahn", "tanh"),
        ("Gyor", "Győr"),
        ("g5", "g05"),
        ("korea south", "Korea, South"),
        ("Stat3", "STAT3"),
        ("tsit", "tsit5"),
        ("weak", "weakest"),
        ("TNF-a", "TNFa"),
    ],
)
def test_slips_are_near(name, known):
    assert nearest_match(name, ["other", known, "unlike"]) == f" (did you mean {known!r}?)"


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("g05", [f"g{n:02d}" for n in range(6, 40)]),
        ("g33", [f"g{n:02d}" for n in range(31)]),
        ("STAT3", ["STAT1", "STAT5A"]),
        ("China", ["Chile", "Chad"]),
        ("x", ["y", "z"]),
        ("day", ["date", "time"]),
        ("sample", ["simple things", "node"]),
        ("a" * 5000, ["a" * 4999]),
    ],
)
def test_other_names_are_not_near(name, known):
    assert nearest_match(name, known) == ""
