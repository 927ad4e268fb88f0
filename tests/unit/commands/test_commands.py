"""Commands of ``smsgwctl``: what they load, say and print, who acts, and what documents call them."""

from __future__ import annotations

import ast
import asyncio
import functools
import inspect
import json
import os
import pwd
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from smsgw.cli import _HOME, _MODULES, _help, main
from smsgw.commands.base import print_json, print_table, say
from smsgw.commands.pdu import pdu
from smsgw.core.ids import CHINA
from smsgw.node import database_setup, operators
from smsgw.runtime.config import load


def test_the_listing_has_all_of_them_with_their_help() -> None:
    listed = CliRunner().invoke(main, ["--help"]).output.partition("Commands:\n")[2]
    assert [line.split()[0] for line in listed.splitlines()] == sorted(_HOME)
    assert len(_HOME) == sum(map(len, _MODULES.values())), "each has one home"
    for name in sorted(_HOME):  # it loads and the listing has its help
        command = main.get_command(click.Context(main), name)
        assert command.name == name
        assert click.Command(name, help=_help(name)).get_short_help_str(99) == command.get_short_help_str(99) != ""


IMPORTED = """
import sys
from smsgw.cli import main
try:
    main(sys.argv[1:])
finally:
    print(*sorted(sys.modules), file=sys.stderr)
"""
HEAVY = {"asyncpg", "aiohttp", "redis", "cryptography", "jinja2", "xlsxwriter"}


def test_a_command_imports_what_it_needs() -> None:
    for arguments, packages in (
        (("--help",), ["smsgw.cli"]), (("--version",), ["smsgw.cli"]),
        (("pdu", "decode", "-p", "smpp34", "00000010000000150000000000000001"),
         ["smsgw.cli", "smsgw.commands", "smsgw.core", "smsgw.protocols", "smsgw.recording", "smsgw.runtime"]),
        (("pdu", "--help"),
         ["smsgw.cli", "smsgw.commands", "smsgw.core", "smsgw.protocols", "smsgw.recording", "smsgw.runtime"]),
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", IMPORTED, *arguments], capture_output=True, text=True, check=True, timeout=60
        )
        modules = done.stderr.split()
        assert sorted({".".join(name.split(".")[:2]) for name in modules if name.startswith("smsgw.")}) == packages
        assert not HEAVY & {name.partition(".")[0] for name in modules}
        assert [name for name in modules if name.startswith("smsgw.commands.")] == [
            f"smsgw.commands.{name}" for name in ("base", "pdu") if "smsgw.commands" in packages
        ]
    for command in (("migrate",), ("restore", "--in-place"), ("backup", "make", "/nowhere")):
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
    command = isinstance(found, ast.AsyncFunctionDef) and any(
        ".command(" in ast.unparse(one) for one in found.decorator_list
    )
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


def test_a_command_that_is_named_exists_and_others_are_found() -> None:
    for call, why in (
        ("channel probe", "no command probe"), ("channel test NAME --too 1", "no option --too"),
        ("frobnicate", "no command frobnicate"), ("channel add|lst", "no command lst"), ("--config FILE status", ""),
        ("channel test NAME --to 138", ""), ("setup-code</code>", ""), ("--conf x status", "no option --conf"),
        ("status, then", ""),
    ):  # fmt: skip
        assert wrong(call) == why
    for paths in [[path] for path in DOCUMENTS] + [SOURCES]:  # a command that is named exists
        found = {(path.name, call): why for path in paths for call in calls(path) if (why := wrong(call))}
        assert not found


VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "vectors.json").read_text(encoding="utf-8"))["pdus"]
SHAPE = ("pdu", "length", "fields", "body_omitted", "text", "report", "receipt")


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(pdu, list(arguments), input=stdin)


def test_decode_and_encode_every_vector() -> None:
    for vector in VECTORS:
        result = run("decode", "--protocol", vector["protocol"], vector["hex"])
        assert result.exit_code == 0, result.output
        shown = json.loads(result.output)
        expected = {key: vector[key] for key in SHAPE if key in vector}
        if "text" not in expected:
            # Where the alphabet is a matter of agreement the vectors leave the text open.
            shown.pop("text", None)
        if "receipt" in expected:
            expected["receipt"] = shown["receipt"] | expected["receipt"]
        assert (shown, list(shown["fields"])) == (expected, list(expected["fields"]))
    for vector in VECTORS:  # encode
        stdin = json.dumps({"pdu": vector["pdu"], "fields": vector["fields"]})
        result = run("encode", "--protocol", vector["protocol"], stdin=stdin)
        assert (result.exit_code, result.output.strip()) == (0, vector["hex"])


def test_pdus_are_encoded_and_shown_with_what_there_is() -> None:
    for octets, shown in (
        ("0000001180000005000000640000000700", {"message_id": "", "tlvs": []}),
        ("0000001180000004000000580000000700", {"message_id": "", "tlvs": []}),
        ("00000010800000050000006400000007", None),
    ):
        found = json.loads(run("decode", "-p", "smpp34", octets).output)
        assert found.get("body_omitted", False) is (shown is None)
        head = ("command_length", "command_id", "command_status", "sequence_number")
        assert {k: v for k, v in found["fields"].items() if k not in head} == (shown or {})
    fields = {"sequence_number": 7, "message_id": "ab"}  # encode needs no lengths and no command id
    result = run("encode", "-p", "smpp34", stdin=json.dumps({"pdu": "submit_sm_resp", "fields": fields}))
    assert result.output.strip() == "00000013800000040000000000000007616200"


