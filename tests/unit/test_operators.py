"""Who stands in the audit log for a command: the kernel's word, not the environment's."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from smsgw.node import operators

ASK = "from smsgw.commands.base import actor; print(actor().label)"
ROOT, NOBODY = pwd.getpwuid(0).pw_name, pwd.getpwnam("nobody")


def test_the_environment_has_no_say() -> None:
    environment = os.environ | dict.fromkeys(("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER"), "mallory")
    said = subprocess.run([sys.executable, "-c", ASK], env=environment, check=True, capture_output=True, text=True)
    assert said.stdout.strip() == operators.actor(os.getpid(), os.getuid()).label


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        (str(NOBODY.pw_uid), "cli:nobody"),  # before sudo
        (str(2**32 - 1), f"cli:{ROOT}"),  # a service, a timer
        ("", f"cli:{ROOT}"),
        (None, f"cli:{ROOT}"),  # no such process, or none that we may see
        ("4294967001", "cli:4294967001"),  # of a directory that is away
    ],
)
def test_who_logged_in(login: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "PROC", tmp_path)
    if login is not None:
        (tmp_path / "77").mkdir()
        (tmp_path / "77" / "loginuid").write_text(login, "ascii")
    assert operators.actor(77, 0).label == expected
