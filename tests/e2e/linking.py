"""Personal links by the hundred thousand: a task that gives each recipient a code, redirects beside sending, and files
of a million codes, each with what it costs those who send meanwhile.

Used by a test with little of each, and at full length by ``scripts/trials`` (``--only links-task``,
``links-redirects``, ``links-codes``).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

from changes import by_test
from harness import Site, free_port, site, until
from measures import percentile, quantiles
from tasking import make, number_of, quick, reaches
from visiting import Visitors, address_of, going_first

from smsgw.bench.load import Customer, Load
from smsgw.bench.processes import CpuMeter, children, name as name_of
from smsgw.bench.wire import Endpoint
from smsgw.core.actor import Actor
from smsgw.platform.change import Change
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import Job, JobState
from smsgw.platform.links import code_files, queries
from smsgw.platform.links.clicks import JUDGE_EVERY, SETTLED
from smsgw.platform.links.model import NewLink, ShortLink
from smsgw.platform.org import queries as people, service as org
from smsgw.runtime import aio, clock, worker_pool
from smsgw.store.engine.database import Database

Figures = dict[str, object]
HOST = "s.example.cn"
TARGET = "https://www.example.cn/bill"
TEXT = "{姓名}您好，您的账单已出，请点击 {link} 查看。"
CODE = re.compile(re.escape(HOST) + "/([1-9A-Za-z]{8})(?![0-9A-Za-z])")
DAEMON = "daemon"
CONNECTIONS = 64
"""Of the customer: enough that none of his messages waits for one of them."""
FIRST_JUDGED = (SETTLED + timedelta(seconds=2 * JUDGE_EVERY)).total_seconds()
"""Seconds after which clicks are judged as fast as they come."""

_CLICKS = "SELECT count(*) AS n, count(*) FILTER (WHERE rules > 0) AS judged FROM link_click"
_WHO = """
SELECT c.address, c.verdict, m.number, k.clicked
FROM link_click c LEFT JOIN message_link k ON (k.link_id, k.n) = (c.link_id, c.n) LEFT JOIN message m ON m.id = k.id
"""


@contextlib.asynccontextmanager
async def linking_site(folder: Path, *, balance: int, workers: int = 1) -> AsyncIterator[tuple[Site, Visitors]]:
    """A gateway of so many workers that serves short links; who opens them comes by a proxy."""
    port = free_port()
    async with site(
        folder, behaviour=quick, balance=balance, public_listen=f"127.0.0.1:{port}", public_hosts=HOST,
        public_own_process=os.environ.get("TRIAL_EDGE", "false"), http_trusted_proxies="127.0.0.1",
        node_workers=str(workers),
    ) as built:  # fmt: skip
        await built.node.unhurried(built.client.key["key_id"])
        yield built, Visitors(port, HOST)


async def personal(built: Site, codes: int) -> ShortLink:
    """A link with so many codes, in force."""
    made = await built.node.furnish(
        "short-link", "add", "账单", TARGET, "--account", "acme", "--personal", str(codes), "--json"
    )
    async with built.node.database() as database:
        return await queries.one(database, int(made.data["id"]), accounts=None)


async def codes_of(built: Site, link: ShortLink) -> list[str]:
    """All its codes, in order."""
    async with built.node.database() as database:
        permutation = await queries.permutation(database, built.node.sealer)
    return [link.code(n, permutation) for n in range(link.codes)]


# --- a task --------------------------------------------------------------------------------------------------------


async def clicked_task(built: Site, visitors: Visitors, rows: int, *, within: float) -> Figures:
    """A task gives each of so many recipients a code of their own; each is opened once, and the click is theirs."""
    link = await personal(built, rows)
    table = "姓名,手机号\n" + "".join(f"客户{i % 9999},{number_of(i)}\n" for i in range(rows))
    began = time.monotonic()
    task_id = await make(built, table, TEXT, link_id=str(link.id))
    task = await reaches(built, task_id, "sent", within=within)
    fed = time.monotonic() - began

    async def done() -> bool:
        return (await built.client.surely("GET", f"/tasks/{task_id}")).data["counts"] == {"delivered": rows}

    await until(done, within=within, what="all are delivered", every=0.5)
    ended = time.monotonic() - began
    assert task["valid"] == rows, task

    # What the phones have: one message each, with a code that nobody else has.
    whose = {}
    for carrier in built.carriers.values():
        for (to, text), times in carrier.inbox.receptions.items():
            (code,) = CODE.findall(text)
            assert times == 1, (to, text)
            assert code not in whose, "two have the same code"
            whose[code] = to[-11:]
    assert sorted(whose.values()) == sorted(number_of(i) for i in range(rows))

    codes = sorted(whose)  # in no order of the recipients
    first = visitors.opened
    rate = await visitors.open(codes, rows)
    opened = time.monotonic()
    clicker = {address_of(first + i): whose[codes[(first + i) % rows]] for i in range(rows)}
    async with built.node.database() as database:

        async def judged() -> bool:
            row = await database.fetchrow(_CLICKS, timeout=60)
            assert row is not None
            return bool(row["n"] == row["judged"] == rows)

        await until(judged, within=within, what="all clicks are judged", every=0.5)
        took = time.monotonic() - opened
        found = await database.fetch(_WHO, timeout=120)
        link = await queries.one(database, link.id, accounts=None)
    assert len(found) == rows, "each click is of one message"
    assert {row["address"]: row["number"][-11:] for row in found} == clicker
    assert {(row["verdict"], row["clicked"]) for row in found} == {("human", True)}
    assert (link.used, link.hits, link.humans) == (rows, rows, rows)
    return {
        "recipients": rows,
        "from the upload until all rows are messages, s": round(fed, 1),
        "until all are delivered, s": round(ended, 1),
        "messages a second": round(rows / ended),
        "different codes": len(whose),
        "opened a second": round(rate),
        "until all clicks were judged, s": round(took, 1),
        "clicks of exactly one number": len(clicker),
    }


# --- redirects beside sending --------------------------------------------------------------------------------------


class Sending:
    """A customer who sends at a rate, for as long as it is there; whoever is in this process goes first meanwhile."""

    def __init__(self, built: Site, rate: float) -> None:
        load = Load(int(rate * 3600), CONNECTIONS, rate=rate, pullers=1)
        endpoint = Endpoint(built.node.origin, built.client.key["bearer"])
        self._customer = Customer(endpoint, load, first_serial=int(time.monotonic()) * 1000)
        daemon = built.node.pid
        server = [pid for pid in children(daemon) if name_of(pid) == "postgres"]
        ours = [daemon, *built.node.workers.values()]
        self._meter = CpuMeter(
            {DAEMON: ours, "database": server, "customer and carriers": os.getpid()}, trees=["database"]
        )
        self._at = 0.0
        self._task: asyncio.Task[object] | None = None
        self._niceness = 0

    async def __aenter__(self) -> Sending:
        self._niceness = going_first()
        self._task = aio.spawn(self._customer.run(), name="sending")
        await asyncio.sleep(3)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, self._niceness)

    def begin(self) -> None:
        """What follows is looked at."""
        del self._customer.seen.accept_seconds[:]
        self._customer.seen.refusals.clear()
        self._meter.start()
        self._at = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since then."""
        return time.monotonic() - self._at

    @property
    def cpu(self) -> float:
        """Of the daemon with all its workers since then: seconds of a processor, a second."""
        return self._meter.used()[DAEMON] / self.seconds

    @property
    def processors(self) -> str:
        """Who has used how much of a processor since then, in words."""
        return ", ".join(f"{whose} {used / self.seconds:.0%}" for whose, used in self._meter.used().items())

    @property
    def rate(self) -> float:
        """Messages accepted a second since then."""
        return len(self._customer.seen.accept_seconds) / self.seconds

    @property
    def accepted(self) -> list[float]:
        """How long each call since then waited for its answer, since it was due; none was refused."""
        assert not self._customer.seen.refusals, self._customer.seen.refusals
        return list(self._customer.seen.accept_seconds)


