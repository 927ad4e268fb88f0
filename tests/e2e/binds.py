"""Masses of binds, right and wrong ones, beside partners who are bound: used by a test for seconds, and at full length
(10,000 in a minute) by ``scripts/trials --only binds``. Each answer must be the one that docs/partners.md says."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from changes import by_test
from harness import until
from measures import files, memory, quantiles
from partner_client import PASSWORD, PartnerClient, PartnerSite, cmpp_client, smpp_client, submit, submit_sm

from smsgw.core.guard import PARTNERS
from smsgw.platform.partners import service as partners
from smsgw.protocols.pdu import Pdu
from smsgw.runtime import aio

Figures = dict[str, object]
MODES = ("transmitter", "receiver", "transceiver")
WRONG = {"smpp": 0x0E, "cmpp": 3}
"""Name or password is wrong."""
LATER = {"smpp": 0x0D, "cmpp": 5}
"""Too fast, too many."""
ADDRESS = {"smpp": 0x0D, "cmpp": 2}
VERSION_TOO_HIGH = 4
PAUSE = 0.9
"""Seconds that a wrong login is kept waiting, at least; 1 s, and some tolerance."""
ATTACKERS = 20
"""Addresses that guess."""


@dataclass(frozen=True)
class Call:
    """One login."""

    kind: str
    protocol: str
    user: str
    password: str
    ip: str
    mode: str = "transceiver"
    version: int = 0x30

    def rules(self) -> Any:
        if self.protocol == "smpp":
            return smpp_client(self.user, self.password, self.mode)
        rules = cmpp_client(self.user, self.password, 0x20 if self.version == 0x20 else 0x30)
        rules._version = self.version
        return rules


@dataclass
class Outcome:
    """What became of it. ``status`` -1: closed without an answer."""

    call: Call
    status: int
    seconds: float


def regulars(protocol: str, n: int) -> list[tuple[str, str]]:
    """Logins that come and go, each from an address of its own: (user, address)."""
    first = {"smpp": 10, "cmpp": 60}[protocol]
    return [(f"reg{i:03d}"[:6], f"127.0.1.{first + i}") for i in range(n)]


def calls(n_regular: int) -> Iterator[Call]:
    """Without end: of ten, three right ones, one that comes too often, five guesses, one right and not let in."""
    right = itertools.cycle(
        [("smpp", *one) for one in regulars("smpp", n_regular)]
        + [("cmpp", *one) for one in regulars("cmpp", n_regular)]
    )
    protocols = itertools.cycle(("smpp", "cmpp"))
    for n in itertools.count():
        protocol = next(protocols)
        turn = n // 2 % 10
        attacker = f"127.0.2.{1 + n // 20 % ATTACKERS}"
        if turn < 3:
            protocol, user, ip = next(right)
            yield Call("right", protocol, user, PASSWORD, ip, MODES[n // 7 % 3], 0x20 if n // 7 % 2 else 0x30)
        elif turn == 3:
            yield Call("eager", protocol, "eager", PASSWORD, "127.0.1.200")
        elif turn < 6:
            user = f"reg{n // 3 % n_regular:03d}"[:6]
            yield Call("wrong password", protocol, user, f"guess{n % 97}", attacker, MODES[n % 3])
        elif turn < 9:
            yield Call(
                "unknown name", protocol, f"x{n % 9973}", PASSWORD, attacker, version=0x20 if n // 3 % 2 else 0x30
            )
        else:
            kind = ("address", "full", "version")[n // 20 % 3]
            ip = f"127.0.3.{1 + n // 60 % 50}"
            if kind == "version":
                yield Call(kind, "cmpp", "reg000", PASSWORD, ip, version=0x40)
            else:
                yield Call(kind, protocol, {"address": "fixed", "full": "single"}[kind], PASSWORD, ip)


async def add_logins(here: PartnerSite, n_regular: int) -> None:
    """Those that ``calls`` uses; in one process, as each command takes a second."""
    nobody = {"ip_allow": [ipaddress.ip_network("192.0.2.0/24")]}
    async with here.node.database() as database:
        account_id = await database.fetchval("SELECT id FROM account WHERE name = 'acme'")
        for protocol in ("smpp", "cmpp"):
            wanted: dict[str, dict[str, Any]] = {user: {"max_binds": 1000} for user, _ in regulars(protocol, n_regular)}
            wanted |= {"eager": {"max_binds": 1000}, "fixed": nobody, "single": {"max_binds": 1}}
            for user, fields in wanted.items():
                await partners.add(by_test(database), here.node.sealer, account_id, protocol, user, PASSWORD, fields)
    await here.node.reload()


class Steady:
    """Partners that are bound all the time: one a protocol that sends, and one that does nothing but keep alive."""

    def __init__(self, here: PartnerSite) -> None:
        self.here = here
        self.clients: list[PartnerClient] = []
        self.submits: list[float] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._serial = 0

    async def start(self) -> None:
        smpp, cmpp = await self.here.smpp(), await self.here.cmpp()
        self.clients = [smpp, cmpp]
        for port, rules in ((self.here.smpp_port, smpp_client("single")), (self.here.cmpp_port, cmpp_client("single"))):
            self.clients.append(await PartnerClient.connect(port, rules, keepalive=0.5))
        sending = (self._send(smpp, submit_sm), self._send(cmpp, submit))
        self._tasks = [aio.spawn(work, name="steady") for work in sending]

    def take(self) -> str:
        """p50 and p99 of submits since the last time."""
        found, self.submits = quantiles(self.submits), []
        return found

    async def stop(self) -> None:
        assert not any(task.done() for task in self._tasks)
        assert not [c for c in self.clients if c.over], "a partner that was bound has been closed"
        await aio.cancel(*self._tasks)

    async def _send(self, client: PartnerClient, make: Any) -> None:
        while True:
            self._serial += 1
            began = time.monotonic()
            answer = await client.call(make(f"86138{self._serial:08d}", "steady"))
            assert status_of(answer) == 0, answer
            self.submits.append(time.monotonic() - began)
            await asyncio.sleep(0.02)


def status_of(answer: Pdu) -> int:
    """Of either protocol."""
    return int(next((getattr(answer, n) for n in ("command_status", "result", "status") if hasattr(answer, n)), 0))


async def attempt(here: PartnerSite, call: Call, serial: int) -> Outcome:
    """One login, and what it was answered. Who is let in logs out, or is just gone."""
    client = PartnerClient(call.rules())
    port = here.smpp_port if call.protocol == "smpp" else here.cmpp_port
    began = time.monotonic()
    try:
        async with asyncio.timeout(30):
            await asyncio.get_running_loop().create_connection(
                lambda: client.link, "127.0.0.1", port, local_addr=(call.ip, 0)
            )
            status = await client.bound
            took = time.monotonic() - began
            if status == 0 and serial % 2:
                await client.close()
        return Outcome(call, status, took)
    finally:
        client.abort()


async def silent(here: PartnerSite, seconds: float) -> int:
    """Connections that say nothing, or nonsense, ten a second; how many were closed by the gateway."""
    closed = 0
    until_ = time.monotonic() + seconds

    async def one(n: int) -> None:
        nonlocal closed
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", (here.smpp_port, here.cmpp_port)[n % 2], local_addr=(f"127.0.4.{1 + n % 20}", 0)
        )
        if n % 3 == 0:
            writer.write((b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x10\0\0", b"\x16\3\1\2\0\1\0\1\xfc\3\3")[n % 9 // 3])
        try:
            async with asyncio.timeout(40):
                while await reader.read(1000):
                    pass
        except ConnectionError:
            pass
        closed += 1
        writer.close()

    async with asyncio.TaskGroup() as group:
        for n in itertools.count():
            if time.monotonic() > until_:
                break
            group.create_task(one(n))
            await asyncio.sleep(0.1)
    assert closed == n, (closed, n)
    return closed


async def binds(here: PartnerSite, total: int, seconds: float, *, n_regular: int = 10) -> Figures:
    """``total`` logins in ``seconds`` beside bound partners."""
    await add_logins(here, n_regular)
    steady = Steady(here)
    await steady.start()
    for protocol in ("smpp", "cmpp"):  # their addresses are known from before
        for user, ip in regulars(protocol, n_regular):
            known = await attempt(here, Call("right", protocol, user, PASSWORD, ip), 1)
            assert known.status == 0, known
    await asyncio.sleep(min(10.0, seconds / 3))
    alone = steady.take()
    pid = here.node.pid
    (before, _), had = memory(pid), files(pid)
    quiet_logs = aio.spawn(silent(here, seconds / 2), name="silent")
    running: set[asyncio.Task[Outcome]] = set()
    outcomes: list[Outcome] = []

    def ended(task: asyncio.Task[Outcome]) -> None:
        running.discard(task)
        outcomes.append(task.result())

    began = time.monotonic()
    most_files = had
    for n, call in zip(range(total), calls(n_regular), strict=False):
        await asyncio.sleep(max(0.0, began + n * seconds / total - time.monotonic()))
        task = aio.spawn(attempt(here, call, n), name="bind")
        running.add(task)
        task.add_done_callback(ended)
        if n % 100 == 0:
            most_files = max(most_files, files(pid))
    took = time.monotonic() - began
    beside = steady.take()
    await asyncio.wait(running, timeout=40)
    assert not running, f"{len(running)} logins without an answer"
    judge(outcomes, time.monotonic() - began)
    closed = await quiet_logs
    # Some more connections to the database there may be.
    await until(lambda: files(pid) <= had + 10, what="no more files than before")
    stay = {("smpp", "shop"), ("cmpp", "900100"), ("smpp", "single"), ("cmpp", "single")}

    async def only_those() -> bool:
        return {(one["protocol"], one["user"]) for one in await here.binds()} == stay

    await until(only_those, what="those who were bound before, and nobody else")
    await steady.stop()
    (after, most), files_after = memory(pid), files(pid)
    await known_after_a_restart(here)
    answers: dict[str, Counter[int]] = {}
    for one in outcomes:
        answers.setdefault(f"{one.call.protocol}, {one.call.kind}", Counter())[one.status] += 1
    return {
        "logins": len(outcomes),
        "seconds": round(took, 1),
        **{what: dict(found) for what, found in sorted(answers.items())},
        "right ones answered": quantiles([o.seconds for o in outcomes if o.status == 0]),
        "wrong ones answered": quantiles([o.seconds for o in outcomes if o.status == WRONG[o.call.protocol]]),
        "others refused": quantiles([o.seconds for o in outcomes if o.status not in (0, WRONG[o.call.protocol])]),
        "silent and senseless connections, all closed": closed,
        "submits of bound partners before": alone,
        "submits of bound partners meanwhile": beside,
        "daemon memory before, at most, after": f"{before}, {most}, {after} MiB",
        "daemon files before, at most, after": f"{had}, {most_files}, {files_after}",
    }


async def known_after_a_restart(here: PartnerSite) -> None:
    """Strangers use up the tries for a user's name: its own address is known, though the node has started anew."""
    await here.node.stop()
    await here.node.start()
    (user, ip), *_ = regulars("smpp", 1)
    guesses = [Call("wrong password", "smpp", user, "guess", f"127.0.7.{n}") for n in range(1, 21)]
    answers = {o.status for o in await asyncio.gather(*(attempt(here, guess, 0) for guess in guesses))}
    assert answers == {WRONG["smpp"], LATER["smpp"]}
    outcome = await attempt(here, Call("right", "smpp", user, PASSWORD, ip), 1)
    assert outcome.status == 0, outcome


