from __future__ import annotations

import errno
import subprocess
import sys
from typing import Any

import pytest

from smsgw.channels.intake import Intake


class Nothing:
    """A link, outcomes or a request of which nothing is wanted."""

    session: Any
    pdu = None

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is used")


class Failing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def incoming(self, _: object) -> Any:
        raise self.error


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), MemoryError()], ids=repr)
def test_what_cannot_be_read_for_want_of_something_is_not_answered(error: Exception) -> None:
    nothing: Any = Nothing()
    mapping: Any = Failing(error)
    Intake("a", mapping, nothing).take(nothing, nothing)


def test_nothing_of_a_report_is_read_from_disk_when_the_first_one_comes() -> None:
    code = (
        "import sys, smsgw.channels.mapping, smsgw.core.text;"
        "print({'_strptime', 'encodings.utf_16_be', 'encodings.gb18030'} - sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "set()\n"
