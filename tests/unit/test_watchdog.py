"""Systemd hears that the event loop turns, and hears nothing while it stands still; people are told for how long."""

from __future__ import annotations

import asyncio
import configparser
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from smsgw.core.words import english_of
from smsgw.node import watchdog
from smsgw.node.watchdog import Watchdog
from smsgw.runtime import aio

UNIT = Path(__file__).parents[2] / "systemd" / "smsgw.service"


class Systemd:
    """Listens in a thread of its own, as systemd does in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self.heard: list[tuple[float, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while (said := self._socket.recv(100).decode()) != "end":
            self.heard.append((time.monotonic(), said))

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            one.sendto(b"end", self.path)
        self._thread.join()
        self._socket.close()

    def silence(self) -> float:
        times = [at for at, said in self.heard if said == "WATCHDOG=1"]
        assert times, "never fed"
        return max(b - a for a, b in zip(times, [*times[1:], time.monotonic()], strict=True))


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    one = Systemd(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", one.path)
    yield one
    one.close()


PATIENCE = 4.0


LIMIT = 5.0


async def test_a_loop_that_stands_still_feeds_no_watchdog(systemd: Systemd, capsys: pytest.CaptureFixture[str]) -> None:
    dog = Watchdog({"NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": str(int(PATIENCE * 1e6))})
    task = aio.spawn(dog.run(), name="watchdog")
    await asyncio.sleep(2.7)
    assert len(systemd.heard) >= 2
    assert systemd.silence() < PATIENCE
    assert dog.trouble(LIMIT) is None

    asyncio.get_running_loop().call_soon(time.sleep, LIMIT + 0.7)  # a hog in a callback
    await asyncio.sleep(0.1)
    assert systemd.silence() > PATIENCE, "systemd has ended the process by now"

    async with asyncio.timeout(30):
        while (told := dog.trouble(LIMIT)) is None:  # noqa: ASYNC110 - it looks now and then
            await asyncio.sleep(0.05)
    found = re.search(r"nothing was done for ([\d.]+) s", english_of(told))
    assert LIMIT < float(found[1]) < LIMIT + 10
    assert "loop.stalled" in capsys.readouterr().out
    await aio.cancel(task)
    dog._notifier.socket.close()


def test_without_systemd_nothing_is_told() -> None:
    dog = Watchdog({})
    assert dog.every == watchdog.EVERY
    dog.notify("READY=1")
    assert Watchdog({"WATCHDOG_USEC": "0"}).every == watchdog.EVERY
    assert Watchdog({"WATCHDOG_USEC": "30000000"}).every == watchdog.EVERY


def test_the_unit_asks_for_it() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    service = unit["Service"]
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    patience = float(service["WatchdogSec"])
    assert patience >= 3 * watchdog.EVERY, "two signs of life may be late"
    assert patience >= 2 * LIMIT
    assert service["Restart"] in ("always", "on-failure", "on-abnormal", "on-watchdog")
    assert service["RestartPreventExitStatus"] == "2", "a stalled process ends by a signal"
