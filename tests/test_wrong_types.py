"""Whatever a caller gives for an argument of signaling, sweeps and self-pruning: a result, or InputError.

Each argument of each public function is given values of plausible but wrong types. What would be trained or
solved is not: a call that comes that far has understood its arguments.
"""

import inspect
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import jaxllc
from jaxllc import self_pruning, signaling, sweeps
from jaxllc.errors import InputError
from jaxllc.signaling import signaling_figures as figures
from jaxllc.signaling.model import signaling_model as model
from jaxllc.signaling.model import synthetic
from jaxllc.signaling.network.structure import Parameters
from jaxllc.signaling.training import cross_validation
from jaxllc.signaling.training import signaling_training as training
from jaxllc.sweeps.chunk_trainer import ChunkTrainer
from tests.planted_study import random_study
from tests.sweep_problem import CONDITIONS, PRIOR, SETTINGS

LEVELS, TFS = CONDITIONS.to_frames()
NESTED = LEVELS.set_axis(pd.MultiIndex.from_tuples([(n, "d1") for n in LEVELS.index]))
GRID = sweeps.grid(seed=[0])
LONG = "x" * 5000

WRONG = {
    "None": None,
    "text": "c0",
    "empty text": "",
    "long text": LONG,
    "path": Path("c0.csv"),
    "bytes": b"c0",
    "zero": 0,
    "one": 1,
    "negative": -1,
    "large": 10**30,
    "numpy integer": np.int64(2),
    "float": 0.5,
    "nan": float("nan"),
    "infinite": float("inf"),
    "complex": 1j,
    "true": True,
    "dict": {"l2": [1e-6]},
    "dict of text": {"c0": "c1"},
    "dict of numbers": {0: 1, 1: 2},
    "empty dict": {},
    "list": ["c0"],
    "mixed list": ["c0", 1, None],
    "list of dicts": [{"l2": 1e-6}],
    "list of lists": [["c0"], ["c1"]],
    "ragged list": [["c0"], ["c1", "c2"], 3],
    "empty list": [],
    "set": {"c0", "c1"},
    "numbers": [0, 1],
    "floats": [0.5, np.nan],
    "array": np.arange(3.0),
    "matrix": np.zeros((2, 3)),
    "array of objects": np.array(["c0", None], dtype=object),
    "zero-dimensional": np.array(1.0),
    "masked": np.ma.masked_array([1.0, 2.0], [True, False]),
    "frame": LEVELS,
    "frame of a MultiIndex": NESTED,
    "frame of MultiIndex columns": NESTED.T,
    "empty frame": pd.DataFrame(),
    "series": LEVELS["L1"],
    "index": LEVELS.index,
    "date": pd.Timestamp("2020-01-06"),
    "function": lambda *_, **__: None,
    "class": ValueError,  # which takes any arguments, as a function of a caller
    "object": object(),
    "settings": SETTINGS,
    "grid": GRID,
    "conditions": CONDITIONS,
    "prior": PRIOR,
    "pair of frames": (LEVELS, TFS),
    "range": range(2),
}
GENERATORS = {
    "generator": lambda: (name for name in ("c0", "c1")),
    "generator of numbers": lambda: (n for n in (0, 1)),
    "generator of dicts": lambda: ({"l2": x} for x in (1e-6, 1e-5)),
}


class Reached(BaseException):
    """The arguments are understood, and the work would begin."""


def reached(*_, **__):
    raise Reached


