"""Cells as numbers: exact, decimal commas where they can be nothing else, the rest named."""

import numpy as np
import pytest

from jaxllc.data.readers import read_edges, read_states
from jaxllc.errors import InputError
from jaxllc.tables.number_cells import floats, has_decimal_commas, number


@pytest.fixture
def states(tmp_path):
    def read(rows, header="time;a;b"):
        path = tmp_path / "states.csv"
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return read_states(path, minimum_times=1)[0].states[:, :, 0]

    return read


def test_every_number_reads_back_exactly(states):
    rng = np.random.default_rng(0)
    values = rng.standard_normal((500, 2)) * 10.0 ** rng.integers(-300, 300, (500, 2))
    rows = [f"{t};{a!r};{b!r}" for t, (a, b) in enumerate(values.tolist())]
    np.testing.assert_array_equal(states(rows), values)
    np.testing.assert_array_equal(states([row.replace(".", ",") for row in rows]), values)


@pytest.mark.parametrize(("separator", "quote"), [(";", ""), ("\t", ""), (",", '"')])
def test_decimal_commas_are_read(states, separator, quote):
    def row(*cells):
        return separator.join(f"{quote}{cell}{quote}" for cell in cells)

    rows = [row("0", "1,5", "1000"), row("0,5", "-2,25e3", ""), row("1", "1,234", "7,0")]
    found = states(rows, row("time", "a", "b"))
    np.testing.assert_array_equal(found, [[1.5, 1000], [-2250, np.nan], [1.234, 7]])


def test_decimal_commas_in_the_weights_of_edges(tmp_path):
    path = tmp_path / "edges.csv"
    path.write_text("Source;Target;Type;Weight\na;b;Directed;1,5\nb;c;Directed;2,0\n")
    assert read_edges(path).weights.tolist() == [1.5, 2.0]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (["0;1,234;2", "1;2,345;3"], "row 2, column 'a': '1,234' may be 1.234 or 1234"),
        (["0;1,5;2.5"], "row 2, column 'a': '1,5' is not a number: it has a decimal comma"),
        (["0;1.234,5;2"], "'1.234,5' has separators of thousands"),
        (["0;1,234.5;2"], "'1,234.5' has separators of thousands"),
        (["0;1,234,567;2"], "'1,234,567' has separators of thousands"),
        (["0;1 234,5;2"], "'1 234,5' has separators of thousands"),
        (["0;1'234.5;2"], "has separators of thousands"),
        (["0;12 %;2"], "'12 %' has a percent sign"),
        (["0;12,5%;2"], "'12,5%' has a percent sign"),
        (["0;1_000;2"], "'1_000' is not a number"),
        (["0;-;2"], "'-' is not a number; leave the cell empty"),
        (["0;x;2", "1;0,5;3"], "'x' is not a number"),
        (["0;1,5;2", "1;x;3"], "row 3, column 'a': 'x' is not a number"),
        (["0;" + "9" * 400 + ";2"], "the value is infinite"),
        (["0;" + "x" * 5000 + ";2"], r"row 2, column 'a': 'x{40,60}\.\.\. is not a number"),
    ],
)
def test_other_ways_to_write_numbers_are_named(states, rows, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        states(rows)
    assert len(str(caught.value)) < 500


def test_unquoted_decimal_commas_are_named(states):
    with pytest.raises(InputError, match="are these decimal commas"):
        states(["0,0,1,5,2,5"], "time,a,b")


def test_decimal_commas_are_certain_or_not_read():
    assert has_decimal_commas(["0,123", "1,234", "", "7"])
    assert not has_decimal_commas(["1,234", "2,345"])
    assert not has_decimal_commas(["0,1", "1.5"])
    assert not has_decimal_commas(["0,1", "one"])
    assert not has_decimal_commas(["1", "2"])


def test_objects_are_numbers_only_where_they_mean_one():
    assert floats([1, 2.5, None, "3", "NA"]) == pytest.approx(
        [1, 2.5, np.nan, 3, np.nan], nan_ok=True
    )
    for wrong in (True, np.True_, 1j, [1], "True", object()):
        assert floats([1, wrong]) is None
    assert number("−5") == -5
    assert number(10**400) == np.inf
