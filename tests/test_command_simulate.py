"""`jaxllc simulate`: a law by name or from a file, and what it writes when a run diverges."""

import json

import numpy as np
import pytest

import jaxllc
from jaxllc import known_laws
from jaxllc.commands.command_line import main


def simulate(law, tables, out, *words):
    files = ["--network", tables / "edges.csv", "--out", out]
    return main([str(word) for word in ["simulate", law, *files, *words]])


def test_a_known_law_runs_by_name(tables, tmp_path, small_network):
    out = tmp_path / "states.csv"
    words = ["--seed", 3, "--times", "0:3:7", "--quiet"]
    assert simulate("epidemic", tables, out, *words) == 0
    (run,) = jaxllc.read_states(out)
    expected = known_laws.get("epidemic").simulate(
        jaxllc.read_edges(tables / "edges.csv"), np.linspace(0, 3, 7), seed=3
    )
    assert run.names == expected.names
    np.testing.assert_array_equal(run.states, expected.states)


def test_a_law_file_runs_from_a_given_state(found_law, tables, tmp_path, capsys):
    found_law.save(tmp_path / "law.json")
    rows = "".join(f"{n},{0.04 * n}\n" for n in range(20))
    (tmp_path / "state.csv").write_text("node,x\n" + rows)
    out = tmp_path / "states.csv"
    words = ["--initial", tmp_path / "state.csv", "--times", "0,1,2.5,3,4", "--json"]
    assert simulate(tmp_path / "law.json", tables, out, *words) == 0
    record = json.loads(capsys.readouterr().out)
    assert record == {
        "success": True,
        "messages": [],
        "files": [str(out)],
        "runs": 1,
        "nodes": 20,
        "times": 5,
        "variables": ["x"],
        "seed": 0,
    }
    (run,) = jaxllc.read_states(out)
    names = [int(name) for name in run.names]
    np.testing.assert_allclose(run.states[0, :, 0], 0.04 * np.array(names))
    assert list(run.times) == [0, 1, 2.5, 3, 4]


def test_several_runs_and_drawn_features_can_be_read_back(tables, tmp_path):
    out = tmp_path / "states.csv"
    assert simulate("kuramoto_heterogeneous", tables, out, "--runs", 2, "--times", "0:1:6") == 0
    runs = jaxllc.read_states(out)
    assert len(runs) == 2
    assert not np.array_equal(runs[0].states, runs[1].states)
    features = jaxllc.read_features(tmp_path / "states-features.csv", names=runs[0].names)
    again = tmp_path / "again.csv"
    words = ["--features", tmp_path / "states-features.csv", "--runs", 2, "--times", "0:1:6"]
    assert simulate("kuramoto_heterogeneous", tables, again, *words) == 0
    assert again.read_bytes() == out.read_bytes()
    assert set(features) == set(known_laws.get("kuramoto_heterogeneous").feature_names)


def test_a_diverging_law_writes_what_it_reached_and_exits_with_three(tables, tmp_path, capsys):
    law = jaxllc.Law(equations={"x": jaxllc.equations.equation.Equation.from_text("x_i**2", "0")})
    law.save(tmp_path / "law.json")
    out = tmp_path / "states.csv"
    words = ["--initial-range", "1:1", "--times", "0:2:21"]
    assert simulate(tmp_path / "law.json", tables, out, *words) == 3
    assert "Diverged at t = 1" in capsys.readouterr().err
    (run,) = jaxllc.read_states(out)
    seen = run.observed[:, 0, 0]  # the solution 1/(1 - t) ends at t = 1
    assert seen[:10].all()
    assert not seen[11:].any()


@pytest.mark.parametrize(
    ("law", "words", "named"),
    [
        ("epidemc", [], "did you mean 'epidemic'"),
        ("nowhere.json", [], "nowhere.json"),
        ("epidemic", ["--times", "0:1"], "'0:1'"),
        ("epidemic", ["--times", "0,1,1"], "sort"),
        ("epidemic", ["--times", "0:1:1"], "1 times"),
        ("epidemic", ["--initial-range", "2:1"], "'2:1'"),
        ("epidemic", ["--runs", "0"], "--runs"),
        ("epidemic", ["--solver", "euler"], "'euler'"),
    ],
)
def test_bad_arguments_of_simulate_get_one_sentence(bad, tables, tmp_path, law, words, named):
    files = ["--network", tables / "edges.csv", "--out", tmp_path / "out.csv"]
    assert named in bad(["simulate", law, *files, *words])
    assert not (tmp_path / "out.csv").exists()


def test_simulate_names_missing_features_and_states(bad, tables, tmp_path):
    known = known_laws.get("kuramoto_heterogeneous")
    law = jaxllc.Law(equations=known.equations, feature_names=known.feature_names)
    law.save(tmp_path / "law.json")
    files = ["--network", tables / "edges.csv", "--out", tmp_path / "out.csv"]
    assert "--features" in bad(["simulate", tmp_path / "law.json", *files])
    (tmp_path / "state.csv").write_text("node,z\n" + "".join(f"{n},1\n" for n in range(20)))
    words = ["--initial", tmp_path / "state.csv"]
    assert "no column 'x'" in bad(["simulate", "epidemic", *files, *words])
    elsewhere = ["--network", tables / "edges.csv", "--out", tmp_path / "no" / "out.csv"]
    assert "does not exist" in bad(["simulate", "epidemic", *elsewhere])
