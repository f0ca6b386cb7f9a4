"""Units: read from text, what terms they allow, and the units of a law's constants, checked by hand."""

from fractions import Fraction

import numpy as np
import pytest
import sympy

import jaxllc
from jaxllc import generators
from jaxllc.data.trajectories import Trajectories
from jaxllc.dynamics.terms import INTERACTION, SELF, TermFamily
from jaxllc.equations.expressions import parse
from jaxllc.errors import InputError
from jaxllc.knowledge.known_terms import known_families
from jaxllc.knowledge.units import Unit, Units
from tests.fit_problems import solved

# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "powers"),
    [
        ("mol/L", {"mol": 1, "L": -1}),
        ("m/s^2", {"m": 1, "s": -2}),
        ("m/s**2", {"m": 1, "s": -2}),
        ("1/s", {"s": -1}),
        ("mV", {"mV": 1}),  # no prefix is taken apart
        ("J/(mol*K)", {"J": 1, "mol": -1, "K": -1}),
        ("J/mol/K", {"J": 1, "mol": -1, "K": -1}),
        ("m^-1", {"m": -1}),
        ("m^(1/2)", {"m": Fraction(1, 2)}),
        ("(m/s)^2", {"m": 2, "s": -2}),
        ("m*s/m", {"s": 1}),
        ("µm", {"µm": 1}),
        ("%", {"%": 1}),
        ("1", {}),
        ("rad", {}),
        ("rad/s", {"s": -1}),
    ],
)
def test_a_unit_is_read_as_powers_of_its_words(text, powers):
    assert Unit.read(text) == Unit.of(powers)


@pytest.mark.parametrize("text", ["mol/L", "1/s", "J/(K*mol)", "m^(1/2)/s^2", "1"])
def test_a_unit_is_written_as_it_is_read(text):
    assert str(Unit.read(text)) == text


@pytest.mark.parametrize(
    "text", ["", "m/", "^2", "2*m", "m^^2", "m)", "(m", "mol L", "m^(1/0)", "/s", "m^x", "m" * 300]
)
def test_what_is_no_unit_is_refused_in_one_sentence(text):
    with pytest.raises(InputError, match="cannot be read"):
        Unit.read(text)


def test_units_multiply_as_numbers_do():
    a, b = Unit.read("mol/L"), Unit.read("L/s")
    assert a * b == Unit.read("mol/s")
    assert a / a == Unit()
    assert (a * b) ** 2 == a**2 * b**2
    assert a ** Fraction(1, 2) * a ** Fraction(1, 2) == a


# --- terms ----------------------------------------------------------------------------------------

CONCENTRATION = Units.read(
    {"x": "mol/L", "y": "mV", "omega": "1/s", "t": "s"}, ("x", "y"), ("omega",)
)


def family(text, side=INTERACTION):
    expression = parse(text)
    count = len({s for s in expression.free_symbols if s.name.startswith("w")})
    return TermFamily(side, expression, (True,) * count)


@pytest.mark.parametrize(
    ("term", "allowed"),
    [
        ("x_i*x_j", True),
        ("exp(x_i)", False),
        ("exp(-w0*x_i)", True),
        ("sin(x_j - x_i)", False),
        ("sin(w0*x_j - w0*x_i)", True),
        ("sin(w0*x_j - w0*y_i)", False),  # one constant cannot bring both
        ("sin(w0*x_j - w1*y_i)", True),
        ("x_j - x_i", True),
        ("x_i + y_i", False),
        ("x_i + w0*y_i", True),
        ("1 - x_i", False),
        ("x_i**w0", False),
        ("x_i**2.5", True),
        ("(x_i/w1)**w0", True),
        ("x_j**2/(w0 + x_j**2)", True),
        ("x_j**2/(1 + x_j**2)", False),
        ("sigmoid(w0*x_j - w0*w1)", True),
        ("max(x_i, 0)", True),
        ("max(x_i, y_i)", False),
        ("max(x_i, w0)", True),
        ("log(x_i)", False),
        ("abs(x_i)*exp(k_i)", True),  # weights without a unit
    ],
)
def test_a_term_is_left_out_where_no_constant_can_make_its_units_agree(term, allowed):
    assert CONCENTRATION.allows(family(term)) is allowed


def test_weights_may_have_a_unit():
    units = Units.read({"x": "m", "A": "N"}, ("x",), ())
    assert not units.allows(family("exp(k_i)"))
    assert units.of_symbol("k_i") == Unit.read("N")
    assert [str(u) for u in units.of_constants(family("x_j"), "x")] == ["1/N"]
    # Divided by the number of neighbours the weights' unit is gone.
    assert [str(u) for u in units.of_constants(family("x_j/k_i"), "x")] == ["1"]


@pytest.mark.parametrize(
    ("term", "side", "variable", "expected"),
    [
        # [x]/[t]/[term], then the inner constants.
        ("x_i", SELF, "x", ["1/s"]),
        ("x_i**2", SELF, "x", ["L/(mol*s)"]),
        ("1", SELF, "x", ["mol/(L*s)"]),
        ("omega_i", SELF, "x", ["mol/L"]),
        ("omega_i*x_i", SELF, "x", ["1"]),
        ("y_i", SELF, "x", ["mol/(L*mV*s)"]),
        ("x_i", SELF, "y", ["L*mV/(mol*s)"]),
        ("exp(-w0*x_i)", SELF, "x", ["mol/(L*s)", "L/mol"]),
        ("x_j**2/(w0 + x_j**2)", INTERACTION, "x", ["mol/(L*s)", "mol^2/L^2"]),
        ("sigmoid(w0*y_j - w0*w1)", INTERACTION, "x", ["mol/(L*s)", "1/mV", "mV"]),
        ("x_i*x_j/(1 + w0*x_i + w1*x_j)", INTERACTION, "x", ["L/(mol*s)", "L/mol", "L/mol"]),
        ("x_i**0.5", SELF, "x", ["mol^(1/2)/(L^(1/2)*s)"]),
        ("(x_i/w1)**w0", SELF, "x", ["mol/(L*s)", "1", "mol/L"]),
    ],
)
def test_units_of_constants_are_those_derived_by_hand(term, side, variable, expected):
    found = CONCENTRATION.of_constants(family(term, side), variable)
    assert [str(unit) for unit in found] == expected


