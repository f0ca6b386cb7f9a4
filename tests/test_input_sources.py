"""Inputs as people bring them: what is read, and what is refused in which words."""

import numpy as np
import pandas as pd
import pytest

from jaxllc import InputError, Network, Trajectories
from jaxllc.data.drivers.input_sources import with_inputs
from jaxllc.data.inputs import checked_data

TIMES = np.linspace(0.0, 4.0, 9)
NODES = ("a", "b", "c")
STATES = np.random.default_rng(0).uniform(size=(9, 3))
RUN = Trajectories(TIMES, STATES, names=NODES)
NETWORK = Network.from_edges(["a", "b", "c"], ["b", "c", "a"])
EACH = np.random.default_rng(1).normal(size=(9, 3))
COMMON = np.random.default_rng(2).normal(size=9)


def read(source, runs=(RUN,), name="u"):
    return [run.inputs[name] for run in with_inputs(runs, {name: source})]


def table(values, columns, **more):
    return pd.DataFrame({"time": TIMES, **more, **dict(zip(columns, values.T, strict=True))})


@pytest.mark.parametrize(
    "source",
    [
        (TIMES, COMMON),
        table(COMMON[:, None], ["u"]),
        table(COMMON[:, None], ["light"]),
        table(np.stack([COMMON, EACH[:, 0]], axis=1), ["u", "v"]),
        lambda t: np.interp(t, TIMES, COMMON),
    ],
)
def test_one_input_of_all_nodes(source):
    (course,) = read(source)
    assert course.common
    np.testing.assert_allclose(course.at(TIMES)[0], COMMON, atol=1e-12)


@pytest.mark.parametrize(
    "source",
    [
        (TIMES, EACH),
        table(EACH[:, [2, 0, 1]], ["c", "a", "b"]),
        table(EACH, NODES).melt("time", var_name="node"),
        lambda t: np.array([np.interp(t, TIMES, own) for own in EACH.T]),
    ],
)
def test_an_input_of_each_node_in_the_order_of_the_nodes(source):
    (course,) = read(source)
    np.testing.assert_allclose(course.at(TIMES), EACH.T, atol=1e-12)


def test_a_file_and_the_time_itself(tmp_path):
    path = tmp_path / "light.csv"
    table(COMMON[:, None], ["u"]).to_csv(path, index=False)
    np.testing.assert_allclose(read(path)[0].at(TIMES)[0], COMMON)
    np.testing.assert_allclose(read(str(path))[0].at(TIMES)[0], COMMON)
    (time,) = read("time")
    assert time.is_time
    np.testing.assert_allclose(time.at(np.array([0.3, 2.7]))[0], [0.3, 2.7])


def test_runs_have_one_input_or_one_each():
    runs = [RUN, Trajectories(TIMES / 2, STATES, names=NODES)]
    one = read((TIMES, COMMON), runs)
    assert one[0].equals(one[1])
    two = read([(TIMES, COMMON), (TIMES, -COMMON)], runs)
    np.testing.assert_array_equal(two[1].values, -two[0].values)
    both = pd.concat([table(sign * COMMON[:, None], ["u"], run=sign) for sign in (1, -1)])
    for found, given in zip(read(both, runs), two, strict=True):
        assert found.equals(given)


def test_steps_are_said_and_variables_leave_the_states():
    (run,) = with_inputs([RUN], {"u": (TIMES, (TIMES < 2) * 1.0)})
    assert any("'u' takes few values and was read as steps" in note for note in run.notes)
    two = Trajectories(TIMES, np.stack([STATES, EACH], axis=2), ("x", "w"), names=NODES)
    (run,) = with_inputs([two], {"u": "w"})
    assert run.variables == ("x",)
    np.testing.assert_array_equal(run.states[..., 0], STATES)
    np.testing.assert_allclose(run.inputs["u"].at(TIMES), EACH.T)


