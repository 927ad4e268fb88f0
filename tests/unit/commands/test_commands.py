"""Commands of ``smsgwctl``: each is there, loads what it needs, says something, and is what documents call it."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from smsgw.cli import _HOME, _MODULES, _help, main


@pytest.mark.parametrize("name", sorted(_HOME))
def test_it_loads_and_the_listing_has_its_help(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command.name == name
    assert click.Command(name, help=_help(name)).get_short_help_str(99) == command.get_short_help_str(99) != ""


def test_the_listing_has_all_of_them() -> None:
    listed = CliRunner().invoke(main, ["--help"]).output.partition("Commands:\n")[2]
    assert [line.split()[0] for line in listed.splitlines()] == sorted(_HOME)
    assert len(_HOME) == sum(map(len, _MODULES.values())), "each has one home"


IMPORTED = """
import sys
from smsgw.cli import main
try:
    main(sys.argv[1:])
finally:
    print(*sorted(sys.modules), file=sys.stderr)
"""
HEAVY = {"asyncpg", "aiohttp", "redis", "cryptography", "jinja2", "xlsxwriter"}


@pytest.mark.parametrize(
    ("arguments", "packages"),
    [(("--help",), ["smsgw.cli"]), (("--version",), ["smsgw.cli"]),
     (("pdu", "decode", "-p", "smpp34", "00000010000000150000000000000001"),
      ["smsgw.cli", "smsgw.commands", "smsgw.core", "smsgw.protocols", "smsgw.recording", "smsgw.runtime"]),
     (("pdu", "--help"),
      ["smsgw.cli", "smsgw.commands", "smsgw.core", "smsgw.protocols", "smsgw.recording", "smsgw.runtime"])],
)  # fmt: skip
def test_a_command_imports_what_it_needs(arguments: tuple[str, ...], packages: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    modules = done.stderr.split()
    assert sorted({".".join(name.split(".")[:2]) for name in modules if name.startswith("smsgw.")}) == packages
    assert not HEAVY & {name.partition(".")[0] for name in modules}
    assert [name for name in modules if name.startswith("smsgw.commands.")] == [
        f"smsgw.commands.{name}" for name in ("base", "pdu") if "smsgw.commands" in packages
    ]


@pytest.mark.parametrize("command", [("migrate",), ("restore", "--in-place"), ("backup", "make", "/nowhere")])
def test_an_owners_address_that_is_none_is_not_shown(command: tuple[str, ...]) -> None:
    done = CliRunner().invoke(main, [*command, "--dsn", "postgresql://o:pa/55@h/d"])
    assert done.exit_code == 2
    assert "must look like postgresql://" in done.output
    assert "55" not in done.output


OUTPUT = {"echo", "say", "print_json", "print_table", "show_line", "write", "writerow"}
SERVES = {"run", "demo"}
"""They run until they are stopped, and log."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


def leaves(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name in command.list_commands(click.Context(command)):
        yield from leaves(command.get_command(click.Context(command), name), f"{path} {name}".strip())


COMMANDS = dict(leaves(main, ""))


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


ROOT = Path(__file__).parents[3]
DOCUMENTS = [path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")] if path.name != "CHANGELOG.md"]
SOURCES = [path for kind in ("py", "html", "po") for path in (ROOT / "smsgw").rglob(f"*.{kind}")]
CALL = re.compile(r"smsgwctl((?:[ \t]+[^\s`()（），。；]+)+)")
SPAN = re.compile(r"`([a-z-]+ [^`\n]+)`")
MESSAGES = ("node number N is taken by …",)
"""Not commands, though they begin like one."""


def options(command: click.Command) -> set[str]:
    return {"--help", "-h"}.union(
        *([*one.opts, *one.secondary_opts] for one in command.params if isinstance(one, click.Option))
    )


def wrong(line: str) -> str:
    """What of a call of ``smsgwctl`` does not exist; empty: all does."""
    command: click.Command = main
    words = iter(re.sub(r"[][\"'\\]|<.*", " ", line).split())
    for word in words:
        names = word.rstrip(".,:;").split("|")
        if isinstance(command, click.Group) and not word.startswith("-"):
            if not re.fullmatch("[a-z][a-z-]*", names[0]):  # a placeholder, or another program
                return ""
            found = [command.get_command(click.Context(command), name) for name in names]
            if None in found:
                return f"no command {names[found.index(None)]}"
            assert found[0] is not None
            command = found[0]
            if word[-1] in ".,:;":  # the sentence goes on
                return ""
            continue
        given = [name.partition("=")[0] for name in names if name.startswith("--")]
        if missing := [name for name in given if re.fullmatch("--[a-z-]+", name) and name not in options(command)]:
            return f"no option {missing[0]}"
        if given and isinstance(command, click.Group) and "=" not in word and given != ["--help"]:
            next(words, None)
    return ""


def calls(path: Path) -> Iterator[str]:
    """Of a file, without ``smsgwctl``; in documents those, too, that begin with the command."""
    text = path.read_text("utf-8")
    if path.suffix != ".md":
        text = re.sub(r'" *\n\s*f?"', "", text)  # a text over several lines
    yield from (found[1] for found in CALL.finditer(text))
    if path.suffix == ".md":
        spans = (found[1].replace("\\|", "|") for found in SPAN.finditer(text))
        yield from (span for span in spans if span.split()[0] in _HOME and span not in MESSAGES)


@pytest.mark.parametrize("paths", [[path] for path in DOCUMENTS] + [SOURCES], ids=lambda paths: paths[0].name)
def test_a_command_that_is_named_exists(paths: list[Path]) -> None:
    found = {(path.name, call): why for path in paths for call in calls(path) if (why := wrong(call))}
    assert not found


def test_what_does_not_exist_is_found() -> None:
    for call, why in (
        ("channel probe", "no command probe"), ("channel test NAME --too 1", "no option --too"),
        ("frobnicate", "no command frobnicate"), ("channel add|lst", "no command lst"), ("--config FILE status", ""),
        ("channel test NAME --to 138", ""), ("setup-code</code>", ""), ("--conf x status", "no option --conf"),
        ("status, then", ""),
    ):  # fmt: skip
        assert wrong(call) == why