MODEL = signaling.SignalingModel(
    PRIOR,
    CONDITIONS.ligands,
    CONDITIONS.tfs,
    Parameters(np.zeros(PRIOR.num_edges), np.zeros(PRIOR.num_nodes), np.ones(2)),
)
TRUTH = synthetic.GroundTruth(
    PRIOR, CONDITIONS.ligands, CONDITIONS.tfs, MODEL.parameters, np.full(2, 3.0)
)
STUDY = random_study([{"l2": 1e-5}], seeds=1)
EMPTY = self_pruning.SelfPruningStudy(
    PRIOR,
    CONDITIONS,
    SETTINGS,
    sweeps.grid(seed=[0], network=["0"], l2=[1e-5]),
    pd.DataFrame({"l2": [1e-5], "seed": [0], "status": ["failed"], "snapshots": [""]}),
    {"0": PRIOR},
    {},
    Path(),
    True,
    0.0,
    (),
)
CURVES = pd.DataFrame(
    {
        "l2": 1e-5,
        "seed": 0,
        "fraction": [0.0, 0.5],
        "spurious_removed": 0.1,
        "edges_removed": [0, 3],
        **dict.fromkeys(("mse", "held_out_mse", "correlation", "held_out_correlation"), 0.1),
    }
)
HISTORY = pd.DataFrame({"epoch": [1, 2], "loss": 1.0, "mse": 1.0, "radius": 0.5})
PREDICTION = model.Prediction(TFS, TFS, np.ones(len(TFS), bool), np.zeros(len(TFS)))
PC = {"prior": PRIOR, "conditions": CONDITIONS}
# Of each function the arguments that fit, and those that are left as they are here.
RING = jaxllc.Network.from_edges([0, 1, 2], [1, 2, 0])
RUN = jaxllc.Trajectories(np.arange(6.0), np.random.default_rng(0).uniform(size=(6, 3)))
CALLS = {
    "train": (signaling.train, {**PC, "settings": SETTINGS}, ()),
    "cross_validate": (signaling.cross_validate, {**PC, "folds": [["c0"], ["c1"]]}, ()),
    "leave_out_folds": (signaling.leave_out_folds, {"conditions": CONDITIONS}, ()),
    "published_folds": (signaling.published_folds, {"conditions": CONDITIONS}, ()),
    "read_folds": (signaling.read_folds, {"path": "no.csv", "conditions": CONDITIONS}, ()),
    "preset": (signaling.preset, {"name": "default"}, ()),
    "add_spurious_edges": (signaling.add_spurious_edges, {"prior": PRIOR, "number": 2}, ()),
    "is_spurious": (signaling.is_spurious, {"network": PRIOR, "prior": PRIOR}, ()),
    "simulate_conditions": (
        signaling.simulate_conditions,
        {"truth": TRUTH, "num_conditions": 2, "ligands_at_once": (1,)},
        (),
    ),
    "simulate_signaling": (
        signaling.simulate_signaling,
        {
            "structure": TRUTH.structure,
            "parameters": MODEL.parameters,
            "ligands": np.zeros((1, 2)),
            "times": [0.0, 1.0],
        },
        (),
    ),
    "Conditions": (
        signaling.Conditions,
        {
            "names": CONDITIONS.names,
            "ligands": CONDITIONS.ligands,
            "tfs": CONDITIONS.tfs,
            "ligand_levels": CONDITIONS.ligand_levels,
            "tf_activities": CONDITIONS.tf_activities,
        },
        ("origin",),
    ),
    "Conditions.read": (signaling.Conditions.read, {"ligands_path": "a", "tfs_path": "b"}, ()),
    "Conditions.from_frames": (
        signaling.Conditions.from_frames,
        {"ligands": LEVELS, "tfs": TFS},
        (),
    ),
    "Conditions.select": (CONDITIONS.select, {"which": ["c0"]}, ()),
    "Conditions.without": (CONDITIONS.without, {"which": ["c0"]}, ()),
    "Conditions.matched": (CONDITIONS.matched, {"prior": PRIOR}, ()),
    "PriorNetwork": (
        signaling.PriorNetwork,
        {
            name: getattr(PRIOR, name)
            for name in ("senders", "receivers", "signs", "sign_known", "names", "sources")
        },
        ("other_ends",),
    ),
    "PriorNetwork.read": (signaling.PriorNetwork.read, {"path": "a"}, ()),
    "PriorNetwork.from_frame": (
        signaling.PriorNetwork.from_frame,
        {"frame": PRIOR.to_frame()},
        ("place",),
    ),
    "PriorNetwork.from_edges": (
        signaling.PriorNetwork.from_edges,
        {"senders": ["a", "b"], "receivers": ["b", "c"], "signs": [1, None]},
        (),
    ),
    "PriorNetwork.to_csv": (PRIOR.to_csv, {"path": "p.csv"}, ()),
    "Conditions.to_csv": (CONDITIONS.to_csv, {"ligands_path": "l", "tfs_path": "t"}, ()),
    "SignalingModel.save": (MODEL.save, {"path": "m.npz"}, ()),
    "PriorNetwork.unreached": (PRIOR.unreached, {"inputs": ["L1"]}, ()),
    "PriorNetwork.leading_nowhere": (PRIOR.leading_nowhere, {"outputs": ["T1"]}, ()),
    "PriorNetwork.has_path": (PRIOR.has_path, {"inputs": ["L1"], "outputs": ["T1"]}, ()),
    "PriorNetwork.trimmed": (PRIOR.trimmed, {"inputs": ["L1"], "outputs": ["T1"]}, ()),
    "PriorNetwork.without_nodes": (PRIOR.without_nodes, {"names": ["L1"]}, ()),
    "PriorNetwork.with_edges": (
        PRIOR.with_edges,
        {"senders": ["L1"], "receivers": ["T1"], "signs": [1]},
        (),
    ),
    "PriorNetwork.without_edges": (PRIOR.without_edges, {"edges": [0]}, ()),
    "GroundTruth": (
        signaling.GroundTruth,
        {
            "prior": PRIOR,
            "ligands": CONDITIONS.ligands,
            "tfs": CONDITIONS.tfs,
            "parameters": MODEL.parameters,
            "input_scale": np.full(2, 3.0),
        },
        (),
    ),
    "GroundTruth.read": (signaling.GroundTruth.read, {"path": "a"}, ()),
    "SignalingModel": (
        signaling.SignalingModel,
        {
            "prior": PRIOR,
            "ligands": CONDITIONS.ligands,
            "tfs": CONDITIONS.tfs,
            "parameters": MODEL.parameters,
        },
        (),
    ),
    "SignalingModel.load": (signaling.SignalingModel.load, {"path": "a"}, ()),
    "SignalingModel.predict": (MODEL.predict, {"ligands": CONDITIONS}, ()),
    "SignalingModel.spectral_radius": (MODEL.spectral_radius, {"ligands": CONDITIONS}, ()),
    "SignalingModel.leading_eigenvalues": (MODEL.leading_eigenvalues, {"ligands": CONDITIONS}, ()),
    "SignalingSettings": (signaling.SignalingSettings, {}, ()),
    "SignalingSettings.from_dict": (signaling.SignalingSettings.from_dict, {"values": {}}, ()),
    "SignalingSettings.read": (signaling.SignalingSettings.read, {"path": "a"}, ()),
    "train_sweep": (
        sweeps.train_sweep,
        {**PC, "settings": SETTINGS, "grid": GRID},
        ("cluster",),
    ),
    "sweep": (
        sweeps.sweep,
        {"function": lambda point: {"x": 1.0}, "grid": GRID},
        ("cluster",),
    ),
    "net_ensemble": (
        sweeps.net_ensemble,
        {"data": RUN, "network": RING, "seeds": [0], "width": 2, "steps": 1},
        (),
    ),
    "grid": (sweeps.grid, {"axes": [1]}, ()),
    "zipped": (sweeps.zipped, {"axes": [1]}, ()),
    "points": (sweeps.points, {"given": [{"seed": 0}]}, ()),
    "Grid": (sweeps.Grid, {"points": ({"seed": 0},)}, ()),
    "a product of grids": (lambda other: GRID * other, {"other": sweeps.grid(l2=[1.0])}, ()),
    "a sum of grids": (lambda other: GRID + other, {"other": sweeps.grid(l2=[1.0])}, ()),
    "log_range": (sweeps.log_range, {"low": 1e-6, "high": 1e-4, "count": 3}, ()),
    "Uniform": (sweeps.Uniform, {"low": 0.0, "high": 1.0}, ()),
    "LogUniform": (sweeps.LogUniform, {"low": 0.1, "high": 1.0}, ()),
    "Integers": (sweeps.Integers, {"low": 0, "high": 1}, ()),
    "Choice": (sweeps.Choice, {"values": [1, 2]}, ()),
    "random_draws": (
        lambda count, draws_seed, axis: sweeps.random_draws(count, draws_seed, l2=axis),
        {"count": 1, "draws_seed": 0, "axis": sweeps.Uniform(0.0, 1.0)},
        (),
    ),
    "Outcome": (sweeps.Outcome, {"metrics": {"x": 1.0}}, ()),
    "read_records": (sweeps.read_records, {"path": "a"}, ()),
    "read_snapshots": (sweeps.read_snapshots, {"path": "a"}, ()),
    "self_pruning_study": (
        self_pruning.self_pruning_study,
        {**PC, "l2": [1e-5], "seeds": [0], "spurious_edges": 2, "settings": SETTINGS},
        ("cluster",),
    ),
    "edge_scores": (self_pruning.edge_scores, {"study": EMPTY}, ()),
    "models of a study": (EMPTY.models, {"group": None}, ()),
    "removal_curves": (self_pruning.removal_curves, {"study": EMPTY}, ()),
    "retrained_curves": (self_pruning.retrained_curves, {"study": EMPTY}, ("cluster",)),
    "summary_of": (self_pruning.summary_of, {"curves": CURVES}, ()),
    "removable": (self_pruning.removable, {"curves": CURVES}, ()),
    "plot_errors": (self_pruning.plot_errors, {"study": STUDY}, ()),
    "plot_shares": (self_pruning.plot_shares, {"study": STUDY}, ()),
    "plot_distributions": (self_pruning.plot_distributions, {"study": STUDY}, ()),
    "plot_removal": (self_pruning.plot_removal, {"curves": CURVES}, ()),
    "figures.plot_fit": (figures.plot_fit, {"measured": TFS, "predicted": TFS}, ()),
    "figures.plot_conditions": (figures.plot_conditions, {"measured": TFS, "predicted": TFS}, ()),
    "figures.plot_training": (figures.plot_training, {"history": HISTORY}, ()),
    "figures.plot_knock_out": (
        figures.plot_knock_out,
        {"prediction": PREDICTION, "knocked": PREDICTION},
        (),
    ),
    "plot_scores": (self_pruning.plot_scores, {"scores": None}, ()),
}
RESULTS = {  # made by the functions, not by callers
    *("CrossValidation", "PRESETS", "Prediction", "SignalingFit", "Snapshots", "SweepResult"),
    *("TrainedMember", "EdgeScores", "SelfPruningStudy", "NetEnsemble", "TermSpread"),
}


