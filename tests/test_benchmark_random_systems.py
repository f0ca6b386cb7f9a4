"""The benchmark of laws drawn at random: its draws, what it refuses and its verdicts."""

import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import jaxllc
from jaxllc.equations.equation import Equation
from tests.benchmark_modules import benchmark_module

random_systems = benchmark_module("random_systems")
random_targets = benchmark_module("random_targets")

NETWORK = jaxllc.generators.barabasi_albert(30, 2, seed=0)


@pytest.fixture(scope="module")
def systems():
    return [random_systems.drawn_system(1, number) for number in range(3)]


def of(self_term, interaction, box=(0.2, 3.0), seed=0):
    """A system of a law that is given, not drawn."""
    truth = Equation.from_text(self_term, interaction)
    start = np.random.default_rng(seed).uniform(*box, NETWORK.num_nodes)
    runs = random_systems.simulated(truth, box, NETWORK, [start])
    random_systems.check_fair(truth, NETWORK, runs)
    return random_systems.System("made", truth, box, NETWORK, runs, {})


# --- draws --------------------------------------------------------------------------------------


def test_a_law_depends_on_seed_and_number_alone(systems):
    again = random_systems.drawn_system(1, 2)
    assert again.text == systems[2].text
    assert again.refused == systems[2].refused
    np.testing.assert_array_equal(again.runs[0].states, systems[2].runs[0].states)
    assert len({system.text for system in systems}) == 3


def test_laws_are_as_described(systems):
    for size, system in enumerate(systems, 1):
        assert str(system.truth.interaction_term.free_symbols).count("x_j") == 1
        assert random_targets.operators(system.truth.interaction_term) == size
        assert {s.name for s in system.truth.self_term.free_symbols} == {"x_i"}
        (run,) = system.runs
        assert run.states.shape == (200, 30, 1)
        low, high = system.box
        assert np.all(np.abs(run.states - (low + high) / 2) <= 1.5 * (high - low))
        assert low <= run.states[0].min() < run.states[0].max() <= high
        assert np.mean(np.ptp(run.states, axis=0)) >= 0.05 * (high - low)


def test_refusals_are_counted(monkeypatch):
    asked = iter(["leaves the box", "pole", "pole", None])

    def fair(*_):
        if why := next(asked):
            raise random_systems.Refused(why)

    monkeypatch.setattr(random_systems, "simulated", lambda *_: [])
    monkeypatch.setattr(random_systems, "check_fair", fair)
    # Sums that are not defined in the box may be refused before.
    refused = random_systems.drawn_system(0, 1).refused
    assert {why: n for why, n in refused.items() if why != "not defined"} == {
        "leaves the box": 1,
        "pole": 2,
    }


def test_when_all_are_refused_it_says_why(monkeypatch):
    def never(*_):
        raise random_systems.Refused("pole")

    monkeypatch.setattr(random_systems, "balanced", never)
    monkeypatch.setattr(random_systems, "MOST_DRAWS", 3)
    with pytest.raises(jaxllc.InputError, match="3 of 3 draws were refused: pole 3"):
        random_systems.drawn_system(0, 0)


@pytest.mark.parametrize(
    ("self_term", "interaction", "why"),
    [
        ("x_i", "x_i*x_j", "leaves the box"),
        ("0.1 - x_i", "log(x_j - 1)", "not defined"),
        ("-x_i", "0.2*sin(40*x_j)", "not defined"),
        ("3e4*(1 - x_i)", "x_j*1e-3*sin(1e5*x_i)", "too stiff"),
        ("1 - x_i", "-0.1*x_i + 1e-6*x_j", "hardly depends on the sender"),
        ("1 - x_i", "0.1*x_j + 0.1*tanh(0.01*x_j)", "constants not determined"),
    ],
)
def test_what_is_refused_and_why(self_term, interaction, why):
    with pytest.raises(random_systems.Refused) as caught:
        of(self_term, interaction)
    assert str(caught.value) == why


def test_a_state_that_hardly_moves_is_refused():
    with pytest.raises(random_systems.Refused, match="hardly moves"):
        of("40*sin(40*x_i)", "1e-3*x_j")


def test_g_is_of_the_size_of_f():
    truth = Equation.from_text("-x_i", "100*x_j**2/(2 + x_j**2)")
    state = np.random.default_rng(0).uniform(0, 4, 30)
    for seed in range(5):
        scaled = random_systems.balanced(truth, NETWORK, state, np.random.default_rng(seed))
        own, total = random_systems.parts(scaled, NETWORK, state)
        assert 0.49 < np.sqrt(np.mean(total**2) / np.mean(own**2)) < 2.02


# --- verdicts -----------------------------------------------------------------------------------


def test_every_drawn_law_is_its_own_answer(systems):
    for system in systems:
        verdict = random_systems.compared(system, system.truth, 1e-6)
        assert verdict == {"skeleton": True, "worst": pytest.approx(0, abs=1e-9), "exact": True}