@pytest.mark.parametrize(
    "term", ["x_i**2*x_j", "x_i*exp(-w0*x_j)", "tanh(w0*(x_j - x_i))", "x_j**3/(w0 + x_j**3)"]
)
def test_a_law_is_the_same_number_in_other_units(term):
    """Scaling by the units: a constant of unit mol^a L^b s^c changes by the factors to those powers."""
    found = family(term)
    factor = {"mol": 3.0, "L": 7.0, "s": 11.0}
    units = CONCENTRATION.of_constants(found, "x")
    values = np.array([0.8, 1.3])[: len(units)]
    size = [np.prod([factor[n] ** float(-p) for n, p in unit.powers]) for unit in units]
    concentration = factor["L"] / factor["mol"]
    rates = []
    for constants, x in ((values, 1.0), (values * size, concentration)):
        numbers = {"x_i": 0.7 * x, "x_j": 1.9 * x}
        numbers |= {f"w{k}": float(w) for k, w in enumerate(constants[1:])}
        rates.append(constants[0] * float(found.expression.subs(numbers)))
    assert rates[1] == pytest.approx(rates[0] * concentration * factor["s"])


def test_units_of_a_known_term_are_those_of_its_names():
    ((growth, uptake), _) = known_families(
        {"x": ("r*x_i*(1 - x_i/C)", "V*x_j/(K + x_j)")}, ("x", "y"), ("omega",), {}
    )
    named = dict(zip(growth.constants, CONCENTRATION.of_constants(growth, "x"), strict=True))
    named |= dict(zip(uptake.constants, CONCENTRATION.of_constants(uptake, "x"), strict=True))
    expected = {"r": "1/s", "C": "mol/L", "V": "mol/(L*s)", "K": "mol/L"}
    assert {name: str(unit) for name, unit in named.items()} == expected
    # A coefficient that is not written is pure where that is possible: a**2 is then 1/s.
    ((held,), _) = known_families({"x": ("-a**2*x_i", "")}, ("x", "y"), (), {})
    assert [str(u) for u in CONCENTRATION.of_constants(held, "x")] == ["1/s^(1/2)"]


# --- discovery ------------------------------------------------------------------------------------

NUM_NODES = 20


@pytest.fixture(scope="module")
def network():
    return generators.barabasi_albert(NUM_NODES, 2, seed=1)


@pytest.fixture(scope="module")
def runs(network):
    A, times = network.to_adjacency().toarray(), np.linspace(0.0, 3.0, 41)

    def rate(t, x):
        return -x + A @ (x / (1.3 + x))

    starts = [np.random.default_rng(s).uniform(0.1, 3.0, NUM_NODES) for s in range(2)]
    return [Trajectories(times, solved(rate, s, times), names=network.names) for s in starts]


def test_the_same_law_with_and_without_units(runs, network, tmp_path):
    units = {"x": "mol/L", "t": "s"}
    plain = jaxllc.discover(runs, network, neural="never")
    law = jaxllc.discover(runs, network, neural="never", units=units)
    assert str(law) == str(plain)
    given = {(c.term, c.role): c.unit for c in law.constants}
    assert given == {
        ("x_i", "coefficient"): "1/s",
        ("x_j/(w0 + x_j)", "coefficient"): "mol/(L*s)",
        ("x_j/(w0 + x_j)", "w0"): "mol/L",
    }
    assert list(law.constants_table()["unit"]) == [c.unit for c in law.constants]
    assert "unit" not in plain.constants_table()
    lines = law.summary().splitlines()
    assert any("x_j/(w0 + x_j) w0" in line and line.endswith(" mol/L") for line in lines)
    assert law.settings["units"] == units
    law.save(tmp_path / "law.json")
    assert jaxllc.load_law(tmp_path / "law.json").constants == law.constants


def test_a_law_saved_without_units_is_read(runs, network, tmp_path):
    import json

    law = jaxllc.discover(runs, network, neural="never", moves=0)
    law.save(tmp_path / "law.json")
    content = json.loads((tmp_path / "law.json").read_text())
    for constant in content["constants"]:
        del constant["unit"]
    (tmp_path / "law.json").write_text(json.dumps(content))
    assert jaxllc.load_law(tmp_path / "law.json").constants == law.constants


BAD = {
    "unknown name": ({"units": {"z": "m"}}, ["'z'", "neither a variable"]),
    "no unit": ({"units": {"x": "mol//L"}}, ["'mol//L'", "cannot be read"]),
    "no text": ({"units": {"x": 3}}, ["must be text"]),
    "no mapping": ({"units": "mol"}, ["mapping"]),
    "known term": (
        {"units": {"x": "mol/L"}, "known": {"x": ("-c*exp(x_i)", "")}},
        ["exp(x_i)", "does not fit the units", "x_i in mol/L"],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_units_that_cannot_be_used_are_said_in_one_sentence(name, runs, network):
    choices, words = BAD[name]
    with pytest.raises(InputError) as error:
        jaxllc.discover(runs, network, **choices)
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_zero_has_every_unit():
    assert CONCENTRATION.allows(TermFamily(SELF, sympy.Max(sympy.Symbol("x_i"), 0)))
