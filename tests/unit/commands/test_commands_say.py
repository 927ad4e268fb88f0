"""No command of ``smsgwctl`` is silent: one that changes something says what is so now, on whichever way it ends."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Iterator, Mapping
from importlib import import_module

import click
import pytest

from smsgw.cli import _HOME, main

OUTPUT = {"echo", "say", "print_json", "print_table", "show_line", "write", "writerow"}
SERVES = {"run", "demo"}
"""They run until they are stopped, and log."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


def leaves(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command below, with its name."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name in command.list_commands(click.Context(command)):
        found = command.get_command(click.Context(command), name)
        assert found is not None
        yield from leaves(found, f"{path} {name}".strip())


COMMANDS = {
    path: command
    for name in sorted(_HOME)
    for path, command in leaves(main.get_command(click.Context(main), name) or main, name)
}


@functools.cache
def functions(module: str) -> Mapping[str, Function]:
    tree = ast.parse(inspect.getsource(import_module(module)))
    return {one.name: one for one in ast.walk(tree) if isinstance(one, Function)}


def function_says(module: str, name: str, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a function of the commands writes something, on each way through it."""
    found = functions(module).get(name)
    if found is None:
        other = getattr(getattr(import_module(module), name, None), "__module__", "") or ""
        return other.startswith("smsgw.commands") and other != module and function_says(other, name, seen)
    if name in seen:
        return False
    command = any("run_async" in ast.unparse(one) for one in found.decorator_list)
    returns = found.returns is not None and ast.unparse(found.returns) == "str"
    return (command and returns) or body_says(module, found.body, seen | {name})


def expression_says(module: str, node: ast.AST, seen: frozenset[str]) -> bool:
    for one in ast.walk(node):
        if isinstance(one, ast.Call):
            name = one.func.attr if isinstance(one.func, ast.Attribute) else getattr(one.func, "id", "")
            named = [arg.id for arg in [one.func, *one.args] if isinstance(arg, ast.Name)]
            if name in OUTPUT or any(function_says(module, each, seen) for each in named):
                return True
    return False


def body_says(module: str, body: list[ast.stmt], seen: frozenset[str]) -> bool:
    for one in body:
        match one:
            case ast.Raise():
                return True
            case ast.If():
                says = body_says(module, one.body, seen)
                if says and one.orelse and body_says(module, one.orelse, seen):
                    return True
                if not says and any(isinstance(each, ast.Return) for each in ast.walk(one)):
                    return False
            case ast.With() | ast.AsyncWith() | ast.Try():
                if body_says(module, one.body, seen) or body_says(module, getattr(one, "orelse", []), seen):
                    return True
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                pass
            case _ if expression_says(module, one, seen):  # a loop that writes: it is over what there is
                return True
            case ast.Return():
                return False
    return False


@pytest.mark.parametrize("path", sorted(COMMANDS.keys() - SERVES))
def test_it_says_something(path: str) -> None:
    callback = inspect.unwrap(COMMANDS[path].callback)  # type: ignore[arg-type]
    assert function_says(callback.__module__, callback.__name__), (
        f"smsgwctl {path} can end without a word: return the line that says what is so now"
    )