def test_a_variable_that_all_nodes_share_is_an_input():
    same = np.broadcast_to(COMMON[:, None], (9, 3))
    two = Trajectories(TIMES, np.stack([STATES, same], axis=2), ("x", "w"), names=NODES)
    (run,), _ = checked_data(two, NETWORK)
    assert run.variables == ("x",)
    assert run.inputs["w"].common
    assert any("variable w is the same at all nodes" in note for note in run.notes)
    # Alone it is a state: its law may be asked for.
    (run,) = with_inputs([Trajectories(TIMES, same, names=NODES)], None)
    assert run.variables == ("x",)


def test_runs_that_are_cut_reordered_and_copied_keep_their_inputs():
    (run,) = with_inputs([RUN], {"u": (TIMES, EACH)})
    late = run.window(1.0, 3.0).select(["c", "a"])
    np.testing.assert_allclose(late.inputs["u"].at(TIMES), EACH[:, [2, 0]].T)


def test_runs_on_several_networks():
    other = Network.from_edges(["p", "q"], ["q", "p"])
    more = Trajectories(TIMES, STATES[:, :2], names=("p", "q"))
    sources = [(TIMES, EACH), (TIMES, COMMON)]
    (joint,), union = checked_data([RUN, more], [NETWORK, other], {"u": sources})
    assert union.names == ("a", "b", "c", "p", "q")
    found = joint.inputs["u"].at(TIMES)
    np.testing.assert_allclose(found, np.concatenate([EACH.T, [COMMON, COMMON]]))
    (joint,), _ = checked_data([RUN, more], [NETWORK, other], {"t": "time"})
    assert joint.inputs["t"].is_time
    assert joint.inputs["t"].common


WRONG = np.where(TIMES == 1.0, np.nan, COMMON)
REFUSED = [
    ([1, 2], "inputs must be a mapping"),
    ({"u": (TIMES[:-1], COMMON[:-1])}, r"'u' ends at 3\.5, but it is needed from 0 to 4"),
    ({"u": (TIMES[1:], COMMON[1:])}, r"'u' begins at 0\.5, but it is needed from 0 to 4"),
    ({"u": (TIMES, WRONG)}, r"'u' has no finite value at time 1; fill"),
    ({"u": (TIMES, EACH[:, :2])}, "2 columns of values, but there are 3 nodes"),
    ({"u": (TIMES, COMMON[1:])}, r"\(T,\) and \(T,\) or \(T, N\), not"),
    ({"u": (TIMES[::-1], COMMON)}, "must not fall"),
    ({"u": (np.array([0, 1, 1, 1, 4]), COMMON[:5])}, "stands more than twice"),
    ({"u": ([0.0], [1.0])}, "has 1 times; give at least two"),
    ({"u": 3}, "must be a table or file"),
    ({"u": [(TIMES, COMMON)] * 2}, "a list of 2, but there are 1 runs"),
    ({"u": table(EACH, ["a", "b", "d"])}, "no column of 'c'.* and columns of 'd'"),
    ({"u": table(EACH[:, :2], ["a", "b"])}, "has no column of 'c'"),
    ({"u": "nowhere.csv"}, "'u': nowhere.csv does not exist"),
    ({"u": lambda t: np.inf if t > 2 else 0.0}, "not a finite number at time 2"),
    ({"u": lambda t: np.zeros((2, 2))}, "one number, or one for each node"),
    ({"u": table(EACH, NODES).assign(time=pd.date_range("2020", periods=9))}, "dates for times"),
    ({"x": (TIMES, COMMON)}, "repeat a name"),
    ({"k": (TIMES, COMMON)}, "cannot name a variable, node feature or input"),
    ({"sin": (TIMES, COMMON)}, "cannot name a variable, node feature or input"),
    ({"u": "x"}, "all variables of the states, x, are inputs"),
]


@pytest.mark.parametrize(("inputs", "said"), REFUSED)
def test_what_is_refused(inputs, said):
    with pytest.raises(InputError, match=said):
        checked_data(RUN, NETWORK, inputs)


def test_runs_must_have_the_same_inputs():
    (driven,) = with_inputs([RUN], {"u": (TIMES, COMMON)})
    with pytest.raises(InputError, match="trajectories 1 have the inputs none, the first ones 'u'"):
        checked_data([driven, RUN], NETWORK)