async def redirects(
    built: Site,
    visitors: Visitors,
    *,
    rate: float = 2000.0,
    sent: float = 500.0,
    seconds: float = 20.0,
    before: float = FIRST_JUDGED,
    codes: int = 100_000,
) -> Figures:
    """Links opened at a rate, then as fast as they are answered, beside so many messages a second; looked at when that
    has gone on for a while ``before``, so that clicks are not only taken, but entered and judged meanwhile."""
    all_codes = await codes_of(built, await personal(built, codes))

    async def known() -> bool:
        with contextlib.suppress(AssertionError):  # the edge looks once a second
            return await visitors.open(all_codes, 1) > 0
        return False

    await until(known, what="the edge knows the link")
    aio.keep_memory()  # nothing is collected while times are taken
    figures: Figures = {"workers": len(built.node.workers) or 1}
    async with Sending(built, sent) as sending:
        sending.begin()
        await asyncio.sleep(seconds)
        alone = sending.cpu
        waited = f"accepted after {quantiles(sending.accepted)}"
        figures[f"{sent:g} messages a second alone"] = f"{waited}; {sending.processors}"
        await visitors.open(all_codes, int(rate * before), rate=rate)
        reached = await visitors.open(all_codes, int(rate * seconds), rate=rate, begun=sending.begin)
        both = sending.cpu
        opened = visitors.last
        figures[f"{rate:g} redirects a second beside them"] = quantiles(opened.answers)
        figures["the same, late by the visitors themselves"] = quantiles(opened.late or [0.0])
        figures["p99, ms"] = percentile(opened.answers, 0.99)
        figures["reached a second"] = round(reached)
        figures["processor a redirect, µs"] = round((both - alone) / reached * 1e6)
        figures["processors"] = f"{sending.processors}, visitors {opened.processor / opened.seconds:.0%}"
        figures["messages meanwhile"] = f"{sending.rate:.0f} a second, accepted after {quantiles(sending.accepted)}"
        figures["clicks that wait"] = await _waiting(built)
        for name, once in (("as fast as they are answered", False), ("the same, a connection each", True)):
            most = await visitors.open(all_codes, 10**9, seconds=seconds / 2, once=once, begun=sending.begin)
            beside = f"{sending.rate:.0f} messages a second, daemon {sending.cpu:.0%}"
            figures[name] = f"{most:.0f} a second, {quantiles(visitors.last.answers)}; {beside}"
    return figures


