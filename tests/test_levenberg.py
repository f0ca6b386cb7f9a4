"""Accept and damp: a known minimum, what is tried in which order, and the same loop under tracing."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxllc.fit.levenberg import Damping, Shortening, State, accepted, judged

RULE = Damping(1e-2, eased_by=10.0, raised_by=8.0, smallest=1e-9)
START = np.array([-1.2, 1.0])


def square(x):
    """Rosenbrock's function: zero at (1, 1) only, at the end of a bent valley."""
    return 100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2


def stepped(x, damping, xp=np):
    rest = xp.stack([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])
    slopes = xp.stack([xp.stack([-20.0 * x[0], 10.0 + 0.0 * x[1]]), xp.asarray([-1.0, 0.0])])
    normal = slopes.T @ slopes
    return x - xp.linalg.solve(normal + damping * xp.diag(xp.diag(normal)), slopes.T @ rest)


def better_point(x, damping):
    new = stepped(x, damping)
    return new if square(new) < square(x) else None


def test_a_bent_valley_is_followed_to_its_end():
    state, squares = State(START, RULE.start), []
    for _ in range(40):
        squares.append(square(state.point))
        if squares[-1] < 1e-25:
            break
        state = accepted(state, partial(better_point, state.point), RULE)
    assert np.all(np.diff(squares) < 0)
    np.testing.assert_allclose(state.point, [1.0, 1.0], rtol=1e-12)


def test_the_loop_is_the_same_under_tracing():
    """As many tries in a compiled loop, one after the other, lead to the same point and damping."""
    tried = []

    def propose(x, damping):
        tried.append(damping)
        return better_point(x, damping)

    state = State(START, RULE.start)
    for _ in range(6):
        state = accepted(state, partial(propose, state.point), RULE)
    assert len(tried) > 6  # some steps failed

    def one(_, carried):
        new = stepped(carried.point, carried.damping, jnp)
        better = square(new) < square(carried.point)
        return judged(carried, new, better, RULE, jnp.where)

    with jax.enable_x64(True):
        start = State(jnp.asarray(START), jnp.asarray(RULE.start))
        traced = jax.jit(lambda s: jax.lax.fori_loop(0, len(tried), one, s))(start)
        np.testing.assert_allclose(traced.point, state.point, rtol=1e-10)
    assert float(traced.damping) == pytest.approx(state.damping, rel=1e-12)


def tries(rule, damping, better_at=()):
    """What is tried when only these dampings make a step better, and the state after it."""
    seen = []
    after = accepted(
        State("here", damping),
        lambda d: seen.append(d) or ("there" if d in better_at else None),
        rule,
    )
    return seen, after


def test_a_step_is_tried_at_ever_larger_dampings_until_the_rule_ends_it():
    seen, after = tries(RULE._replace(tries=4), 1.0)
    assert (seen, after) == ([1.0, 8.0, 64.0, 512.0], None)
    assert tries(RULE._replace(largest=64.0), 1.0)[0] == [1.0, 8.0, 64.0]
    assert tries(RULE._replace(least_raised=0.5, tries=3), 1e-6)[0] == [1e-6, 0.5, 4.0]


def test_a_step_that_is_better_eases_the_next_down_to_the_smallest():
    seen, after = tries(RULE, 1.0, better_at=(8.0,))
    assert seen == [1.0, 8.0]
    assert after == State("there", pytest.approx(0.8))
    assert tries(RULE, 2e-9, better_at=(2e-9,))[1].damping == RULE.smallest


def test_a_step_is_shortened_and_the_next_is_whole_again():
    rule = Shortening((1.0, 0.5, 0.05))
    assert tries(rule, rule.start) == ([1.0, 0.5, 0.05], None)
    assert tries(rule, rule.start, better_at=(0.5,)) == ([1.0, 0.5], State("there", 1.0))
