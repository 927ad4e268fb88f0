"""Every command of ``smsgwctl`` is there when it is asked for."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from smsgw.cli import _HOME, _MODULES, _help, main


@pytest.mark.parametrize("name", sorted(_HOME))
def test_it_loads(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command.name == name


@pytest.mark.parametrize("name", sorted(_HOME))
def test_the_listing_has_its_help(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert click.Command(name, help=_help(name)).get_short_help_str(99) == command.get_short_help_str(99) != ""


def test_the_listing_has_all_of_them() -> None:
    listed = CliRunner().invoke(main, ["--help"]).output.partition("Commands:\n")[2]
    assert [line.split()[0] for line in listed.splitlines()] == sorted(_HOME)


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


def test_each_has_one_home() -> None:
    assert len(_HOME) == sum(map(len, _MODULES.values()))


@pytest.mark.parametrize("command", [("migrate",), ("restore", "--in-place"), ("backup", "make", "/nowhere")])
def test_an_owners_address_that_is_none_is_not_shown(command: tuple[str, ...]) -> None:
    done = CliRunner().invoke(main, [*command, "--dsn", "postgresql://o:pa/55@h/d"])
    assert done.exit_code == 2
    assert "must look like postgresql://" in done.output
    assert "55" not in done.output