def test_every_public_function_is_called_here():
    public = {*signaling.__all__, *sweeps.__all__, *self_pruning.__all__}
    assert public - RESULTS <= {*CALLS}


@pytest.fixture(autouse=True)
def nothing_is_trained(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "initial_state", reached)
    monkeypatch.setattr(cross_validation, "_train", reached)
    monkeypatch.setattr(ChunkTrainer, "_chunk", reached)
    monkeypatch.setattr("jaxllc.neural.net_ensembles.EnsembleFits.fitted", reached)
    monkeypatch.setattr(ChunkTrainer, "_per_device", lambda *_: 1)
    monkeypatch.setattr(model, "settle", reached)
    monkeypatch.setattr(synthetic, "_steady_activities", reached)
    monkeypatch.setattr("jaxllc.signaling.model.continuous_time._run", reached)


def arguments_of(function, given, fixed):
    """The names of the arguments that are tried."""
    parameters = inspect.signature(function).parameters.values()
    several = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    named = [p.name for p in parameters if p.kind not in several]
    return [name for name in (*named, *(set(given) - set(named))) if name not in fixed]


def called(function, arguments):
    """What a call comes to: None, or what it raised that is no InputError."""
    try:
        if function is self_pruning.summary_of:
            function(arguments["curves"])
        else:
            found = function(**arguments)
            if inspect.isgenerator(found):
                list(found)
    except InputError as error:
        said = str(error)
        return None if 10 < len(said) < 1500 and LONG not in said else f"says {said[:200]}"
    except Reached:
        return None
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:120]}"
    return None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", CALLS)
def test_any_type_gives_a_result_or_input_error(name):
    function, given, fixed = CALLS[name]
    wrong = []
    for argument in arguments_of(function, given, fixed):
        values = {**WRONG, **{kind: make() for kind, make in GENERATORS.items()}}
        for kind, value in values.items():
            found = called(function, {**given, argument: value})
            if found:
                wrong.append(f"{argument} = {kind}: {found}")
    assert not wrong, "\n".join(wrong)
