"""Programs of ours: they give way, end with their parent, fail where they are told to, and are watched."""

from __future__ import annotations

import asyncio
import configparser
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from smsgw.core.words import english_of
from smsgw.node import supervisor as module, watchdog
from smsgw.node.supervisor import Supervisor
from smsgw.node.watchdog import Watchdog
from smsgw.runtime import aio, config, failpoints, programs
from smsgw.runtime.config import Config, HttpConfig, NodeConfig
from smsgw.runtime.programs import GivingWay
from smsgw.runtime.worker_pool import Place
from smsgw.store.engine import embedded


async def test_a_program_that_finds_no_free_processor_is_one_of_many_from_then_on() -> None:
    """One that stands still is like one that nobody leaves a processor to."""
    process = await create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    into, out = process.stdin, process.stdout
    clock = asyncio.get_running_loop().time

    async def echo() -> bytes:
        into.write(b"piece\n")
        return await out.readline()

    way = GivingWay(process, seconds=0.3, rest=0.0)
    found, not_rested_for = [], []
    try:
        assert os.sched_getscheduler(process.pid) == os.SCHED_IDLE
        for _ in range(3):
            os.kill(process.pid, signal.SIGSTOP)
            begun = clock()
            asked = aio.spawn(way.answer(echo()), name="test.asked")
            async with asyncio.timeout(60):
                while os.sched_getscheduler(process.pid) == os.SCHED_IDLE:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0)
            os.kill(process.pid, signal.SIGCONT)
            assert await asked == b"piece\n"
            found.append(os.sched_getscheduler(process.pid))
            not_rested_for.append(way._begun - begun >= 0.29)
            await way.rest()
    finally:
        await programs.end(process)
    assert found == [os.SCHED_IDLE, os.SCHED_OTHER, os.SCHED_OTHER]
    assert not_rested_for == [True, True, False]


async def test_one_piece_that_is_helped_among_others_changes_nothing() -> None:
    process = await create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    helped = asyncio.Event()

    async def late() -> bytes:
        await helped.wait()
        return b"late"

    async def at_once() -> bytes:
        return b"at once"

    way = GivingWay(process, seconds=60.0, rest=0.0)
    try:
        for _ in range(3):
            way._seconds, asked = 0.01, aio.spawn(way.answer(late()), name="test.asked")
            await asyncio.sleep(0.1)
            helped.set()
            assert await asked == b"late"
            helped.clear()
            way._seconds = 60.0
            assert await way.answer(at_once()) == b"at once"
            assert os.sched_getscheduler(process.pid) == os.SCHED_IDLE
    finally:
        await programs.end(process)


async def test_the_number_of_a_program_that_has_ended_is_another_s(monkeypatch: pytest.MonkeyPatch) -> None:
    process = await create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    way = GivingWay(process, seconds=0.0, rest=0.0)

    async def ended() -> bytes:
        await programs.end(process)
        return b""

    touched: list[int] = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda pid, *_: touched.append(process.returncode or 0))
    assert await way.answer(ended()) == b""
    assert -signal.SIGKILL not in touched


CHILD = "from smsgw.runtime.attached import attach; attach(); print(1, flush=True); import time; time.sleep(60)"
PARENT = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,"
    " start_new_session=True)\n"
    "child.stdout.readline()\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(60)\n"
)


def _gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_it_ends_with_its_parent_and_by_a_signal() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        assert not _gone(pid)
        parent.kill()
    deadline = time.monotonic() + 20
    while not _gone(pid):
        assert time.monotonic() < deadline, os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        child.stdout.readline()
        child.stdin.close()
        assert child.wait(20) == -signal.SIGTERM


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


def test_a_place_fails_at_the_passing_that_was_named() -> None:
    for armed, fails in (("", [False, True, False, False]), ("+, spool.write=fail", [False, True, True, True])):
        failpoints.arm(f"spool.sync=fail@2{armed}")
        assert failpoints.armed() == ("spool.sync", "spool.write")[: 2 if armed else 1]
        for failing in fails:
            with pytest.raises(OSError, match=r"spool\.sync") if failing else contextlib.nullcontext():
                failpoints.reach("spool.sync")
    for text in ("no.such=kill", "spool.sync=explode", "spool.sync", "spool.sync=fail@0"):
        with pytest.raises(ValueError, match="SMSGW_FAILPOINT"):
            failpoints.parse(text)
    failpoints.arm("spool.sync=kill")  # unlisted places and the variable
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
        [sys.executable, "-c", code], env={"SMSGW_FAILPOINT": f"accept.committed={action}"}, stdout=subprocess.PIPE
    ) as process:
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


def test_without_systemd_nothing_is_told_and_the_unit_asks_for_it() -> None:
    dog = Watchdog({})
    assert dog.every == watchdog.EVERY
    dog.notify("READY=1")
    assert Watchdog({"WATCHDOG_USEC": "0"}).every == watchdog.EVERY
    assert Watchdog({"WATCHDOG_USEC": "30000000"}).every == watchdog.EVERY
    unit = configparser.ConfigParser(strict=False, interpolation=None)  # the unit asks for it
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    service = unit["Service"]
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    patience = float(service["WatchdogSec"])
    assert patience >= 3 * watchdog.EVERY, "two signs of life may be late"
    assert patience >= 2 * LIMIT
    assert service["Restart"] in ("always", "on-failure", "on-abnormal", "on-watchdog")
    assert service["RestartPreventExitStatus"] == "2", "a stalled process ends by a signal"
    (patience,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT.read_text("ascii"), re.MULTILINE)
    database = embedded._FAST_STOP_SECONDS + 2 * embedded._IMMEDIATE_STOP_SECONDS
    assert int(patience) > module.STOP_PATIENCE + module.KILLED_PATIENCE + database
