"""The promises about the code itself: who imports whom, how large things are, that what is public is documented."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from edgernn.cli import COMMANDS, main

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "edgernn"
FILES = sorted(PACKAGE.rglob("*.py"))
BUDGETED = [*FILES, *(path for folder in ("tests", "tools") for path in sorted((ROOT / folder).glob("*.py")))]
LARGEST_FILE, LARGEST_FUNCTION = 300, 40  # lines

# room -> (level, packages from outside). A room may import itself, rooms of lower levels and the room that it is in.
ROOMS: dict[str, tuple[int, set[str]]] = {
    "edgernn.__main__": (8, set()),
    "edgernn.cli": (7, {"click", "matplotlib", "numpy", "rich"}),
    "edgernn": (6, set()),
    "edgernn.pipelines": (5, {"numpy", "paho", "serial", "sounddevice", "soundfile", "soxr"}),
    "edgernn.serving": (6, {"numpy", "prometheus_client", "starlette", "uvicorn"}),
    "edgernn.conversion": (5, {"numpy", "onnxruntime"}),
    "edgernn.compiler": (5, {"llvmlite", "numba", "numpy"}),
    "edgernn.stream": (4, {"numpy"}),
    "edgernn.planner": (3, {"numpy"}),
    "edgernn.importer": (2, {"google", "numpy", "onnx"}),
    "edgernn.quantiser": (2, {"numpy"}),
    "edgernn.modelfile": (2, {"numpy", "safetensors"}),
    "edgernn.kernels": (2, {"numpy"}),
    "edgernn.kernels.cpu": (2, {"llvmlite", "numba", "numpy"}),
    "edgernn.kernels.cuda": (2, {"llvmlite", "numba", "numpy"}),
    "edgernn.kernels.library": (3, {"numpy"}),
    "edgernn.kernels.jit": (2, {"llvmlite", "numpy"}),
    "edgernn.kernels.processor": (1, {"llvmlite"}),
    "edgernn.kernels.contract": (1, {"numpy"}),
    "edgernn.layers": (1, {"numpy"}),
    "edgernn.errors": (0, set()),
}

# Methods of Model that open a door upwards, imported when they are called.
DOORS = {
    ("edgernn.layers.model", "edgernn.modelfile"),
    ("edgernn.layers.model", "edgernn.pipelines"),
    ("edgernn.layers.model", "edgernn.stream"),
}

# What the planner sees of the kernels is their contract: a backend is handed to it.
CLOSED = {("edgernn.planner", "edgernn.kernels")}


def name_of(path: Path) -> str:
    """edgernn/layers/model.py -> edgernn.layers.model."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in FILES}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def room_of(module: str) -> str:
    """The innermost room that a module is in."""
    parts = module.split(".")
    return next(room for n in range(len(parts), 0, -1) if (room := ".".join(parts[:n])) in ROOMS)