def test_faults_exit_1_and_usage_2() -> None:
    for arguments, stdin, message in (
        (["decode", "-p", "smpp34", "0g"], None, "not hexadecimal"),
        (["decode", "-p", "smpp34", "00"], None, "1 octets where the header has 16"),
        (["decode", "-p", "cmpp20", "0000000c000000040000003e"], None, "CMPP_SUBMIT.Msg_Id at offset 12"),
        (["encode", "-p", "smpp34"], "{", "not JSON"),
        (["encode", "-p", "smpp34"], "[]", "an object with"),
        (["encode", "-p", "smpp34"], '{"pdu": "submit", "fields": {}}', "no PDU of this name"),
        (["encode", "-p", "smpp34"], '{"pdu": 5, "fields": {}}', "no PDU of this name"),
        (["encode", "-p", "smpp34"], '{"fields": {}}', "command_id: missing"),
        (["encode", "-p", "smpp34"], '{"pdu": "submit_sm", "fields": {"x": 1}}', "submit_sm.x: "),
        (
            ["encode", "-p", "smpp34"],
            '{"pdu": "submit_sm", "fields": {"esm_class": 256}}',
            "submit_sm.esm_class: 256 does not fit",
        ),
        (
            ["encode", "-p", "smpp34"],
            '{"pdu": "submit_sm", "fields": {"destination_addr": "111111111111111111111"}}',
            "submit_sm.destination_addr: 21 characters where 20 are allowed",
        ),
    ):
        result = run(*arguments, stdin=stdin)
        assert result.exit_code == 1
        assert message in result.stderr
        assert result.stdout == ""
    for arguments in (["decode"], ["decode", "-p", "smpp33", "00"], ["encode"], ["explode"]):  # usage exits 2
        assert run(*arguments).exit_code == 2


EVIL = "x\n\x1b]0;title\x07\x9b2J\u202eabc\u2028\0\u4e2d"
SHOWN = r"x\n\x1b]0;title\x07\x9b2J\u202eabc\u2028\x00" + "\u4e2d"


def test_what_others_have_written_is_printed_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"content  {EVIL}")
    print_table([{"a": EVIL, "b": [EVIL]}], ("a", "b"), empty="")
    content, _, row = capsys.readouterr().out.splitlines()
    assert (content, row) == (f"content  {SHOWN}", f"{SHOWN}  {SHOWN}")
    print_json({"content": EVIL})  # json
    text = capsys.readouterr().out
    assert json.loads(text) == {"content": EVIL}
    assert not [c for c in text if c in "\x1b\x9b\u202e\u2028\0\x07"]
    for end, shown in (  # an end is the day that was given
        (datetime(2026, 12, 6, tzinfo=CHINA), "2026-12-05"),
        (datetime(2026, 12, 5, 16, tzinfo=UTC), "2026-12-05"),
        (datetime(2026, 12, 5, 16, 30, tzinfo=UTC), "12-06 00:30:00.000"),
    ):
        print_table([{"id": 1, "expires_at": end}], ("id", "expires_at"), empty="")
        assert capsys.readouterr().out.splitlines()[1].partition("  ")[2].strip() == shown


ASK = "from smsgw.commands.base import actor; print(actor().label)"
SUPERUSER, NOBODY = pwd.getpwuid(0).pw_name, pwd.getpwnam("nobody")


def test_the_environment_has_no_say() -> None:
    environment = os.environ | dict.fromkeys(("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER"), "mallory")
    said = subprocess.run([sys.executable, "-c", ASK], env=environment, check=True, capture_output=True, text=True)
    assert said.stdout.strip() == operators.actor(os.getpid(), os.getuid()).label


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        (str(NOBODY.pw_uid), "cli:nobody"),  # before sudo
        (str(2**32 - 1), f"cli:{SUPERUSER}"),  # a service, a timer
        ("", f"cli:{SUPERUSER}"),
        (None, f"cli:{SUPERUSER}"),  # no such process, or none that we may see
        ("4294967001", "cli:4294967001"),  # of a directory that is away
    ],
)
def test_who_logged_in(login: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "PROC", tmp_path)
    if login is not None:
        (tmp_path / "77").mkdir()
        (tmp_path / "77" / "loginuid").write_text(login, "ascii")
    assert operators.actor(77, 0).label == expected


async def test_a_proxy_that_has_no_database_behind_it() -> None:
    """HAProxy takes the connection and hangs up: the message says whose trouble it is."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = load(None, {"SMSGW_DATABASE_DSN": f"postgresql://smsgw:x@127.0.0.1:{port}/smsgw"})
        with pytest.raises(ConnectionError, match="the database does not answer"):
            async with database_setup.database(settings):
                pytest.fail("it has opened what is not there")
