"""Every command of ``smsgwctl`` is there when it is asked for."""

from __future__ import annotations

import click
import pytest

from smsgw.cli import _HOME, _MODULES, main


@pytest.mark.parametrize("name", sorted(_HOME))
def test_it_loads(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name


def test_each_has_one_home() -> None:
    assert len(_HOME) == sum(map(len, _MODULES.values()))
