"""The choices of a discovery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from jaxllc.errors import InputError
from jaxllc.settings.names import DEFAULT_ENGINES, FUNCTION_NAMES


@dataclass(frozen=True)
class DiscoverSettings:
    """Choices of a discovery; each is a flag of `jaxllc discover`.

    engines: search engines whose proposals the judge compares: "pretrained" (a network that comes with
        jaxllc), "sparse", "operon" (needs jaxllc[operon]), "pysr" (needs jaxllc[pysr]); asked in the order
        given until one explains a term. Whole equations are always searched sparsely first; where that
        leaves something, or needs many terms, the engines look for expressions of the neural terms.
    functions: those that a law may hold, by name; "sqrt" stands for all powers that are not whole. Beyond the
        usual ones "tan", "sinh" and "cosh" are searched where they are named.
    division: whether a variable may stand in a denominator.
    sums: where sums of terms leave something unexplained, also look for functions of the sum over neighbours,
        such as tanh(sum_j A_ij x_j + u_i).
    neural: fit the two neural terms and let them propose: "auto" (where the search leaves something
        unexplained), "always" or "never"; or "solver": as "auto", and wherever they are fitted they are
        finished through the differentiable solver, on the samples themselves, before expressions of them
        are sought.
    nodes: "some": where not all nodes can follow one law on this network, as wrong or lost edges, hidden
        neighbours and nodes of another kind have it, find the law of those that do; "all": every node must.
    vary: {"omega": "node"}: names of constants that every node has of its own, of which nothing is measured.
        Which term each multiplies is found, too, unless `known` holds it, as in "-omega_i*x_i": a plain self
        term of one equation, or all its interactions, whose mean strength is then one. The law holds omega_i,
        `law.node_constants_table()` its values.
    forcing: "smooth" for something unknown that acts on all nodes alike, dx_i/dt = law + u_x(t): a smooth
        function of the time that all runs share is found with the law, for each variable whose samples ask
        for one. `law.forcing_table()` holds it with its band. Its mean over the time of the samples is zero,
        as a constant of the law cannot be told from it. "none" by default. It needs a network, and goes with
        neither vary, weights="unknown" nor another preset.
    held: names of nodes that are given: they act on others with their states as they were measured, and the
        law does not explain them.
    edges: "auto": where fewer than half of the nodes follow the law on this network, and half as many more on
        that of the edges which the samples ask for, fit the law on that, which `law.network` then is;
        "uncertain": do so wherever no fewer follow, and ask for the probability of every edge whether or not
        all nodes follow; "given": keep to the network. `law.network_table()` says what was given.
    edge_prior: what is believed of edges beforehand: {"sure": [("a", "b"), ...], "likely": ..., "forbidden":
        ...} of pairs (sender, receiver), whether or not they are in the network, and the probabilities
        "given" of an edge of the network (.9), "other" of any other pair (.01) and "likely_probability" (.5);
        or a table or path with the columns sender, receiver, belief.
    weights: "given", as the network has them, or "unknown": edges are known, and their weights, about a mean
        of one, are found with the law.
    strengths: of edges that are found where no network was given: "equal" for one strength of all, "free" for
        one each, "auto" for what the samples ask for.
    classes: ask what a law lacks: constants of nodes, a forcing that all share, delays, a network that
        changes, pairs of neighbours. "auto": where it does not explain the samples, or few nodes follow it;
        "always" or "never". The notes name what the samples ask for, `law.model_classes_table()` holds all.
    max_terms: largest number of terms in an equation.
    num_fits: proposals of each equation that are fitted to the trajectories.
    moves: rounds of add and swap moves.
    search_seconds: the whole time from smoothing to bootstrap. Where it ends a search before its own end the
        best law so far is returned, and its notes say so, since the result then depends on the speed of the
        machine. Smoothing, a first search and fit and the last fit are always made, however long they take.
    known: terms that the law holds, {variable: (self term, interaction term)} as text or as an `Equation`.
        Names that are neither variables nor features, such as delta in "-delta*x_i", are constants to be
        fitted, each of one side of one equation; numbers stay as they are.
    bounds: {name: (low, high)} of the constants named in `known`, and, by the names "coefficients" and
        "inner_constants", of all constants of the terms that are found.
    units: {"x": "mol/L", "omega": "1/s", "t": "s"} of variables, features, time "t" and weights "A"; what is
        not named is dimensionless. Terms whose units do not fit are not searched.
    demand: functions, "division" or "power" that the law must hold.
    finish: of the constants and initial states of the law: "grid", on the steps of the search, "solver", by
        the adaptive steps of a differentiable solver, or "auto", which is "solver" in the preset "neural".
        Steps of the search are chosen so that both agree within the noise. Through the solver, the laws
        within ten nats of the best one (four at most) are finished too, and chosen among again.
    dynamics: "flow", or "map" for data in discrete time: the law gives the next state,
        x_i(k+1) = f(x_i(k)) + sum_j A_ij g(x_i(k), x_j(k)), with a step between any two sample times.
    process_noise: the dynamics are noisy themselves, dx_i = (law) dt + q dW_i: the law is that of the steps
        between samples, and q is estimated beside the noise of the measurement. Of maps both always are.
        With it and with maps, engines, neural, held, vary, forcing, edges, edge_prior, weights, classes,
        strengths, num_fits, moves, finish and preset are not read, and inputs are not taken.
    preset: "default"; "neural" for two nets, expressions of either and the likelihood of the trajectories,
        without any library of whole equations; or "llc" for the published road and nothing else, which reads
        `functions` and `division` alone (`jaxllc.baselines.llc`).
    """

    engines: tuple[str, ...] = DEFAULT_ENGINES
    functions: tuple[str, ...] = FUNCTION_NAMES
    division: bool = True
    sums: bool = True
    neural: str = "auto"
    nodes: str = "some"
    held: tuple[str, ...] = ()
    vary: Mapping[str, str] | None = None
    forcing: str = "none"
    classes: str = "auto"
    edges: str = "auto"
    edge_prior: Mapping[str, Any] | None = None
    weights: str = "given"
    strengths: str = "auto"
    max_terms: int = 8
    num_fits: int = 4
    moves: int = 3
    search_seconds: float = 300.0
    known: Mapping[str, Any] | None = None
    bounds: Mapping[str, tuple[float, float]] | None = None
    units: Mapping[str, str] | None = None
    demand: tuple[str, ...] = ()
    finish: str = "auto"
    dynamics: str = "flow"
    process_noise: bool = False
    preset: str = "default"


def nets_through_solver(settings: DiscoverSettings) -> bool:
    """Whether the neural terms are finished through the solver."""
    return settings.neural == "solver"


def by_steps(settings: DiscoverSettings) -> bool:
    """Whether the law is that of steps between samples, and not of whole trajectories."""
    return settings.process_noise or settings.dynamics == "map"


# What a discovery by steps does not read.
_NOT_BY_STEPS = (
    "engines",
    "neural",
    "held",
    "vary",
    "forcing",
    "edges",
    "edge_prior",
    "weights",
    "classes",
    "strengths",
    "num_fits",
    "moves",
    "finish",
    "preset",
)


def check_by_steps(settings: DiscoverSettings) -> None:
    """Raises InputError for a choice that a discovery by steps would not read."""
    for name in _NOT_BY_STEPS if by_steps(settings) else ():
        value = getattr(settings, name)
        if value != getattr(DiscoverSettings, name):
            why = "dynamics='map'" if settings.dynamics == "map" else "process_noise=True"
            raise InputError(
                f"{why} does not read {name}, which is {value!r}; leave out one of both"
            )


def check_forcing(settings: DiscoverSettings, network: bool) -> None:
    """Raises InputError where an unknown forcing does not go with what else was asked for."""
    if settings.forcing == "none":
        return
    others = {"vary": settings.vary, 'weights="unknown"': settings.weights == "unknown"}
    for name in (name for name, given in others.items() if given):
        raise InputError(
            f'forcing="smooth" does not go with {name}: leave out one of both, and find the other first'
        )
    if not network:
        raise InputError('forcing="smooth" needs a network: give the network, or leave it out')


def through_solver(settings: DiscoverSettings) -> bool:
    """Whether the constants are finished through the solver."""
    return settings.finish == "solver" or (settings.finish, settings.preset) == ("auto", "neural")


class DiscoverChoices(TypedDict, total=False):
    """The fields of `DiscoverSettings`, as keyword arguments of `discover`."""

    engines: Sequence[str]
    functions: Sequence[str]
    division: bool
    sums: bool
    neural: str
    nodes: str
    held: Sequence[str]
    vary: Mapping[str, str] | None
    forcing: str
    classes: str
    edges: str
    edge_prior: Any
    weights: str
    strengths: str
    max_terms: int
    num_fits: int
    moves: int
    search_seconds: float
    known: Mapping[str, Any] | None
    bounds: Mapping[str, tuple[float, float]] | None
    units: Mapping[str, str] | None
    demand: Sequence[str]
    finish: str
    dynamics: str
    process_noise: bool
    preset: str
