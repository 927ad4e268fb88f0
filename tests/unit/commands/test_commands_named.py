"""Every ``smsgwctl …`` that documents, pages, help and messages name is a command, with these options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from smsgw.cli import _HOME, main

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


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_command_of_a_document_exists(path: Path) -> None:
    found = {f"{call.strip()}: {why}" for call in calls(path) if (why := wrong(call))}
    assert not found, found


def test_a_command_of_a_page_or_a_message_exists() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {call.strip()}: {why}"
        for path in SOURCES
        for call in calls(path)
        if (why := wrong(call))
    }
    assert not found, found


@pytest.mark.parametrize(
    ("call", "why"),
    [("channel probe", "no command probe"), ("channel test NAME --too 1", "no option --too"), ("frobnicate", "no com"),
     ("channel add|lst", "no command lst"), ("--config FILE status", ""), ("channel test NAME --to 138", ""),
     ("setup-code</code>", ""), ("--conf x status", "no option --conf"), ("status, then", "")],
)  # fmt: skip
def test_what_does_not_exist_is_found(call: str, why: str) -> None:
    found = wrong(call)
    assert why in found
    assert bool(why) is bool(found)