def judge(outcomes: list[Outcome], seconds: float) -> None:
    """Each answer is the one that it should be, and guesses were as few as they should be."""
    guesses: Counter[str] = Counter()
    eager: Counter[str] = Counter()
    for one in outcomes:
        call, status = one.call, one.status
        wrong, later = WRONG[call.protocol], LATER[call.protocol]
        match call.kind:
            case "right":
                good = status == 0
            case "eager":
                good = status in (0, later)
                eager[call.protocol] += status == 0
            case "wrong password" | "unknown name":
                good = status == later or (status == wrong and one.seconds >= PAUSE)
                if status == wrong:
                    guesses[call.ip] += 1
                    guesses[f"{call.protocol}/{call.user}"] += 1
            case "address":
                good = status == ADDRESS[call.protocol]
            case "full":
                good = status == later
            case _:
                good = status == VERSION_TOO_HIGH
        assert good, one
    assert guesses, "no guess was looked at"
    network, user, attempts = PARTNERS.network, PARTNERS.user, PARTNERS.attempts
    for who, n in guesses.items():
        rate, first = (user, PARTNERS.newcomer.at_once) if "/" in who else (network, 0)
        assert n <= rate.at_once + first + rate.per_second * seconds + 1, (who, n)
    for protocol, n in eager.items():
        asked = sum(o.call.kind == "eager" and o.call.protocol == protocol for o in outcomes)
        assert n <= attempts.at_once + attempts.per_second * seconds + 1, (protocol, n)
        assert n >= min(asked, attempts.at_once), (protocol, n)
