"""The house: what may stand on what, no circle anywhere, and few files to a folder."""

import ast
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import jaxllc

ROOT = Path(jaxllc.__file__).parent
# From the ground up; a folder stands for all below it that are not named themselves. Nothing imports upward.
LAYERS = (
    ("errors", "lazy_names", "version", "figure_style"),
    ("running",),
    ("files",),
    ("equations",),
    ("tables",),
    ("data",),
    ("settings", "metrics"),
    ("dynamics",),
    ("knowledge", "generators", "known_laws"),
    ("smoothing",),
    ("fit",),
    ("nodewise",),
    ("transitions",),
    ("unknown_network",),
    ("neural",),
    ("search.forms",),
    ("pretrained",),
    ("search.engines",),
    ("search.term",),
    ("search.laws",),
    ("law", "plotting"),
    ("judge",),
    ("varying",),
    ("model_classes",),
    ("search.second_look",),
    ("diagnosis", "baselines"),
    ("discovery",),
    ("signaling",),
    ("sweeps",),
    ("self_pruning",),
    ("commands",),
)
LARGEST_FOLDER = 12
# Imports inside functions: doors to what loads JAX or Flax, which many a use of the package does without.
DOORS = {
    "data.network": {"data.message_passing"},
    "discovery.entry": {"baselines.llc"},
    "discovery.neural_road": {"search.laws.neural_proposals"},
    "discovery.stages": {"search.laws.sum_proposals"},
    "discovery.library_road": {
        "search.laws.neural_proposals",
        "search.laws.sum_proposals",
        "search.second_look.look",
    },
    "judge.solver_choice": {"fit.solver.solver_finish", "fit.solver.solver_program"},
    "known_laws.known_law": {"dynamics.integrate", "dynamics.vector_field"},
    "law.trajectories_of_law": {"dynamics.integrate", "dynamics.vector_field"},
    "search.engines.pretrained": {"pretrained.shipped"},
}


class Import(NamedTuple):
    module: str
    target: str
    in_function: bool


def modules():
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(p for p in parts if p != "__init__")
        found[name] = path
    return found


def imports():
    """Every import of a module of jaxllc by another, those for types and inside functions included."""
    known, found = modules(), []
    for module, path in known.items():
        for node, in_function in _walk(ast.parse(path.read_text()), False):
            targets = set()
            if isinstance(node, ast.Import):
                targets = {a.name for a in node.names}
            elif node.module is not None:
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    targets.add(whole if whole.removeprefix("jaxllc.") in known else node.module)
            for target in targets:
                name = target.removeprefix("jaxllc.")
                if target.startswith("jaxllc.") and name in known and name != module:
                    found.append(Import(module, name, in_function))
    return found


def _walk(node, in_function):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, in_function
        functions = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
        yield from _walk(child, in_function or isinstance(child, functions))


def layer_of(module):
    parts = module.split(".")
    for size in range(len(parts), 0, -1):
        name = ".".join(parts[:size])
        for number, names in enumerate(LAYERS):
            if name in names:
                return number
    return None


def test_nothing_imports_upward():
    # The faces of packages name what stands above them as text only; `__main__` and `symbolic` are such.
    found = [i for i in imports() if layer_of(i.module) is not None]
    assert [i for i in found if layer_of(i.target) is None] == []
    assert [i for i in found if layer_of(i.target) > layer_of(i.module)] == []
    above = {name for names in LAYERS for name in names}
    assert {m for m in modules() if layer_of(m) is None} == {"", "__main__", "symbolic", "search"}
    assert all(name in modules() for name in above)


def test_there_is_no_circle():
    following = defaultdict(set)
    for one in imports():
        following[one.module].add(one.target)
    done, path = set(), []

    def visit(module):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in done:
            return
        path.append(module)
        for target in sorted(following[module]):
            visit(target)
        path.pop()
        done.add(module)

    for module in sorted(modules()):
        visit(module)


def test_only_doors_are_imported_inside_functions():
    found = defaultdict(set)
    for one in imports():
        if one.in_function:
            found[one.module].add(one.target)
    assert dict(found) == DOORS
    assert sum(map(len, DOORS.values())) < 15


def test_folders_are_small():
    for folder in {path.parent for path in ROOT.rglob("*.py")}:
        files = [p.name for p in folder.glob("*.py") if p.name != "__init__.py"]
        assert len(files) <= LARGEST_FOLDER, folder


def test_no_two_files_have_one_name():
    """A name sends to one door; the faces of packages aside."""
    names = [path.name for path in ROOT.rglob("*.py") if path.name != "__init__.py"]
    assert sorted(names) == sorted(set(names))
