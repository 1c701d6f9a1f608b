"""Imports go one way down, through each room's front door only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "puna"
ARCHITECTURE = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")

BELOW = {
    "cli": set(),
    "server": {"access", "inference", "chat", "scheduling", "engine", "library", "web"},
    "inference": {"access", "chat", "scheduling", "engine", "library"},
    "chat": set(),
    "scheduling": {"engine", "library"},
    "engine": {"kernels", "gguf"},
    "kernels": set(),
    "library": {"gguf"},
    "gguf": set(),
    "access": {"library"},
    "web": set(),
}
EVERYONE = {
    *("errors", "types", "options", "load", "settings", "modelfile", "file_kinds", "gojson", "human"),
    *("proxies", "__version__"),
}
"""What any module may have of `puna` besides the rooms below it."""

DOORS = {
    ("cli/serve.py", "server"),
    ("cli/doctor.py", "library"),
    ("cli/keys.py", "access"),
    ("cli/doctor.py", "engine"),
    ("cli/doctor.py", "scheduling"),
    ("__main__.py", "cli"),
}
"""Imports the list does not allow but a program must begin with."""

_NATIVE = tuple(path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "engine/libllama").iterdir())
ONLY_IN = {"ctypes": _NATIVE, "llama_cpp": _NATIVE, "llguidance": ("engine/grammar.py",)}
"""Foreign packages and the files that may touch each."""

MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
ROOMS = sorted(room for room in BELOW if (PACKAGE / room).is_dir())


@dataclass(frozen=True)
class Import:
    """`from module import name`, or `import module` when `name` is empty."""

    module: str
    name: str
    line: int


def imports(path: str, source: str) -> Iterator[Import]:
    """What the module at `path` imports, relative imports spelled out."""
    package = ["puna", *path.split("/")[:-1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, "", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            yield from (Import(module, alias.name, node.lineno) for alias in node.names)


def exported(room: str) -> set[str]:
    """The names in `__all__` of a room."""
    for node in ast.parse((PACKAGE / room / "__init__.py").read_text()).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets
        ):
            return set(ast.literal_eval(node.value))
    raise AssertionError(f"puna/{room}/__init__.py has no __all__")


def complaint(path: str, wanted: Import) -> str | None:
    """Why the module at `path` may not have this import; None when it may."""
    package, *parts = wanted.module.split(".")
    if package in ONLY_IN and path not in ONLY_IN[package]:
        return f"{package} belongs to {' and '.join(ONLY_IN[package])} alone"
    if package != "puna":
        return None
    own_room = path.partition("/")[0]
    target = parts[0] if parts else wanted.name
    if target in EVERYONE or target == own_room:
        return None
    if target not in BELOW.get(own_room, set()) and (path, target) not in DOORS:
        return f"puna.{target} is not below puna/{own_room}"
    if len(parts) != 1 or wanted.name not in exported(target):
        return f"it is not in puna.{target}'s __all__"
    return None


@pytest.mark.parametrize("path", MODULES)
def test_a_module_imports_only_what_its_room_may(path: str):
    found = [(wanted, complaint(path, wanted)) for wanted in imports(path, (PACKAGE / path).read_text())]
    wrong = [f"puna/{path}:{wanted.line}: {wanted}: {why}" for wanted, why in found if why]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_is_for_and_what_others_may_use(room: str):
    tree = ast.parse((PACKAGE / room / "__init__.py").read_text())
    assert ast.get_docstring(tree)
    assert exported(room)


def test_every_folder_with_code_is_a_known_room():
    assert {path.partition("/")[0] for path in MODULES if "/" in path} <= set(BELOW)


def class_names(source: str) -> Iterator[str]:
    """The classes of a module, and its names for types."""
    tree = ast.parse(source)
    yield from (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    for node in tree.body:
        for target in node.targets if isinstance(node, ast.Assign) else ():
            if isinstance(target, ast.Name) and re.fullmatch(r"_?[A-Z][a-z]\w*", target.id):
                yield target.id


def test_a_class_name_means_one_thing():
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for name in class_names((PACKAGE / path).read_text()):
            places.setdefault(name, []).append(path)
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def room_imports() -> set[tuple[str, str]]:
    """Which room imports from which."""
    found: set[tuple[str, str]] = set()
    for path in (path for path in MODULES if "/" in path):
        own_room = path.partition("/")[0]
        for wanted in imports(path, (PACKAGE / path).read_text()):
            package, *parts = wanted.module.split(".")
            target = parts[0] if parts else wanted.name
            if package == "puna" and target in BELOW and target != own_room:
                found.add((own_room, target))
    return found


def test_the_diagram_shows_the_imports_there_are():
    drawn = ARCHITECTURE.split("```mermaid")[1].partition("```")[0]
    edges = re.findall(r"^ +(\w+) -->(?:\|\w+\|)? (\w+)$", drawn, re.MULTILINE)
    assert len(edges) == len(set(edges))
    assert set(edges) == room_imports()


def test_every_file_that_starts_a_thread_or_a_process_is_in_the_table():
    starts = re.compile(r"\bThread\(|\bThreadPoolExecutor\(|\bPopen\(|subprocess\.run\(|subprocess_exec\(")
    starting = {path for path in MODULES if starts.search((PACKAGE / path).read_text())}
    table = ARCHITECTURE.partition("## Processes and threads")[2].partition("\n## ")[0]
    assert set(re.findall(r"`puna/(\S+\.py)`", table)) == starting


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("library/names.py", "from puna.engine import Engine"),
        ("cli/app.py", "from puna.server import serve"),
        ("server/native.py", "from puna.library.names import Name"),
        ("server/native.py", "from puna.library import no_such_name"),
        ("server/native.py", "import puna.library"),
        ("engine/loop.py", "import ctypes"),
        ("scheduling/lease.py", "def late():\n    from llama_cpp import llama_decode"),
        ("chat/render.py", "from ..engine import Engine"),
    ],
)
def test_the_rule_catches(path: str, source: str):
    assert [complaint(path, wanted) for wanted in imports(path, source)] != [None]
