"""Sources as those tests read them that hold them against a rule: parsed once, and walked over once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest


@cache
def parsed(path: Path) -> ast.Module:
    """A module."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """All of a module, as ``ast.walk`` finds it."""
    return tuple(ast.walk(tree))


def modules(*folders: Path) -> Iterator[tuple[Path, ast.Module]]:
    """The modules of folders."""
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            yield path, parsed(path)


def dotted(node: ast.AST) -> str:
    """``a.b.c``, as it is written; of what is no name and no attribute, nothing."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{dotted(value)}.{name}"
    return ""


@pytest.fixture(autouse=True, scope="module")
def forgotten() -> Iterator[None]:
    """Some million nodes are not carried along by the tests that come after."""
    yield
    nodes.cache_clear()
    parsed.cache_clear()
