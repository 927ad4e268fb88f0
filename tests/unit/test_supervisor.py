"""The supervisor of workers: what one that cannot start means for the others, and whose signs it listens to."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from smsgw.node import supervisor as module
from smsgw.node.supervisor import Supervisor
from smsgw.runtime import aio
from smsgw.runtime.config import Config, HttpConfig, NodeConfig
from smsgw.runtime.crew import Place
from smsgw.store.engine import embedded

SERVES = """
import os, signal, socket, sys
signs = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
signs.connect(os.environ["NOTIFY_SOCKET"])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signs.send(b"READY=1")
while True:
    signal.pause()
"""
FAILS = "import sys; sys.exit(3)"
HANGS = "import signal; signal.pause()"


UNIT = Path(__file__).parents[2] / "systemd" / "smsgw.service"


class Crew(Supervisor):
    """Its workers run these programs instead, and it has no database."""

    def __init__(self, root: Path, programs: dict[int, str], surplus: list[int]) -> None:
        settings = Config(node=NodeConfig(data_dir=root), http=HttpConfig(listen="127.0.0.1:0"))
        super().__init__(settings, None, surplus)
        self._programs = programs
        self.begun: list[int] = []

    async def _open_database(self) -> dict[str, str]:
        return {}

    def _command(self, place: Place) -> list[str]:
        self.begun.append(place.worker)
        return [sys.executable, "-c", self._programs[place.worker]]


async def ends(run: asyncio.Task[int]) -> int:
    async with asyncio.timeout(30):
        return await run


async def test_a_left_over_worker_that_cannot_start_ends_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.05)
    root = tmp_path / ("deep" * 30)  # further down than the name of a socket may be long
    crew = Crew(root, {1: SERVES, 3: FAILS}, [3])
    run = aio.spawn(crew.run(), name="supervisor")
    async with asyncio.timeout(30):
        while crew.begun.count(3) < 2:
            assert not run.done()
            await asyncio.sleep(0.05)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await ends(run) == 0
    assert crew.begun.count(1) == 1
    assert not list(root.rglob(module.SIGNS))


async def test_a_first_worker_that_cannot_start_ends_it(tmp_path: Path) -> None:
    assert await ends(aio.spawn(Crew(tmp_path / "data", {1: FAILS}, []).run(), name="supervisor")) == 3


async def test_one_that_never_begins_to_serve_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEGINS_WITHIN", 1.0)
    status = await ends(aio.spawn(Crew(tmp_path / "data", {1: HANGS}, []).run(), name="supervisor"))
    assert status == signal.SIGABRT


def test_systemd_waits_for_longer_than_a_stop_may_last() -> None:
    (patience,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT.read_text("ascii"), re.MULTILINE)
    database = embedded._FAST_STOP_SECONDS + 2 * embedded._IMMEDIATE_STOP_SECONDS
    assert int(patience) > module.STOP_PATIENCE + module.KILLED_PATIENCE + database
