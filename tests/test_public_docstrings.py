"""Docstrings of the public names: each parameter, seeds and errors are named, and examples run."""

import ast
import dataclasses
import doctest
import importlib
import inspect
import re
import textwrap

import numpy as np
import pytest

import jaxllc

PACKAGES = (
    *("signaling", "sweeps", "self_pruning", "metrics"),
    *("generators", "known_laws", "plotting", "symbolic"),
)
# What a user begins with; its example runs. The last ones train, and take seconds.
ENTRIES = (
    *("signaling.Conditions", "signaling.PriorNetwork", "signaling.SignalingSettings"),
    *("signaling.add_spurious_edges", "signaling.leave_out_folds", "signaling.preset"),
    *("sweeps.Grid", "sweeps.grid", "sweeps.zipped", "sweeps.points", "sweeps.log_range"),
    *("sweeps.random_draws", "sweeps.sweep"),
    *("metrics.adjusted_r2", "metrics.normalized_estimation_error", "metrics.skeleton"),
    *("metrics.skeleton_equal", "metrics.term_recall", "metrics.coefficient_error"),
    "metrics.worst_coefficient_error",
    *("generators.barabasi_albert", "generators.community", "generators.erdos_renyi"),
    *("generators.grid", "generators.watts_strogatz"),
    *("known_laws.get", "known_laws.names", "symbolic.search_term"),
)
TRAINING = (
    *("signaling.train", "signaling.cross_validate", "sweeps.train_sweep", "sweeps.net_ensemble"),
    "self_pruning.self_pruning_study",
)
# Results, opened by what is made of them, have no example of their own; figures need a law or a study.
SHOWN = ("self_pruning.edge_scores", "self_pruning.removal_curves", "plotting.plot_fit")


def names_of(package):
    module = importlib.import_module(f"jaxllc.{package}")
    here = [name for name, value in vars(module).items() if _is_own(value, module)]
    return module, getattr(module, "__all__", here)


def _is_own(value, module):
    own = getattr(value, "__module__", None) == module.__name__
    return own and inspect.isfunction(value) and not value.__name__.startswith("_")


def public():
    """Every public function, class, and method or property of a public class, by its name."""
    found = {}
    for package in PACKAGES:
        module, names = names_of(package)
        for name in names:
            value = getattr(module, name)
            if not callable(value):
                continue
            found[f"{package}.{name}"] = value
            if inspect.isclass(value):
                for member, given in vars(value).items():
                    function = _function(given)
                    if not member.startswith("_") and function is not None:
                        found[f"{package}.{name}.{member}"] = function
    return found


def _function(given):
    for inner in ("__func__", "fget", "func"):
        given = getattr(given, inner, None) or given
    return given if inspect.isfunction(given) else None


PUBLIC = public()


def parameters(value):
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value)]
    if inspect.isclass(value):
        return []
    return [name for name in inspect.signature(value).parameters if name not in ("self", "cls")]


def raised_here(value):
    """Whether the function, or what makes an object of the class, raises InputError itself."""
    function = getattr(value, "__post_init__", None) if inspect.isclass(value) else value
    if function is None:
        return False
    raised = (n.exc for n in ast.walk(_tree(function)) if isinstance(n, ast.Raise))
    return any("InputError" in ast.dump(one) for one in raised if one is not None)


def _tree(function):
    return ast.parse(textwrap.dedent(inspect.getsource(function)))


def test_these_are_all_public_names():
    assert len(PUBLIC) > 120
    assert {*ENTRIES, *TRAINING, *SHOWN} <= {*PUBLIC}


@pytest.mark.parametrize("name", PUBLIC)
def test_a_docstring_names_every_parameter_and_what_is_raised(name):
    doc = inspect.getdoc(PUBLIC[name]) or ""
    assert len(doc.split()) > 2
    left_out = [p for p in parameters(PUBLIC[name]) if not re.search(rf"\b{p}\b", doc)]
    assert not left_out
    assert "InputError" in doc or not raised_here(PUBLIC[name])


@pytest.mark.parametrize("name", [name for name in PUBLIC if "seed" in parameters(PUBLIC[name])])
def test_what_a_seed_decides_is_said(name):
    doc = inspect.getdoc(PUBLIC[name])
    assert re.search(r"\bseed\b[^.]*: |same seed|`seed`", doc)


def run_example(name):
    package = name.partition(".")[0]
    module, names = names_of(package)
    known = {"jaxllc": jaxllc, "np": np, **{one: getattr(module, one) for one in names}}
    doc = inspect.getdoc(PUBLIC[name])
    assert "Example:" in doc
    example = doctest.DocTestParser().get_doctest(doc, known, name, None, 0)
    assert example.examples
    said = []
    doctest.DocTestRunner().run(example, out=said.append)
    assert not said, "".join(said)


@pytest.mark.parametrize("name", ENTRIES)
def test_the_example_of_an_entry_point_runs(name):
    run_example(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINING)
def test_an_example_that_trains_runs(name):
    run_example(name)


@pytest.mark.parametrize("name", SHOWN)
def test_what_needs_a_law_or_a_study_shows_its_call(name):
    doc = inspect.getdoc(PUBLIC[name])
    function = name.rpartition(".")[2]
    assert re.search(rf"Example: `.*{function}\(", doc)


def _kinds(annotation):
    """The types that an annotation allows beside None."""
    parts = re.sub(r"\[[^\[\]]*\]", "", str(annotation)).split("|")
    return {part.strip() for part in parts} - {"None"}


RESULTS = [name for name in PUBLIC if name.startswith(("signaling", "sweeps", "self_pruning"))]


@pytest.mark.parametrize("name", RESULTS)
def test_what_is_returned_has_one_shape(name):
    """No field and no result that is now a number and now a list, by what was asked."""
    value = PUBLIC[name]
    if inspect.isclass(value):
        kinds = [field.type for field in dataclasses.fields(value)]
    else:
        kinds = [inspect.signature(value).return_annotation]
    assert inspect.Signature.empty not in kinds
    assert all(len(_kinds(one)) <= 1 for one in kinds)
