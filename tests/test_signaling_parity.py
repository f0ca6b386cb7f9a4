"""Numbers of the published models: states, gradients, spectral radius, penalties (reference files of LEMBAS).

`native` numbers come from the published step count, `fixedpoint` and `exact` ones from a converged state
and a dense adjoint solve.
"""

from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse.linalg import eigs

from jaxllc.signaling.model.penalties import mean_squared_error, uniform_penalty, wrong_signs
from jaxllc.signaling.model.spectral_radius import spectral_radius
from jaxllc.signaling.model.steady_state import Solver, steady_state, wiring
from jaxllc.signaling.network.structure import Data, Parameters, Structure, drive_of, outputs_of
from tests.signaling_problems import (
    PUBLISHED_NAMES,
    REFERENCES,
    in_float64,
    published,
    quickly_compiled,
    reference_model,
    reference_signs,
    relative,
)

OURS = {name: ours for ours, name in PUBLISHED_NAMES.items()}
CONVERGED = Solver(5000)
# In single precision a residual stays above some roundings, so the steps are counted instead.
IN_SINGLE = {"ligand": Solver(200, exact=True)}
SLOW = Solver(700, exact=True)


class Reference(NamedTuple):
    """One file: its arrays, and the same as what the library computes with, in float64."""

    known: dict[str, np.ndarray]
    activation: str
    structure: Structure
    parameters: Parameters
    data: Data


@pytest.fixture(scope="module")
def reference(reference_arrays):
    """Name of a reference file -> Reference."""

    @cache
    def get(name):
        known = reference_arrays(name)
        wires = wiring(known["edge_source"], known["edge_target"], len(known["bias"]))
        inputs, outputs = (known[f"{side}_index"].astype(np.int32) for side in ("input", "output"))
        signs, observed = reference_signs(known).astype(float), np.ones_like(known["Y"])
        return Reference(
            known,
            OURS[str(known["activation"])],
            Structure(wires, signs, inputs, outputs, known["input_projection"]),
            Parameters(known["weights"], known["bias"], known["output_projection"]),
            Data(known["X"], known["Y"], observed, np.ones(len(known["Y"]))),
        )

    return get


@partial(quickly_compiled, static_argnums=(0, 1))
def found_by(activation, solver, structure, parameters, data, tolerance):
    """The steady state, the mean squared error and its gradients by parameters and by input scale."""

    def misfit(parameters, input_scale):
        structure_here = structure._replace(input_scale=input_scale)
        drive = drive_of(structure_here, parameters.bias, data.ligands)
        found = steady_state(
            structure.wires, parameters.weights, drive, activation, solver, tolerance
        )
        outputs = outputs_of(structure, parameters.output_scale, found.state)
        return mean_squared_error(outputs, data.activities, data.observed, data.present), found

    return jax.value_and_grad(misfit, argnums=(0, 1), has_aux=True)(
        parameters, structure.input_scale
    )


@pytest.fixture(scope="module")
def converged(reference):
    """Name -> what `found_by` gives in float64 at the fixed point, once per file."""
    found = {}

    def get(name):
        if name not in found:
            given = reference(name)
            found[name] = in_float64(found_by, given.activation, CONVERGED, *given[2:], 1e-14)
        return found[name]

    return get


@pytest.mark.parametrize("name", REFERENCES)
def test_converged_states(reference, converged, name):
    (_, found), _ = converged(name)
    expected = reference(name).known["full_fixedpoint"]
    np.testing.assert_allclose(found.state.T, expected, rtol=0, atol=1e-10)
    assert np.all(found.residual <= 1e-13)


@pytest.mark.parametrize("name", REFERENCES)
def test_gradients_equal_the_dense_adjoint_solve(reference, converged, name):
    (error, _), (by_parameters, by_input_scale) = converged(name)
    known = reference(name).known
    assert error == pytest.approx(float(known["mse_exact"]), rel=1e-12)
    assert relative(by_parameters.weights, known["gw_exact"]) < 1e-8
    assert relative(by_parameters.bias, known["gb_exact"]) < 1e-8
    assert relative(by_parameters.output_scale, known["go_exact"]) < 1e-8
    assert relative(by_input_scale, known["gi_exact"]) < 1e-8


def in_single(given):
    """The arrays of a reference in single precision."""
    return jax.tree.map(
        lambda x: np.asarray(x, np.float32 if np.asarray(x).dtype.kind == "f" else None), given[2:]
    )


