"""Expressions of a term by genetic programming: Operon, with a Pareto front of error and length.

Inputs are divided by their root mean square and values by their spread, never shifted: a shift
would change the form of the expression. One short run per set of functions (round) finds more forms
than a long run with all of them. The budget is a number of generations, so that equal seeds
give equal fronts; the deadline is looked at between rounds only.

Source: B. Burlacu, G. Kronberger, M. Kommenda, "Operon C++", GECCO Companion 2020.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import sympy

from jaxllc.equations.function_table import DEFAULT_FUNCTIONS, TABLE
from jaxllc.equations.functions import EXTREMES, FUNCTIONS, extreme, sigmoid
from jaxllc.search.forms.grammar import Grammar, is_real_function
from jaxllc.search.forms.term_samples import Samples, scale_of
from jaxllc.settings.names import check_installed

# Sets of functions searched together, besides + * and division; "square" stands for whole powers.
FUNCTION_SETS: tuple[tuple[str, ...], ...] = (
    ("square",),
    ("exp",),
    ("log",),
    ("sqrt",),
    ("sin",),
    ("tanh",),
    ("abs", "min", "max"),
    ("square", "exp", "log", "sqrt", "sin", "tanh", "abs"),
)


class _Found(NamedTuple):
    size: int
    misfit: float
    expression: sympy.Expr


@dataclass
class OperonEngine:
    """Proposes expressions from several seeded runs of Operon.

    population_size, generations: of one round. max_length, max_depth: of a tree, in nodes.
    optimizer_iterations: Levenberg-Marquardt steps on the constants of a new tree, made with the
    probability local_search. max_points: largest number of samples used. per_length: trees kept for
    each length in a round; per_size: expressions returned for each size. rounds: sets of functions,
    each searched on its own.
    """

    name: str = "operon"
    by_the_clock: ClassVar[bool] = True
    population_size: int = 500
    generations: int = 20
    max_length: int = 14
    max_depth: int = 8
    optimizer_iterations: int = 5
    local_search: float = 0.3
    max_points: int = 500
    per_length: int = 4
    per_size: int = 5
    rounds: tuple[tuple[str, ...], ...] = FUNCTION_SETS

    def propose(
        self, samples: Samples, grammar: Grammar, seed: int, deadline: float
    ) -> list[sympy.Expr]:
        """Expressions in the symbols `samples.names`, simplest first, all allowed by the grammar.

        deadline: a `time.perf_counter()` value after which no further round starts.
        Raises InputError where pyoperon is not installed.
        """
        operon = _load()
        data = _Scaled.of(samples, self.max_points, seed)
        found: dict[Any, _Found] = {}
        for number, functions in enumerate(_function_sets(self.rounds, grammar)):
            if time.perf_counter() > deadline:
                break
            state = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0]
            for one in self._round(operon, data, grammar, functions, int(state)):
                key = _skeleton(one.expression)
                if key not in found or one.misfit < found[key].misfit:
                    found[key] = one
        return self._front(list(found.values()))

    def _round(
        self, op: Any, data: _Scaled, grammar: Grammar, functions: tuple[str, ...], state: int
    ) -> Iterator[_Found]:
        dataset, inputs, problem = _problem(op, data, grammar, functions)
        table = op.DispatchTable()
        trees = self._evolve(op, problem, inputs, table, state)
        column = {code: j for j, code in enumerate(inputs)}
        rows = op.Range(0, dataset.Rows)
        by_length: dict[int, dict[float, tuple[Any, float, float]]] = {}
        for tree in trees:
            with np.errstate(all="ignore"):
                predicted = np.asarray(op.Evaluate(table, tree, dataset, rows), float).reshape(-1)
            if np.isfinite(predicted).all():
                misfit, *line = data.line_fit(predicted)
                by_length.setdefault(tree.Length, {})[misfit] = (tree, *line)
        # Near misses of the front are kept as well: refitted constants may turn the order around.
        best = np.inf
        for _, fits in sorted(by_length.items()):
            for misfit in sorted(fits)[: self.per_length]:
                if misfit > 1.2 * best:
                    break
                best = min(best, misfit)
                tree, scale, offset = fits[misfit]
                try:
                    expression = expression_of(tree, data.symbols, column)
                except (ValueError, OverflowError):  # a part without inputs that is not a number
                    continue
                if "sigmoid" in functions:
                    expression = expression.replace(sympy.tanh, lambda u: 2 * sigmoid(2 * u) - 1)
                expression = data.in_units(expression, scale, offset)
                if is_real_function(expression) and grammar.allows(expression):
                    yield _Found(_size(expression), misfit, expression)

    def _evolve(
        self, op: Any, problem: Any, inputs: list[int], table: Any, state: int
    ) -> list[Any]:
        # Operon keeps bare pointers to its parts: each must stay in a variable while it runs, and
        # trees are taken apart and built anew, since they belong to the search.
        primitives = problem.PrimitiveSet
        creator = op.BalancedTreeCreator(primitives, inputs, 0.0)
        coefficients = op.NormalCoefficientInitializer()
        coefficients.ParameterizeDistribution(0, 1)
        optimizer = op.LMOptimizer(table, problem, self.optimizer_iterations, 0)
        error, length = op.Evaluator(problem, table, op.MSE(), True), op.LengthEvaluator(problem)
        evaluator = op.MultiEvaluator(problem)
        budget = 2 * self.population_size * (self.generations + 2) * (self.optimizer_iterations + 2)
        for part in (error, length):
            part.Budget = budget
            evaluator.Add(part)
        evaluator.Budget = budget
        comparison = op.CrowdedComparison()
        selector = op.TournamentSelector(comparison)
        selector.TournamentSize = 5
        reinserter = op.KeepBestReinserter(comparison)
        crossover = op.SubtreeCrossover(0.9, self.max_depth, self.max_length)
        sizes = (self.max_depth, self.max_length)
        one, many = op.NormalOnePointMutation(), op.NormalMultiPointMutation()
        for mutation in (one, many):
            mutation.ParameterizeDistribution(0, 1)
        mutations = [
            one,
            many,
            op.ChangeVariableMutation(inputs),
            op.ChangeFunctionMutation(primitives),
            op.ReplaceSubtreeMutation(creator, coefficients, *sizes),
            op.InsertSubtreeMutation(creator, coefficients, *sizes),
            op.RemoveSubtreeMutation(primitives),
        ]
        mutator = op.MultiMutation()
        for mutation in mutations:
            mutator.Add(mutation, 1.0)
        local = op.CoefficientOptimizer(optimizer)
        generator = op.BasicOffspringGenerator(
            evaluator, crossover, mutator, selector, selector, local
        )
        starter = op.UniformLengthTreeInitializer(creator)
        starter.ParameterizeDistribution(1, min(10, self.max_length))
        starter.MinDepth, starter.MaxDepth = 1, 1000
        config = op.GeneticAlgorithmConfig(
            generations=self.generations,
            max_evaluations=budget,
            local_iterations=self.optimizer_iterations,
            population_size=self.population_size,
            pool_size=self.population_size,
            p_crossover=1.0,
            p_mutation=0.25,
            p_local=self.local_search,
            p_lamarck=1.0,
            epsilon=1e-6,
            seed=state,
        )
        sorter = op.RankSorter()
        search = op.NSGA2Algorithm(
            config, problem, starter, coefficients, generator, reinserter, sorter
        )
        search.Run(op.RandomGenerator(np.uint64(state)), None, 1, False)
        collections = (search.BestFront, search.Individuals)
        return [op.Tree(one.Genotype.Nodes).UpdateNodes() for each in collections for one in each]

    def _front(self, found: list[_Found]) -> list[sympy.Expr]:
        found.sort(key=lambda one: (one.size, one.misfit))
        counts: dict[int, int] = {}
        front, best = [], np.inf
        for one in found:
            counts[one.size] = counts.get(one.size, 0) + 1
            if counts[one.size] <= self.per_size and one.misfit < 1.2 * best:
                front.append(one.expression)
            best = min(best, one.misfit)
        return front


def expression_of(tree: Any, symbols: list[sympy.Expr], column: dict[int, int]) -> sympy.Expr:
    """The expression of an Operon tree: its nodes stand in postfix order, the first operand last.

    symbols: expression of each input; column: input of each variable's hash.
    """
    stack: list[sympy.Expr] = []
    for node in tree.Nodes:
        value = float(node.Value)
        if node.IsVariable:
            stack.append(_scaled(symbols[column[node.HashValue]], value))
            continue
        if node.IsConstant:
            stack.append(sympy.Float(value))
            continue
        operands = [stack.pop() for _ in range(node.Arity)]
        stack.append(_scaled(_applied(node.Name, operands), value))
    return stack.pop()


def _scaled(expression: sympy.Expr, factor: float) -> sympy.Expr:
    return expression if factor == 1.0 else sympy.Float(factor) * expression


def _applied(name: str, operands: list[sympy.Expr]) -> sympy.Expr:
    first, others = operands[0], operands[1:]
    if name == "+":
        return sympy.Add(*operands)
    if name == "*":
        return sympy.Mul(*operands)
    if name == "-":
        return first - sympy.Add(*others) if others else -first
    if name == "/":
        return first / sympy.Mul(*others) if others else 1 / first
    if name == "square":
        return first**2
    # A sigmoid is a tanh to Operon, which comes first.
    ours = next(r.name for r in TABLE.values() if r.operon == name)
    if ours in EXTREMES:
        return extreme(ours, list(dict.fromkeys(operands)))
    return FUNCTIONS[ours](*operands)


@dataclass(frozen=True, eq=False)
class _Scaled:
    """Samples without units: points (n, q), values (n,), and the symbols divided by their sizes."""

    points: np.ndarray
    values: np.ndarray
    symbols: list[sympy.Expr]
    spread: float

    @classmethod
    def of(cls, samples: Samples, max_points: int, seed: int) -> _Scaled:
        rows = _rows(samples.error, max_points, seed)
        points, values = samples.points[rows], samples.values[rows]
        sizes = np.sqrt((points**2).mean(0))
        sizes = np.where(sizes > 0, sizes, 1.0)
        spread = scale_of(values)
        symbols = [
            sympy.Float(1.0 / size) * sympy.Symbol(name)
            for size, name in zip(sizes, samples.names, strict=True)
        ]
        return cls(points / sizes, values / spread, symbols, spread)

    def line_fit(self, predicted: np.ndarray) -> tuple[float, float, float]:
        """Mean squared error, scale and offset; the offset is 0 where it is not needed."""
        n = len(predicted)
        design = np.column_stack([predicted, np.ones(n)])
        solution, *_ = np.linalg.lstsq(design, self.values, rcond=1e-10)
        misfit = float(((self.values - design @ solution) ** 2).mean())
        power = float(predicted @ predicted)
        if power > 0:
            scale = float(predicted @ self.values) / power
            alone = float(((self.values - scale * predicted) ** 2).mean())
            if alone <= misfit * (1.0 + np.log(n) / n) + 1e-13:
                return alone, scale, 0.0
        return misfit, float(solution[0]), float(solution[1])

    def in_units(self, expression: sympy.Expr, scale: float, offset: float) -> sympy.Expr:
        result = _scaled(expression, scale * self.spread)
        return result + sympy.Float(offset * self.spread) if offset else result


def _rows(error: np.ndarray, max_points: int, seed: int) -> np.ndarray:
    # Operon has no weights: rows are drawn in proportion to 1 / error^2 instead.
    n = len(error)
    if n <= max_points and error.max() < 1.5 * error.min():
        return np.arange(n)
    weight = (error.min() / error) ** 2
    edges = np.cumsum(weight) / weight.sum()
    generator = np.random.default_rng([seed, 1])
    size = min(n, max_points)
    order = (np.arange(size) + generator.random(size)) / size
    return np.minimum(np.searchsorted(edges, order), n - 1)


def _problem(
    op: Any, data: _Scaled, grammar: Grammar, functions: tuple[str, ...]
) -> tuple[Any, list[int], Any]:
    dataset = op.Dataset(np.asfortranarray(np.column_stack([data.points, data.values])))
    variables = sorted(dataset.Variables, key=lambda variable: variable.Index)
    inputs = [variable.Hash for variable in variables[:-1]]
    problem = op.Problem(dataset)
    problem.TrainingRange = op.Range(0, dataset.Rows)
    problem.TestRange = op.Range(dataset.Rows - 1, dataset.Rows)
    problem.Target = variables[-1]
    problem.InputHashes = inputs
    types = {op.Node(kind).Name: kind for kind in op.NodeType}
    names = ["+", "*", "constant", "variable", *(("/",) if grammar.division else ())]
    names += [TABLE[f].operon if f in TABLE else f for f in functions]
    config = 0
    for name in names:
        config |= int(types[name])
    problem.ConfigurePrimitiveSet(config)
    return dataset, inputs, problem


def _function_sets(
    sets: tuple[tuple[str, ...], ...], grammar: Grammar
) -> tuple[tuple[str, ...], ...]:
    """The sets that the grammar allows, without those that cannot meet what it requires."""
    allowed, required = {*grammar.functions, "square"}, set(grammar.required)
    kept: list[tuple[str, ...]] = []
    more = (f for f in grammar.functions if f not in DEFAULT_FUNCTIONS and TABLE[f].operon)
    for functions in (*sets, *((f,) for f in more)):
        chosen = []
        for function in functions:
            twin = TABLE[function].twin if function in TABLE else ""
            if twin in allowed and (function not in allowed or required == {twin}):
                function = twin
            if function in allowed:
                chosen.append(function)
        meets = not required or "division" in required or bool(required & set(chosen))
        if meets and tuple(chosen) not in kept:
            kept.append(tuple(chosen))
    return tuple(kept)


def _skeleton(expression: sympy.Expr) -> Any:
    if expression.is_Float:
        return "constant"
    if not expression.args:
        return str(expression)
    return (expression.func.__name__, *sorted((_skeleton(a) for a in expression.args), key=repr))


def _size(expression: sympy.Expr) -> int:
    return 1 + sum(_size(argument) for argument in expression.args)


def _load() -> Any:
    check_installed("operon")
    import pyoperon

    return pyoperon
