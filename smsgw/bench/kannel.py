"""Kannel under the same load: its two boxes with a spool on disk, the same single posts over as many connections to the
same kind of simulated carrier, its delivery reports as calls to a server of ours. It knows no batches: the messages of
ours are single posts there.

Kannel writes its spool and does not sync it; it has no accounts, signs nothing and keeps no record. What is compared is
what a message costs from the post to its report.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from smsgw.bench.load import Customer, Load, Observed
from smsgw.bench.processes import CpuMeter
from smsgw.bench.result import Against, Latency, Rival
from smsgw.bench.sink import ANSWER, NOT_FOUND, Event, Sink, listening
from smsgw.bench.stage import USER, Setting, Simulation, end, free_ports
from smsgw.bench.wire import Answer, Endpoint

BEARERBOX, SMSBOX = "bearerbox", "smsbox"
LOG_LEVEL = "3"
"""Errors alone are told."""
START_TIMEOUT = 20.0
PATIENCE = 10.0
"""Seconds without a report after which no more are waited for: a report that is there before Kannel has entered the
answer to its submit is thrown away."""
CARRIED, REPORTED = 0.99, 0.8
"""Of the messages so many must be accepted and come to the carrier, and so many be reported: with fewer it has failed
under this load, and there is nothing to compare."""
VERSION_WITHIN = 5.0
_BOTH = 3
"""Reports of delivery and of failure, one a message: as our customer gets them."""
_DELIVERED = b"1"
_REPORT = re.compile(rb"GET /events\?n=([0-9]{1,12})&s=([0-9]{1,3}) ")
_VERSION = re.compile(rb"version [^0-9]*([0-9.]+)")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CONFIG = """\
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = {password}
smsbox-port = {box}
smsbox-interface = 127.0.0.1
box-allow-ip = 127.0.0.1
dlr-storage = internal
store-type = spool
store-location = {spool}

group = smsc
smsc = smpp
smsc-id = carrier
host = 127.0.0.1
port = {smpp}
transceiver-mode = true
smsc-username = {user}
smsc-password = {login}
system-type = ""
source-addr-ton = 0
source-addr-npi = 1
dest-addr-ton = 1
dest-addr-npi = 1
max-pending-submits = {window}
instances = {links}

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {send}
sendsms-interface = 127.0.0.1

group = sendsms-user
username = bench
password = {password}
concatenation = true
user-allow-ip = 127.0.0.1

group = sms-service
keyword = default
text = x
max-messages = 0
"""


def installed() -> bool:
    """Both boxes are here."""
    return bool(shutil.which(BEARERBOX, path=_PATH) and shutil.which(SMSBOX, path=_PATH))


@dataclass(slots=True)
class Kannel:
    """A running one."""

    endpoint: Endpoint
    password: str
    pids: list[int]
    """Of bearerbox and smsbox."""
    simulation: Simulation


@contextlib.asynccontextmanager
async def running(folder: Path, setting: Setting) -> AsyncIterator[Kannel]:
    """Carrier and boxes in a folder of ours. Raises ``RuntimeError`` and ``TimeoutError`` when they do not come up."""
    login, password = secrets.token_hex(4), secrets.token_hex(8)
    boxes: list[asyncio.subprocess.Process] = []
    async with contextlib.AsyncExitStack() as stack:
        simulation = await Simulation.start(folder, setting, login)
        stack.push_async_callback(simulation.stop)
        ports = dict(zip(("admin", "box", "send"), free_ports(3), strict=True))
        spool = folder / "kannel-spool"
        spool.mkdir()
        config = folder / "kannel.conf"
        config.touch(0o600)
        config.write_text(
            _CONFIG.format(
                spool=spool, smpp=next(iter(simulation.ports.values())), user=USER, login=login, password=password,
                window=setting.window, links=setting.links, **ports,
            ), "ascii",
        )  # fmt: skip
        log = stack.enter_context((folder / "kannel.log").open("wb"))
        for box, port in ((BEARERBOX, ports["box"]), (SMSBOX, ports["send"])):
            path = shutil.which(box, path=_PATH)
            if path is None:
                raise RuntimeError(f"{box} is not installed")
            process = await asyncio.create_subprocess_exec(
                path, "-v", LOG_LEVEL, str(config), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
            stack.push_async_callback(end, process)
            boxes.append(process)
            await _listening(process, box, port)
        endpoint = Endpoint(f"http://127.0.0.1:{ports['send']}", "")
        yield Kannel(endpoint, password, [process.pid for process in boxes], simulation)


async def _listening(process: asyncio.subprocess.Process, box: str, port: int) -> None:
    async with asyncio.timeout(START_TIMEOUT):
        while True:
            if process.returncode is not None:
                raise RuntimeError(f"{box} ended with {process.returncode}")
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.1)


class Reports(Sink):
    """Takes Kannel's calls, whose address says of which message they are."""

    def take(self, head: bytes, body: bytes) -> bytes:
        """One call; the answer to it."""
        found = _REPORT.match(head)
        if found is None:
            return NOT_FOUND
        self.calls += 1
        self.receive([Event(found[1].decode(), "delivered" if found[2] == _DELIVERED else "failed")])
        return ANSWER