@pytest.mark.parametrize("name", ["toy", "toy_sigmoid", "macrophage_init", "ligand"])
def test_gradients_in_single_precision(reference, name):
    given = reference(name)
    known = given.known
    (_, found), (by_parameters, by_input_scale) = found_by(
        given.activation, IN_SINGLE.get(name, SLOW), *in_single(given), jnp.float32(0)
    )
    assert found.state.dtype == np.float32
    np.testing.assert_allclose(found.state.T, known["full_fixedpoint"], rtol=0, atol=1e-5)
    assert relative(by_parameters.weights, known["gw_exact"]) < 1e-3
    assert relative(by_parameters.bias, known["gb_exact"]) < 1e-3
    assert relative(by_parameters.output_scale, known["go_exact"]) < 1e-3
    assert relative(by_input_scale, known["gi_exact"]) < 1e-3


def test_single_precision_where_rounding_carries_no_node_across_the_kink(reference):
    """At z = 0 the slope jumps from 0.01 to 1, and some z of the trained macrophage model are below 1e-7.

    Without the one or two conditions in which rounding changes the side, the gradient of a model with a
    spectral radius of 0.976 is kept in single precision.
    """
    given = reference("macrophage")
    model, states = reference_model(given.known), given.known["full_fixedpoint"]
    slopes = published().slopes_at(model, states, given.data.ligands)

    def run(present):
        single = in_single(given._replace(data=given.data._replace(present=present)))
        return found_by(given.activation, SLOW, *single, jnp.float32(0))

    (_, found), _ = run(given.data.present)
    np.testing.assert_allclose(found.state.T, states, rtol=0, atol=1e-5)
    same = np.abs(found.slope.T - slopes).max(axis=1) < 0.1
    assert same.sum() >= 20
    _, (by_parameters, _) = run(same.astype(float))
    exact = published().gradients(
        model, states[same], given.data.ligands[same], given.data.activities[same], None
    )
    for one, other in zip(
        by_parameters, (exact.weights, exact.bias, exact.output_scale), strict=True
    ):
        assert relative(one, other) < 1e-3


@pytest.mark.parametrize("name", ["toy", "macrophage"])
def test_states_after_the_published_number_of_steps(reference, name):
    given = reference(name)
    solver = Solver(int(given.known["iterations"]), exact=True)

    def run(structure, parameters, data):
        drive = drive_of(structure, parameters.bias, data.ligands)
        return steady_state(structure.wires, parameters.weights, drive, given.activation, solver)

    found = in_float64(quickly_compiled(run), *given[2:])
    # The published code stops early where all conditions together change by less than 1e-6.
    bound = 1e-6 if name == "toy" else 1e-10
    np.testing.assert_allclose(found.state.T, given.known["full_native"], rtol=0, atol=bound)
    if name == "macrophage":
        distance = np.abs(found.state.T - given.known["full_fixedpoint"]).max(axis=1)
        unfinished = np.flatnonzero(distance > 1e-3)
        assert len(unfinished) == 1, "one condition has a spectral radius of 0.976"
        assert found.residual[unfinished] == found.residual.max() > 1e-4


@pytest.mark.parametrize("name", REFERENCES)
def test_spectral_radius_of_the_first_five_conditions(reference, converged, name):
    given, ((_, found), _) = reference(name), converged(name)
    slopes = found.slope[:, :5]
    radius = spectral_radius(given.structure.wires, given.parameters.weights, slopes)
    expected = given.known["spectral_radius_dense_first5"]
    np.testing.assert_allclose(radius.radius, expected, rtol=1e-8)
    assert np.all(radius.residual < 1e-6)


@pytest.mark.parametrize("name", ["macrophage", "ligand"])
def test_no_condition_of_a_trained_model_has_its_leading_eigenvalue_missed(
    reference, converged, name
):
    """All conditions against another start of ARPACK with another number of eigenvalues."""
    given, ((_, found), _) = reference(name), converged(name)
    model = reference_model(given.known)
    slopes = found.slope[:, :20]
    radius = spectral_radius(given.structure.wires, given.parameters.weights, slopes).radius
    start = np.random.default_rng(7).normal(size=model.num_nodes)
    for slope, found_radius in zip(slopes.T, radius, strict=True):
        values = eigs(
            model.matrix(slope), k=12, ncv=80, v0=start, tol=1e-8, return_eigenvectors=False
        )
        assert found_radius == pytest.approx(np.abs(values).max(), rel=1e-6)


@pytest.mark.parametrize("name", REFERENCES)
def test_uniform_penalty_and_violations(reference, name):
    given = reference(name)
    states, present = given.known["full_5000"].T, given.data.present
    for key, silent, high in (
        ("uniform_loss_0_099_50", 50.0, 0.99),
        ("uniform_loss_0_0833_1", 1.0, 1 / 1.2),
    ):
        found = in_float64(uniform_penalty, states, present, high, silent)
        assert found == pytest.approx(float(given.known[key]), rel=1e-12)
    violations = wrong_signs(given.parameters.weights, given.structure.signs)
    np.testing.assert_array_equal(violations, given.known["violations"])
