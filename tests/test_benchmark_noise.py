"""The benchmark of laws found in noise: its draws, its judge, and what it prints."""

import json
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import jaxllc
from jaxllc.equations.equation import Equation
from jaxllc.equations.expressions import parse
from jaxllc.law.law import Constant
from tests.benchmark_modules import benchmark_module

cases = benchmark_module("noise_cases")
judges = benchmark_module("noise_judge")
noise = benchmark_module("noise")


@pytest.fixture(scope="module")
def michaelis():
    return cases.drawn_case("michaelis", "coarse8", 7)


def found(*terms, errors=0.01):
    """A law of terms (variable, side, text in x_i, x_j, w0, ..., coefficient, inner constants...)."""
    constants, sides = [], {}
    for variable, side, text, coefficient, *inner in terms:
        values = {"coefficient": coefficient} | {f"w{k}": w for k, w in enumerate(inner)}
        constants += [Constant(variable, side, text, r, v, errors) for r, v in values.items()]
        numbers = {parse(f"w{k}"): w for k, w in enumerate(inner)}
        pair = sides.setdefault(variable, {"self": parse("0"), "interaction": parse("0")})
        pair[side] += coefficient * parse(text).subs(numbers)
    equations = {v: Equation(pair["self"], pair["interaction"]) for v, pair in sides.items()}
    return jaxllc.Law(equations, constants=tuple(constants))


def truth_of(case, share=1.0):
    """The true law of a michaelis case as a search would find it, constants `share` times the true ones."""
    p = {name: share * value for name, value in case.known.parameters.items()}
    return found(
        ("x", "self", "x_i", -p["b"]), ("x", "interaction", "x_j/(w0 + x_j)", p["a"], p["h"])
    )


# --- draws --------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", cases.LAWS)
def test_a_case_is_always_the_same_and_every_seed_another(law):
    first = cases.drawn_case(law, "half", 3)
    cases.drawn_law.cache_clear()
    again, other = (cases.drawn_case(law, "half", seed) for seed in (3, 4))
    assert again.known.parameters == first.known.parameters
    for one, two in zip(first.runs, again.runs, strict=True):
        np.testing.assert_array_equal(one.states, two.states)
    ranges = cases.LAWS[law].parameters
    for name, value in first.known.parameters.items():
        assert ranges[name][0] <= value <= ranges[name][1]
        assert value != other.known.parameters[name]
    assert first.network.num_edges != other.network.num_edges or not np.array_equal(
        first.network.senders, other.network.senders
    )


def test_networks_act_one_way_and_on_every_node():
    for seed in range(5):
        network = cases.directed_network(12, np.random.default_rng(seed))
        matrix = np.zeros((12, 12))
        matrix[network.receivers, network.senders] = network.weights
        assert np.all(matrix.sum(axis=1) > 0)
        both = np.count_nonzero(matrix * matrix.T)
        assert both <= 0.2 * network.num_edges
        assert np.ptp(matrix.sum(axis=1)) > 0


def test_states_follow_the_law():
    drawn = cases.drawn_law("predator_prey", 1)
    p, network = drawn.known.parameters, drawn.network
    times = np.array([1.0, 1.0 + 1e-4, 1.0 + 2e-4])
    x = drawn.states(2, times)
    u, v = x[1].T
    rate = np.stack(
        [
            p["r"] * u - p["b"] * u**2 - p["a"] * u * v,
            p["c"] * u * v - p["d"] * v,
        ]
    )
    for sender, receiver in zip(network.senders, network.receivers, strict=True):
        rate[0, receiver] += p["g"] * (u[sender] - u[receiver])
        rate[1, receiver] += p["h"] * (v[sender] - v[receiver])
    np.testing.assert_allclose((x[2] - x[0]).T / 2e-4, rate, rtol=1e-4, atol=1e-5)


def test_conditions_are_as_described():
    for name, db, runs, samples in (
        ("db20", 20, 4, 60),
        ("coarse8", 30, 10, 8),
        ("late", 30, 4, 60),
    ):
        case = cases.drawn_case("fitzhugh_nagumo", name, 0)
        assert [run.states.shape[0] for run in case.runs] == [samples] * runs
        clean, noisy = (
            np.concatenate([run.states for run in which]) for which in (case.clean, case.runs)
        )
        added = (noisy - clean).std(axis=(0, 1))
        np.testing.assert_allclose(added, case.noise, rtol=0.1)
        spread = np.sqrt(np.mean([run.states.var(axis=(0, 1)) for run in case.clean], axis=0))
        np.testing.assert_allclose(case.noise, spread * 10 ** (-db / 20), rtol=1e-9)
        start = 0.3 * case.known.horizon if name == "late" else 0.0
        assert case.runs[0].times[[0, -1]] == pytest.approx([start, case.known.horizon])
    half = cases.drawn_case("fitzhugh_nagumo", "half", 0)
    assert np.mean([run.observed.mean() for run in half.runs]) == pytest.approx(0.5, abs=0.03)