def nodes_that_run(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes, functions' bodies included, without what stands under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from nodes_that_run(child)


def imports(path: Path) -> Iterator[str]:
    """The dotted names that a file imports, `from a import b` as a.b where that is a module and as a elsewhere."""
    for node in nodes_that_run(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else str(node.module)


def test_every_room_is_there() -> None:
    assert all(any((name + ".").startswith(room + ".") for name in MODULES) for room in ROOMS)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_downwards(module: str) -> None:
    room = room_of(module)
    level, outside = ROOMS[room]
    for name in imports(MODULES[module]):
        top = name.split(".")[0]
        if top != "edgernn":
            assert top in sys.stdlib_module_names or top in outside, f"{module} imports {name}"
            continue
        target = room_of(name)
        near = (room + ".").startswith(target + ".") and target != "edgernn"
        assert (room, target) not in CLOSED, f"{module} imports {name}"
        assert near or ROOMS[target][0] < level or (module, target) in DOORS, f"{module} imports {name}"


@pytest.mark.parametrize("path", BUDGETED, ids=lambda p: str(p.name))
def test_nothing_outgrows_its_budget(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= LARGEST_FILE, f"{path} has {lines} lines"
    for node in ast.walk(tree_of(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = code_lines(node)
            assert length <= LARGEST_FUNCTION, f"{path}: {node.name} has {length} lines"


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body; a docstring does not count, nor do the lines inside other text."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    texts = [n for part in body for n in ast.walk(part) if isinstance(n, (ast.Constant, ast.JoinedStr))]
    inside = {line for n in texts for line in range(n.lineno + 1, (n.end_lineno or n.lineno) + 1)}
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 - len(inside) if body else 0


def public_definitions(node: ast.AST) -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef, bool]]:
    """(name, node, whether it is a method) of the public functions, classes and methods of a module or class."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)) and not child.name.startswith("_"):
            yield child.name, child, isinstance(node, ast.ClassDef)
            if isinstance(child, ast.ClassDef):
                yield from public_definitions(child)


def documented_methods() -> set[str]:
    """Names of methods that some class documents: its contract holds for every class that implements it."""
    found = (item for path in FILES for item in public_definitions(tree_of(path)))
    return {name for name, node, method in found if method and ast.get_docstring(node)}


def test_what_is_public_is_documented() -> None:
    inherited = documented_methods()
    missing = [name_of(path) for path in FILES if not ast.get_docstring(tree_of(path))]
    for path in FILES:
        for name, node, method in public_definitions(tree_of(path)):
            if not ast.get_docstring(node) and not (method and name in inherited):
                missing.append(f"{name_of(path)}.{name}")
    assert not missing


def test_no_reassociated_sums() -> None:
    assert not [path for path in FILES if "fastmath=True" in path.read_text(encoding="utf-8")]


TALKING = ("edgernn.cli", "edgernn.compiler")  # programs: their standard output is for whoever runs them


def test_nothing_else_writes_to_standard_output() -> None:
    for path in FILES:
        calls = [n for n in ast.walk(tree_of(path)) if isinstance(n, ast.Call) and ast.unparse(n.func) == "print"]
        prints = [n for n in calls if not any(k.arg == "file" for k in n.keywords)]
        assert not prints or room_of(name_of(path)) in TALKING, path


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_explained(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None and command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"edgernn {name} {parameter.opts}"
    assert f"edgernn {name}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_ci_runs_what_the_readme_says() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (command,) = [line for line in readme.splitlines() if line.endswith("-m pytest")]
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_the_changelog_knows_this_version() -> None:
    version = re.search(r'__version__ = "(.+)"', (PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    assert version and f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


HEAVY = (
    "llvmlite",
    "matplotlib",
    "numba",
    "onnx",
    "onnxruntime",
    "paho",
    "serial",
    "sounddevice",
    "soundfile",
    "soxr",
    "starlette",
    "uvicorn",
)
GOLDEN = ROOT / "tests" / "golden" / "small.edgernn"
QUICK = {
    "import edgernn": "import edgernn",
    "load": f"import edgernn; edgernn.load({str(GOLDEN)!r})",
    "--help": "from edgernn.cli import main; main(['--help'], standalone_mode=False)",
    "convert --help": "from edgernn.cli import main; main(['convert', '--help'], standalone_mode=False)",
    "inspect": f"from edgernn.cli import main; main(['inspect', {str(GOLDEN)!r}], standalone_mode=False)",
    "doctor": "from edgernn.cli import main; main(['doctor'], standalone_mode=False)",
}


@pytest.mark.parametrize("what", QUICK)
def test_quick_things_import_nothing_heavy(what: str) -> None:
    code = f"{QUICK[what]}\nimport sys; sys.exit(','.join({set(HEAVY)} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_edgernn_costs_numpy_only() -> None:
    code = "import sys, numpy; before = set(sys.modules); import edgernn; print(set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in ast.literal_eval(done.stdout)}
    assert {name for name in loaded if name not in sys.stdlib_module_names} == {"edgernn"}