@pytest.mark.parametrize(
    ("self_term", "interaction", "skeleton", "exact"),
    [
        ("0.4 - 0.9*x_i", "0.1 + 0.2*tanh(1.5*x_j)", True, True),
        ("0.4 - 0.905*x_i", "0.1 + 0.2*tanh(1.5*x_j)", True, True),
        ("0.4 - 0.9*x_i + 0.1*k_i", "0.2*tanh(1.5*x_j)", True, True),
        ("0.4 - 0.9*x_i", "0.4*sigmoid(3*x_j) - 0.1", True, True),
        ("0.4 - 0.9*x_i", "0.1 + 0.2*tanh(1.55*x_j)", True, False),
        ("0.4 - 0.9*x_i", "0.2*tanh(1.5*x_j)", False, False),
        ("0.4 - 0.9*x_i + 1e-3*x_i**2", "0.1 + 0.2*tanh(1.5*x_j)", False, False),
        ("0.4 - 0.9*x_i", "0.1 + 0.2*x_j/sqrt(0.44 + x_j**2)", False, False),
        ("0.4 - 0.9*x_i*k_i**2", "0.1 + 0.2*tanh(1.5*x_j)", False, False),
    ],
)
def test_verdicts(self_term, interaction, skeleton, exact):
    system = of("0.4 - 0.9*x_i", "0.1 + 0.2*tanh(1.5*x_j)")
    found = random_systems.compared(system, Equation.from_text(self_term, interaction), 0.01)
    assert (found["skeleton"], found["exact"]) == (skeleton, exact)


# --- the program --------------------------------------------------------------------------------


def test_a_run_ends_with_its_count_and_writes_its_rows(tmp_path, monkeypatch, capsys, systems):
    def fake(runs, network, seed, preset, engines, search_seconds):
        asked.append((preset, engines, search_seconds, runs[0].num_times))
        if len(asked) == 3:
            raise ValueError("no law")
        truth = systems[len(asked) - 1].truth
        own = truth.self_term if len(asked) == 1 else 2 * truth.self_term
        law = jaxllc.Law({"x": Equation(own, truth.interaction_term)}, adjusted_r2={"x": 0.5})
        return replace(law, seconds={"search": 1.5})

    asked = []
    drawn = lambda seed, number, runs: systems[number]  # noqa: E731
    monkeypatch.setattr(random_systems, "drawn_system", drawn)
    monkeypatch.setattr(random_systems.jaxllc, "discover", fake)
    words = ["--quick", "--seed", "1", "--db", "40", "--engines", "sparse,operon"]
    words += ["--seconds", "7", "--json", str(tmp_path / "out.json")]
    monkeypatch.setattr(sys, "argv", ["random_systems.py", *words])
    random_systems.main()
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == "exact 1/3"
    assert any(line.startswith("device: ") for line in printed)
    assert "CONSTANTS  worst constant 1.0e+00" in "\n".join(printed)
    assert "FAILED ValueError: no law" in "\n".join(printed)
    assert asked == [("default", ("sparse", "operon"), 7.0, 200)] * 3
    record = json.loads((tmp_path / "out.json").read_text())
    assert [row["exact"] for row in record["rows"]] == [True, False, False]
    assert record["rows"][0]["true"] == systems[0].text
    assert record["summary"]["max_seconds"]["search"] == 1.5
    expected = sum((random_systems.Counter(s.refused) for s in systems), random_systems.Counter())
    assert record["summary"]["refused"] == expected


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--engines", "opron"], "some of sparse, operon, pysr"),
        (["--count", "0"], "give 1 or more"),
        (["--seconds", "0"], "more than 0"),
    ],
)
def test_unknown_choices_are_named(monkeypatch, capsys, words, part):
    monkeypatch.setattr(sys, "argv", ["random_systems.py", *words])
    with pytest.raises(SystemExit):
        random_systems.main()
    assert part in capsys.readouterr().err


def test_noise_is_of_the_level_asked_for(systems, monkeypatch):
    seen, chosen = [], []

    def fake(runs, *_, **choices):
        seen.extend(runs)
        chosen.append(choices)
        raise ValueError

    monkeypatch.setattr(random_systems, "drawn_system", lambda *_: systems[0])
    monkeypatch.setattr(random_systems.jaxllc, "discover", fake)
    options = {"seed": 1, "runs": 1, "db": 40.0, "engines": ["sparse"], "seconds": 1.0}
    for preset in ("default", "llc"):
        random_systems.measured(0, SimpleNamespace(**options, preset=preset))
    # The published road reads no engines, and says so where it is given some.
    assert chosen[1] == {"seed": 1, "preset": "llc"}
    clean = systems[0].runs[0].states
    assert np.std(seen[0].states - clean) == pytest.approx(0.01 * np.std(clean), rel=0.05)
