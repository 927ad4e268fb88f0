from __future__ import annotations

import errno
import subprocess
import sys
from typing import Any

import pytest

from smsgw.channels.intake import Intake


class Session:
    """Of which nothing is wanted but that the request is let go."""

    forgotten = 0

    def forget(self, _: object) -> None:
        self.forgotten += 1


class Link:
    def __init__(self) -> None:
        self.session = Session()


class Request:
    pdu = None


class Failing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def incoming(self, _: object) -> Any:
        raise self.error


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), MemoryError()], ids=repr)
async def test_what_cannot_be_read_for_want_of_something_is_not_answered(error: Exception) -> None:
    mapping: Any = Failing(error)
    nothing: Any = None
    link, request = Link(), Request()
    Intake("a", mapping, nothing).take(link, request)  # type: ignore[arg-type]
    assert link.session.forgotten == 1


def test_nothing_of_a_report_is_read_from_disk_when_the_first_one_comes() -> None:
    code = (
        "import sys, smsgw.channels.mapping, smsgw.core.text;"
        "print({'_strptime', 'encodings.utf_16_be', 'encodings.gb18030'} - sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "set()\n"