class KannelCustomer(Customer):
    """Posts to Kannel's smsbox. Messages are known by their serial numbers."""

    def __init__(self, kannel: Kannel, load: Load, sink: Reports, *, first_serial: int = 0) -> None:
        super().__init__(kannel.endpoint, replace(load, patience=PATIENCE), first_serial=first_serial, sink=sink)
        login = f"username=bench&password={kannel.password}"
        self._before = f"GET /cgi-bin/sendsms?{login}&from=10690001&coding=2&charset=UTF-8"
        self._report = quote(sink.url, safe="")

    def _request(self, endpoint: Endpoint, first: int, size: int) -> bytes:
        number, text = self._message(first)
        report = f"dlr-mask={_BOTH}&dlr-url={self._report}%3Fn%3D{self._first + first}%26s%3D%25d"
        wanted = f"{self._before}&to={number}&text={quote(text)}&{report}"
        return f"{wanted} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()

    def _accepted(self, first: int, answer: Answer) -> None:
        self.seen.ids[self._first + first] = first


async def run(parent: Path | None, setting: Setting, load: Load, warm_up: int, ours: Rival) -> Against:
    """Put it under the load, and hold it against ours."""
    load = replace(load, batch=0, template="", codes_rate=0.0)
    folder = Path(tempfile.mkdtemp(prefix="smsgw-bench-", dir=parent))
    try:
        async with running(folder, setting) as kannel, listening(Reports()) as sink:
            if warm_up:
                warm = replace(load, messages=warm_up, connections=min(load.connections, 10), rate=0.0)
                await _carried(KannelCustomer(kannel, warm, sink))
            groups: dict[str, int | Sequence[int]] = {
                "boxes": kannel.pids, "carriers": kannel.simulation.pid, "load generator": os.getpid(),
            }  # fmt: skip
            before = (await kannel.simulation.ask(do="counts"))["unique"]
            meter = CpuMeter(groups)
            meter.start()
            seen = await _carried(KannelCustomer(kannel, load, sink, first_serial=warm_up))
            used = meter.used()
            arrived = (await kannel.simulation.ask(do="counts"))["unique"] - before
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return held_against(ours, seen, load.messages, arrived, used["boxes"], await _version())


def held_against(ours: Rival, seen: Observed, posted: int, arrived: int, cpu_s: float, version: str) -> Against:
    """What it did by what ours did. Raises ``RuntimeError`` when it did not carry the load."""
    if min(seen.accepted, arrived) < CARRIED * posted or len(seen.pulled) < REPORTED * posted:
        raise RuntimeError(
            f"Kannel did not carry this load, so nothing is compared: of {posted:,} messages it accepted "
            f"{seen.accepted:,}, {arrived:,} came to the carrier, {len(seen.pulled):,} were reported"
        )
    theirs = Rival(
        round(seen.accepted / max(1e-9, seen.last_accept - seen.first_post), 1),
        round(len(seen.pulled) / max(1e-9, seen.last_pull - seen.first_post), 1),
        round(cpu_s * 1000 / arrived, 4),
    )
    return Against(
        version, theirs, seen.accepted, arrived, len(seen.pulled),
        round(ours.end_to_end_per_s / max(1e-9, theirs.end_to_end_per_s), 2),
        round(ours.cpu_ms / max(1e-9, theirs.cpu_ms), 2),
        Latency.of(seen.accept_seconds),
        Latency.of(at - seen.posted_at[seen.ids[int(n)]] for n, at in seen.pulled.items() if int(n) in seen.ids),
    )  # fmt: skip


async def _carried(customer: KannelCustomer) -> Observed:
    with contextlib.suppress(TimeoutError):
        await customer.run()
    return customer.seen


async def _version() -> str:
    process = await asyncio.create_subprocess_exec(
        shutil.which(BEARERBOX, path=_PATH) or BEARERBOX, "--version",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(VERSION_WITHIN):
            told, _ = await process.communicate()
    except TimeoutError:
        await end(process)
        return "?"
    found = _VERSION.search(told)
    return found[1].decode() if found else "?"
