from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from smsgw.runtime import config, failpoints


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


@pytest.mark.parametrize(
    ("armed", "fails"), [("", [False, True, False, False]), ("+, spool.write=fail", [False, True, True, True])]
)
def test_a_place_fails_at_the_passing_that_was_named(armed: str, fails: list[bool]) -> None:
    failpoints.arm(f"spool.sync=fail@2{armed}")
    assert failpoints.armed() == ("spool.sync", "spool.write")[: 2 if armed else 1]
    for failing in fails:
        with pytest.raises(OSError, match=r"spool\.sync") if failing else contextlib.nullcontext():
            failpoints.reach("spool.sync")


@pytest.mark.parametrize("text", ["no.such=kill", "spool.sync=explode", "spool.sync", "spool.sync=fail@0"])
def test_what_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="SMSGW_FAILPOINT"):
        failpoints.parse(text)


def test_unlisted_places_and_the_variable() -> None:
    failpoints.arm("spool.sync=kill")
    with pytest.raises(LookupError):
        failpoints.reach("spool.snyc")
    config.load(None, {failpoints.VARIABLE: "spool.sync=fail"})


def test_every_place_is_in_the_program_once() -> None:
    program = Path(failpoints.__file__).parents[1]
    sources = [path.read_text("utf-8") for path in program.rglob("*.py")]
    named = Counter(name for text in sources for name in re.findall(r'failpoints\.reach\("([^"]+)"\)', text))
    writers = {name for text in sources for name in re.findall(r'Batcher\(\s*"([\w.]+)"', text)}
    assert writers == failpoints.WRITERS.keys()
    named.update(f"{writer}.{when}" for writer in writers for when in ("commit", "committed"))
    assert named == Counter(list(failpoints.PLACES))


@pytest.mark.parametrize(("action", "number"), [("kill", signal.SIGKILL), ("stop", signal.SIGSTOP)])
def test_the_variable_arms_a_process(action: str, number: signal.Signals) -> None:
    code = "from smsgw.runtime import failpoints; failpoints.reach('accept.committed'); print('went on')"
    with subprocess.Popen(
        [sys.executable, "-c", code], env={"SMSGW_FAILPOINT": f"accept.committed={action}"}, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            if number == signal.SIGKILL:
                assert os.WTERMSIG(status) == number
            else:
                assert os.WSTOPSIG(status) == number
                process.send_signal(signal.SIGCONT)
                out, _ = process.communicate(timeout=60)
                assert out.endswith(b"went on\n")
        finally:
            process.kill()
