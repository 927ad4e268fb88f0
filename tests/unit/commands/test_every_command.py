"""Every command of ``smsgwctl`` is there when it is asked for."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from smsgw.cli import _HOME, _MODULES, main


@pytest.mark.parametrize("name", sorted(_HOME))
def test_it_loads(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name


def test_each_has_one_home() -> None:
    assert len(_HOME) == sum(map(len, _MODULES.values()))


@pytest.mark.parametrize("command", [("migrate",), ("restore", "--in-place"), ("backup", "make", "/nowhere")])
def test_an_owners_address_that_is_none_is_not_shown(command: tuple[str, ...]) -> None:
    done = CliRunner().invoke(main, [*command, "--dsn", "postgresql://o:pa/55@h/d"])
    assert done.exit_code == 2
    assert "must look like postgresql://" in done.output
    assert "55" not in done.output