def test_draws_that_blow_up_or_stand_still_are_drawn_again(monkeypatch):
    def law(self_term, low, high):
        return cases.LawFamily({"x": (self_term, "a*x_j")}, {"a": (low, high)}, {"x": (0, 1)}, 1.0)

    cases.drawn_law.cache_clear()
    monkeypatch.setitem(cases.LAWS, "mixed", law("x_i", 1e-3, 30.0))
    mixed = [cases.drawn_law("mixed", seed) for seed in range(8)]
    assert {why for drawn in mixed for why in drawn.refused} == {"blows up"}
    monkeypatch.setattr(cases, "MOST_DRAWS", 3)
    for self_term, size in (("x_i**2", 30.0), ("0", 1e-4)):
        monkeypatch.setitem(cases.LAWS, "never", law(self_term, size, size))
        cases.drawn_law.cache_clear()
        with pytest.raises(RuntimeError, match="never: 3 of 3 draws of seed 0 were refused"):
            cases.drawn_law("never", 0)
    cases.drawn_law.cache_clear()


# --- the judge ----------------------------------------------------------------------------------


def test_the_truth_is_neither_better_nor_worse_than_itself(michaelis):
    row = judges.compared(michaelis, truth_of(michaelis, share=1.05))
    assert row["exact"]
    assert not row["beaten"]
    assert row["difference"] == pytest.approx(0.0, abs=1e-3)
    assert (row["constants_found"], row["constants_true"]) == (3, 3)
    # The noise that was added explains the residual: n ln(chi2 / n) is small beside n.
    samples = sum(run.states.size for run in michaelis.runs)
    assert row["criterion_true"] == pytest.approx(3 * math.log(samples), abs=0.2 * samples)
    # Five percent off, in standard errors of one percent of one.
    worst = 0.05 * max(michaelis.known.parameters.values()) / 0.01
    assert row["largest_standardised_error"] == pytest.approx(worst, rel=1e-3)


def test_another_writing_of_the_truth_is_the_truth(michaelis):
    p = michaelis.known.parameters
    law = found(
        ("x", "self", "x_i", -p["b"]),
        ("x", "interaction", "x_j/(1 + w0*x_j)", p["a"] / p["h"], 1.1 / p["h"]),
    )
    row = judges.compared(michaelis, law)
    assert row["exact"]
    assert row["difference"] == pytest.approx(0.0, abs=1e-3)


def test_a_constant_too_many_costs_its_price_less_what_it_explains(michaelis):
    p = michaelis.known.parameters
    terms = [
        ("x", "self", "x_i", -p["b"]),
        ("x", "interaction", "x_j/(w0 + x_j)", p["a"], p["h"]),
        ("x", "self", "x_i**2", 1e-4),
    ]
    row = judges.compared(michaelis, found(*terms))
    samples = sum(run.states.size for run in michaelis.runs)
    assert not row["exact"]
    assert row["constants_found"] == 4
    assert math.log(samples) - 15 < row["difference"] <= math.log(samples)


def test_a_wrong_law_is_beaten_and_the_row_says_that_the_truth_was_readable(michaelis):
    law = found(("x", "self", "x_i", -1.0), ("x", "interaction", "x_j", 0.3))
    row = judges.compared(michaelis, law)
    assert (row["exact"], row["beaten"], row["readable"]) == (False, True, True)
    assert row["difference"] > 50
    assert row["readability"].startswith("readable, weakest constant h: ")


def test_a_law_without_terms_is_judged():
    case = cases.drawn_case("sis", "coarse8", 7)
    row = judges.compared(case, jaxllc.Law({"x": Equation(parse("0"), parse("0"))}))
    assert (row["exact"], row["beaten"], row["constants_found"]) == (False, True, 0)


def test_constants_that_are_one_in_the_truth_have_the_right_form_and_a_price():
    case = cases.drawn_case("sis", "coarse8", 7)
    p = case.known.parameters
    law = found(
        ("x", "self", "x_i", -p["d"]),
        ("x", "interaction", "x_j", p["b"]),
        ("x", "interaction", "x_i*x_j", -p["b"]),
    )
    row = judges.compared(case, law)
    assert row["exact"]
    assert (row["constants_found"], row["constants_true"]) == (3, 2)
    assert row["difference"] > -5