async def _waiting(built: Site) -> str:
    """How many clicks are not in the database yet, and how many nobody has judged."""
    folders = [worker_pool.folder_of(built.node.data_dir, worker) for worker in built.node.workers or (1,)]
    files = [path for folder in folders for path in (folder / "clicks").glob("*.spool")]
    octets = 0
    for path in files:
        with contextlib.suppress(FileNotFoundError):  # entered by now
            octets += len(path.read_bytes().rstrip(b"\0"))  # of the last ones much is room
    async with built.node.database() as database:
        row = await database.fetchrow(_CLICKS, timeout=60)
    assert row is not None
    return f"{octets / 1024:.0f} KiB to be entered, {row['n'] - row['judged']} of {row['n']} to be judged"


# --- files of codes beside sending ---------------------------------------------------------------------------------


async def code_file(
    built: Site, codes: int, *, sent: float = 500.0, seconds: float = 20.0, within: float = 600.0
) -> Figures:
    """A file of so many codes is written beside so many messages a second; what those wait before, meanwhile, after."""
    figures: Figures = {}
    async with built.node.database() as database:
        change = await _somebody(database)
        account = await database.fetchval("SELECT id FROM account WHERE name = 'acme'")
        node = await database.fetchval("SELECT min(number) FROM node")
        sealer = built.node.sealer
        aio.keep_memory()
        async with Sending(built, sent) as sending:
            before = await _alone(sending, seconds)
            sending.begin()
            began = time.monotonic()
            wanted = NewLink(account, "一百万", TARGET, codes=codes)
            link, id_ = await code_files.begin(change, sealer, wanted, [HOST], now=clock.now(), node=node)
            job = await _ended(database, change.actor, id_, within)
            took = time.monotonic() - began
            figures["accepted meanwhile"] = quantiles(sending.accepted)
            during = sending.accepted
            after = await _alone(sending, seconds)
        assert job.state is JobState.DONE, job
        file = built.node.data_dir / "files"
        written = await _codes_in(database, file, int(job.checkpoint["file"]))
    assert len(written) == len(set(written)) == codes, (len(written), len(set(written)))
    assert written[:: max(1, codes // 100)] == (await codes_of(built, link))[:: max(1, codes // 100)]
    return {
        "codes": codes,
        "seconds": round(took, 1),
        "different codes in the file": len(set(written)),
        "accepted before": quantiles(before),
        **figures,
        "accepted after": quantiles(after),
        "p99 meanwhile / before and after": round(percentile(during, 0.99) / percentile(before + after, 0.99), 2),
    }


async def _alone(sending: Sending, seconds: float) -> list[float]:
    sending.begin()
    await asyncio.sleep(seconds)
    return sending.accepted


async def _somebody(database: Database) -> Change:
    await org.add_person(by_test(database), "linker", "短链人", ["super"], "x")
    person = await people.person(database, "linker")
    assert person
    return Change(database, person.actor())


async def _ended(database: Database, actor: Actor, id_: int, within: float) -> Job:
    async def ended() -> Job | None:
        job = await jobs.own(database, actor, id_)
        assert job is not None
        return None if job.state in (JobState.WAITING, JobState.RUNNING) else job

    job = await until(ended, within=within, what="the file is written", every=0.1)
    assert job is not None
    return job


async def _codes_in(database: Database, folder: Path, id_: int) -> list[str]:
    sha256 = await database.fetchval("SELECT sha256 FROM file WHERE id = $1", id_)
    (path,) = folder.rglob(sha256.hex())
    lines = await asyncio.to_thread(path.read_text, "utf-8-sig")
    return [line.rpartition("/")[2] for line in lines.splitlines()[1:]]
