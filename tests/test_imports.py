"""Imports run one way, down the layers that CONTRIBUTING.md shows, and nowhere in a circle."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def parts() -> dict[str, Path]:
    """Return the file of each module of the package, by its dotted name."""
    found = {}
    for path in sorted((REPOSITORY / "fssbench").rglob("*.py")):
        names = path.relative_to(REPOSITORY).with_suffix("").parts
        found[".".join(names[:-1] if names[-1] == "__init__" else names)] = path
    return found


def imported_by(tree: ast.AST) -> Iterator[str]:
    """Yield what a module imports, also inside functions; what is for the type checker alone imports nothing."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)
        yield from imported_by(node)


@cache
def imports() -> dict[str, set[str]]:
    """Return for each module the modules of the package that it imports."""
    known = parts()
    found = {}
    for module, path in known.items():
        targets = set()
        for name in imported_by(ast.parse(path.read_text(encoding="utf-8"))):
            target = name if name in known else name.rpartition(".")[0]
            if target in known and target != module:
                targets.add(target)
        found[module] = targets
    return found


def room(module: str) -> str:
    """Return the package or file at the top that a module belongs to; "fssbench" for the face of all."""
    return module.split(".")[1] if "." in module else module


def layers() -> list[list[str]]:
    """Return the layers, highest first, from the block that CONTRIBUTING.md shows."""
    block = re.search(r"```layers\n(.*?)```", (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    return [line.split("#")[0].split() for line in block[1].splitlines()]


def circle_in(graph: dict[str, set[str]]) -> list[str] | None:
    """Return the names along a circle, or None if there is none."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return None
        for target in sorted(graph.get(name, ())):
            if circle := visit(target, [*path, name]):
                return circle
        done.add(name)
        return None

    return next((circle for name in graph if (circle := visit(name, []))), None)


def between_rooms() -> dict[str, set[str]]:
    """Return for each room those it imports from."""
    found: dict[str, set[str]] = {}
    for module, targets in imports().items():
        found.setdefault(room(module), set()).update(room(target) for target in targets)
    return {name: targets - {name} for name, targets in found.items()}


def test_no_file_is_in_a_circle() -> None:
    assert circle_in(imports()) is None


def test_no_room_is_in_a_circle() -> None:
    assert circle_in(between_rooms()) is None


def test_every_room_has_its_layer() -> None:
    listed = [name for layer in layers() for name in layer]
    assert sorted(listed) == sorted({room(module) for module in parts()})


def test_nothing_is_imported_from_a_higher_layer_or_its_own() -> None:
    place = {name: depth for depth, layer in enumerate(layers()) for name in layer}
    upwards = [
        f"{name} imports {target}"
        for name, targets in between_rooms().items()
        for target in targets
        if place[target] <= place[name]
    ]
    assert upwards == []


@pytest.mark.parametrize(
    ("graph", "circle"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, None),
        ({"a": {"b"}, "b": {"c"}, "c": {"b"}}, ["b", "c", "b"]),
        ({"a": {"a"}}, ["a", "a"]),
    ],
)
def test_a_circle_is_found(graph: dict[str, set[str]], circle: list[str] | None) -> None:
    assert circle_in(graph) == circle


def test_imports_inside_functions_count() -> None:
    tree = ast.parse("def f():\n    from fssbench.engine import evaluate\nif TYPE_CHECKING:\n    import fssbench.cli\n")
    assert list(imported_by(tree)) == ["fssbench.engine.evaluate"]