def test_the_reported_criterion_is_that_of_a_law_fitted_to_all_samples(michaelis):
    law = truth_of(michaelis)
    judge = judges.judge_of(michaelis, (judges.true_candidate(michaelis),))
    law = replace(law, noise={"x": 1.1 * michaelis.noise[0]}, data=tuple(michaelis.runs))
    samples = sum(run.states.size for run in michaelis.runs)
    expected = samples * math.log(1.1**2) + 3 * math.log(samples)
    assert judges.reported_criterion(judge, law, 3) == pytest.approx(expected, rel=1e-3)
    less = replace(law, data=tuple(michaelis.runs[1:]))
    assert math.isnan(judges.reported_criterion(judge, less, 3))


def test_standard_errors_are_those_of_finite_differences(michaelis):
    """Slopes of every sample by constants and initial states, from solutions moved a little each."""
    truth = judges.true_candidate(michaelis)
    problem = judges.judge_of(michaelis, (truth,)).problem
    names = [n for part in truth.terms for t in part for n in t.family.constants]
    errors = dict(zip(names, judges.cramer_rao(problem, truth), strict=True))
    network, n = michaelis.network, michaelis.network.num_nodes
    p, step = michaelis.known.parameters, 1e-5

    def samples(numbers, start):
        def slope(_, x):
            each = numbers["a"] * x[network.senders] / (numbers["h"] + x[network.senders])
            return -numbers["b"] * x + np.bincount(network.receivers, each, n)

        times = michaelis.clean[0].times
        return solve_ivp(slope, times[[0, -1]], start, "DOP853", times, rtol=1e-11, atol=1e-12).y

    information, order = np.zeros((3, 3)), ("a", "b", "h")
    for start in michaelis.drawn.initial[..., 0]:
        moved = [
            samples({**p, name: p[name] + step}, start)
            - samples({**p, name: p[name] - step}, start)
            for name in order
        ]
        for k in range(n):
            change = step * np.eye(n)[k]
            moved.append(samples(p, start + change) - samples(p, start - change))
        slopes = np.stack([m.ravel() for m in moved], axis=1) / (2 * step * michaelis.noise[0])
        matrix = slopes.T @ slopes
        solved = np.linalg.solve(matrix[3:, 3:], matrix[3:, :3])
        information += matrix[:3, :3] - matrix[:3, 3:] @ solved
    expected = np.sqrt(np.diag(np.linalg.inv(information)))
    # Intervals have the mean of the Jacobians at their ends.
    np.testing.assert_allclose([errors[name] for name in order], expected, rtol=5e-3)


def test_a_constant_that_drowns_in_noise_is_named(michaelis):
    truth = judges.true_candidate(michaelis)
    problem = judges.judge_of(michaelis, (truth,)).problem
    problem = problem.with_noise(1e3 * michaelis.noise)
    verdict = judges.readability(michaelis, problem, truth)
    assert not verdict.readable
    assert str(verdict).startswith("not readable, weakest constant h: ")


# --- the program --------------------------------------------------------------------------------


def test_a_run_ends_with_its_counts_and_writes_its_rows(tmp_path, monkeypatch, capsys, michaelis):
    def fake(runs, network, seed):
        asked.append((len(runs), seed))
        if len(asked) == 1:
            return truth_of(michaelis)
        if len(asked) == 2:
            return found(("x", "self", "x_i", -1.0))
        raise ValueError("no law")

    asked = []
    monkeypatch.setattr(noise, "drawn_case", lambda *_: michaelis)
    monkeypatch.setattr(noise.jaxllc, "discover", fake)
    words = ["--quick", "--seeds", "7,8", "--json", str(tmp_path / "out.json")]
    monkeypatch.setattr(sys, "argv", ["noise.py", *words])
    noise.main()
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == "exact 1/3, beaten by the truth 2"
    assert asked == [(10, 7)] * 3
    text = "\n".join(printed)
    assert "FAILED ValueError: no law" in text
    assert "BEATEN\n    readable, weakest constant h" in text
    record = json.loads((tmp_path / "out.json").read_text())
    assert [row["exact"] for row in record["rows"]] == [True, False, False]
    assert [row["beaten"] for row in record["rows"]] == [False, True, True]
    assert record["summary"]["by"]["condition"]["db40"]["exact"] == 1
    assert record["summary"]["by"]["law"]["sis"]["beaten"] == 1


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--laws", "michaels"], "no law 'michaels'; there are predation, tanh"),
        (["--conditions", "db50"], "no condition 'db50'; there are db40"),
        (["--seeds", "-1"], "whole numbers from 0"),
    ],
)
def test_unknown_choices_are_named(monkeypatch, capsys, words, part):
    monkeypatch.setattr(sys, "argv", ["noise.py", *words])
    with pytest.raises(SystemExit):
        noise.main()
    assert part in capsys.readouterr().err
