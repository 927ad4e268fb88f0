"""Carriers that throttle and die, channels that come and go under load, and a task of a million rows that is stopped:
used by tests for seconds, and at full length by ``scripts/trials``. Every trial ends with the ledger; what it returns
are its figures."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import uvloop
from binds import binds
from harness import OPEN, USER, Site, carrier_for, site, until
from hooks import beside_bad_receivers, receivers, through_kills
from hostile import beside
from linking import clicked_task, code_file, linking_site, redirects
from million import through_the_page
from outages import BUSY, Load, outages, through
from partner_client import partner_site, site_with_servers
from pouring import pour, pouring_site, within_limits
from references import reused
from tasking import quick, stopped_and_cancelled

from smsgw.simulator import Carrier
from smsgw.store.engine.embedded import EmbeddedPostgres

WINDOW = 16
Figures = dict[str, object]


@contextlib.asynccontextmanager
async def another_channel(
    built: Site, name: str = "cmpp30b", *options: str, carrier: Carrier | None = None, protocol: str = "cmpp30"
) -> AsyncIterator[Carrier]:
    """One more channel, for the numbers of ``cmpp30`` unless the carrier is another one."""
    carrier = carrier or carrier_for("cmpp30")
    carrier.config.name = name
    await carrier.start()
    if protocol == "cmpp30":
        options += ("--carrier", "CMCC,CBN")
    await built.node.add_channel(name, carrier.port, *options, protocol=protocol)
    built.carriers[name] = carrier
    await built.bound(name)
    try:
        yield carrier
    finally:
        await carrier.stop()


@contextlib.asynccontextmanager
async def loaded(built: Site, per_second: float, *channels: str, batch: int = 10) -> AsyncIterator[None]:
    """Batches to the numbers of the channels beside a block; every one must be accepted at the first try."""
    load = Load(built, batches=per_second, size=batch, channels=channels or ("cmpp30",))
    async with load.beside():
        yield
    assert not load.refused, load.refused


# --- throttling ------------------------------------------------------------------------------------------------------


async def throttle_storm(built: Site, seconds: float, per_second: int) -> Figures:
    """Half of what arrives is refused as too fast for ``seconds``; then nothing is. Nothing may be lost or doubled."""
    names = tuple(built.carriers)
    for name, carrier in built.carriers.items():
        carrier.counts.refused.clear()
        carrier.change(answers="0:1,0x58:1" if name == "smpp34" else "0:1,8:1")
    slowest = dict.fromkeys(names, 1e9)
    until_ = time.monotonic() + seconds
    async with loaded(built, per_second, *names):
        while time.monotonic() < until_:
            await asyncio.sleep(0.5)
            for name in names:
                slowest[name] = min(slowest[name], (await built.channel(name))["rate_now"] or 1e9)
    for carrier in built.carriers.values():
        carrier.change(answers="0:1")
    ended = time.monotonic()

    async def recovered() -> bool:
        slow = {"carrier slow", "carrier throttles"}
        return slow.isdisjoint([(await built.channel(name))["reason"] for name in names])

    await until(recovered, what="the rates are back", every=0.2)
    took = time.monotonic() - ended
    books = await built.clean(within=120)
    assert set(books.statuses) == {"delivered"}, books
    refused = sum(c.counts.refused.total() for c in built.carriers.values())
    return {
        "messages": books.accepted,
        "refused as too fast": refused,
        "slowest rate": slowest,
        "seconds until the full rate": round(took, 1),
        "lost or doubled": len(books.problems),
    }


# --- deaths ----------------------------------------------------------------------------------------------------------

DEATHS = ("connection refused", "login refused", "silent", "half-open", "reset")


async def die(victim: Carrier, how: str) -> None:
    """What a carrier can do to us."""
    match how:
        case "connection refused":
            await victim.stop(grace=0)
        case "login refused":
            victim.change(refuse_login=3)
            victim.disconnect()
        case "silent":
            victim.change(silent=True)
        case "half-open":
            victim.pause()
        case "reset":
            victim.change(disconnect_after=40, disconnect_rst=True)


async def live(victim: Carrier, how: str) -> None:
    """Back to normal."""
    victim.change(refuse_login=None, silent=False, disconnect_after=None, disconnect_rst=False)
    if how == "connection refused":
        await victim.start()
    elif how == "half-open":
        victim.resume()
        victim.disconnect()
    elif how == "silent":
        victim.disconnect()


async def deaths(built: Site, victim: str, per_second: int, ways: Sequence[str] = DEATHS) -> Figures:
    """The victim dies in every way while more is posted than both can carry; what waited then, claimed by it or not, is
    with a carrier within 5 s, but for its window."""
    carrier = built.carriers[victim]
    for one in built.carriers.values():
        one.change(answer_delay="50..100")
    figures: Figures = {}
    gone: set[str] = set()
    """What former deaths have left without an answer."""

    def not_arrived(marks: Iterable[str]) -> set[str]:
        return {m for m in marks if not any(m in c.inbox.tokens for c in built.carriers.values())}

    def waiting() -> set[str]:
        return not_arrived({m.content[m.content.rfind("#t") :] for m in built.customer.sent.values()} - gone)

    for how in ways:
        await until(lambda: len(waiting()) <= WINDOW, within=120, what="the queues are empty again", every=0.3)
        gone |= waiting()
        before = carrier.counts.submits
        async with loaded(built, per_second):
            await until(
                lambda b=before: carrier.counts.submits > b + 50 and len(waiting()) >= 4 * WINDOW,
                what="a queue",
                every=0.1,
            )
            await die(carrier, how)
            died = time.monotonic()
            waited = waiting()
            await until(
                lambda w=waited: len(not_arrived(w)) <= WINDOW,
                within=5.0, what=f"{how}: what was not written is elsewhere", every=0.05,
            )  # fmt: skip
            figures[f"{how}: messages that waited"] = len(waited)
            figures[f"{how}: seconds until all else had moved"] = round(time.monotonic() - died, 2)
        await live(carrier, how)
        await built.bound(victim, within=60)
    books = await built.clean(unknown=WINDOW * 4 * len(ways), within=120)
    return figures | {"messages": books.accepted, "unknown": len(books.unknown), "lost or doubled": len(books.problems)}


# --- hot-plug --------------------------------------------------------------------------------------------------------


async def move(built: Site, name: str) -> None:
    """A carrier moves to another address, announced as such things are: nothing is under way when the old one goes.

    (One that goes under traffic leaves its window without answers, which is unknown and stays so.)
    """
    carrier = built.carriers[name]
    await built.node.ctl("channel", "drain", name)

    async def empty() -> bool:
        return not (await built.channel(name))["window_used"]

    await until(empty, what=f"all is answered on {name}")
    await carrier.stop()
    carrier.port = 0
    await carrier.start()
    await built.node.furnish("channel", "set", name, "--port", str(carrier.port))
    await built.node.ctl("channel", "start", name)


async def hot_plug(built: Site, every: float, rounds: int, per_second: int) -> Figures:
    """Add, change, drain and remove a channel, one step each ``every`` seconds, while all posts must be accepted."""
    ctl = built.node.ctl
    carriers: list[Carrier] = []
    async with contextlib.AsyncExitStack() as stack:
        async with loaded(built, per_second):
            for n in range(rounds):
                began = time.monotonic()
                name, turn = f"plug{n // 8}", n % 8
                if turn == 0:
                    carriers.append(await stack.enter_async_context(another_channel(built, name)))
                elif turn == 1:
                    carriers[-1].config.users[USER] = "another"  # type: ignore[index]
                    await ctl("channel", "set", name, "--password", "another")
                elif turn == 2:
                    await ctl("channel", "set", name, "--window", "64")
                elif turn == 3:
                    await ctl("channel", "set", name, "--rate", "200/s")
                elif turn == 4:
                    await move(built, name)
                elif turn == 5:
                    await ctl("channel", "set", name, "--access-code", f"1069{n:04d}")
                elif turn == 6:
                    await ctl("channel", "drain", name)
                else:
                    await until(lambda c=carriers[-1]: not c.owed(within=10), what="its last reports")
                    await ctl("channel", "remove", name)
                if turn in (1, 5):
                    await built.bound(name)
                await asyncio.sleep(max(0.0, every - (time.monotonic() - began)))
        books = await built.clean(within=240)
        assert set(books.statuses) == {"delivered"}, books
        return {
            "messages": books.accepted,
            "changes": rounds,
            "over the channels that came and went": sum(len(c.messages) for c in carriers),
            "lost or doubled": len(books.problems),
        }


# --- full length -----------------------------------------------------------------------------------------------------


async def _storm(folder: Path) -> Figures:
    async with site(folder, channels=["cmpp30", "smpp34"], channel_options=("--rate", "500")) as built:
        return await throttle_storm(built, 60, 200)


async def _deaths(folder: Path) -> Figures:
    async with site(folder, channels=["cmpp30"]) as built, another_channel(built):
        return await deaths(built, "cmpp30", 600)


async def _hot_plug(folder: Path) -> Figures:
    async with site(folder, channels=["cmpp30"], balance=1_000_000) as built:
        return await hot_plug(built, 5.0, 24, 1000)


async def _task_stop(folder: Path) -> Figures:
    async with site(folder, behaviour=quick, balance=3_000_000) as built:
        await built.node.unhurried(built.client.key["key_id"])
        return await stopped_and_cancelled(
            built, folder.parent, 1_000_000, legs=(80_000, 60_000, 60_000), within=200, kill=False
        )


async def _million(folder: Path, kind: str = "csv") -> Figures:
    async with site(folder, behaviour=quick, balance=3_000_000) as built:
        await built.node.unhurried(built.client.key["key_id"])
        figures = await through_the_page(built, folder.parent, 1_000_000, kind=kind, legs=(40_000, 30_000), within=300)
    until_running = float(str(figures["from the button to a task that runs, s"]))
    assert until_running <= 60, figures
    return figures


async def _million_xlsx(folder: Path) -> Figures:
    return await _million(folder, "xlsx")


async def _binds(folder: Path) -> Figures:
    async with partner_site(folder, channels=["cmpp30"], balance=1_000_000) as here:
        return await binds(here, 10_000, 60)


async def _references(folder: Path) -> Figures:
    runs, messages = (int(os.environ.get(f"TRIAL_{name}", n)) for name, n in (("RUNS", "5"), ("MESSAGES", "1500")))
    figures: Figures = {}
    async with partner_site(folder, balance=1_000_000, behaviour=quick) as here:
        for protocol in ("cmpp", "smpp"):
            figures[protocol] = await reused(here, protocol, runs=runs, messages=messages, references=30, within=300)
    return figures


async def _webhooks(folder: Path) -> Figures:
    async with site(folder, channels=["cmpp30"], **OPEN) as built, receivers() as there:
        return await beside_bad_receivers(built, there, 120)


async def _push_kills(folder: Path) -> Figures:
    kills, load = (int(os.environ.get(f"TRIAL_{name}", n)) for name, n in (("KILLS", "15"), ("LOAD", "700")))
    async with site(folder, **BUSY, **OPEN) as built, receivers() as there:
        await built.node.unhurried(built.client.key["key_id"])
        return await through_kills(built, there, kills, load)


async def _pour(folder: Path) -> Figures:
    async with pouring_site(folder, balance=1_000_000) as built:
        figures = await pour(built, 50_000, within=600)
    within_limits(figures)
    return figures


async def _hostile(folder: Path) -> Figures:
    async with site_with_servers(folder, channels=["cmpp30"], balance=1_000_000) as here:
        figures = await beside(here, float(os.environ.get("TRIAL_SECONDS", "300")))
        books = await here.site.clean(within=120)
    assert float(str(figures["p99 beside, ms"])) <= 100, figures
    return figures | {"messages": books.accepted, "lost or doubled": len(books.problems)}


async def _database(folder: Path) -> Figures:
    per_second = float(os.environ.get("TRIAL_LOAD", "1000"))
    singles = float(os.environ.get("TRIAL_SINGLES", per_second / 10))
    figures: Figures = {}
    async with outages(folder) as here:
        faults = ((here.frozen, 60), (here.killed, 20), (here.read_only, 30), (here.slow, 60))
        for fault, seconds in faults:
            figures[fault.__name__] = await through(here, fault, seconds, batches=per_second, singles=singles)
            print(f"  {fault.__name__}: {figures[fault.__name__]}", flush=True)
        books = await here.built.clean(within=900)
        assert set(books.statuses) == {"delivered"}, books
        return {"messages": books.accepted, "lost or doubled": len(books.problems)}


async def _links_task(folder: Path) -> Figures:
    async with linking_site(folder, balance=1_000_000) as (built, visitors):
        return await clicked_task(built, visitors, 100_000, within=600)


async def _links_redirects(folder: Path) -> Figures:
    workers = int(os.environ.get("TRIAL_WORKERS", "1"))
    async with linking_site(folder, balance=10_000_000, workers=workers) as (built, visitors):
        figures = await redirects(built, visitors)
    assert float(str(figures["reached a second"])) >= 1980, figures
    assert float(str(figures["p99, ms"])) <= 20, figures
    return figures


async def _links_codes(folder: Path) -> Figures:
    async with linking_site(folder, balance=10_000_000) as (built, _):
        figures = await code_file(built, 1_000_000)
    assert float(str(figures["seconds"])) <= 300, figures
    return figures


TRIALS: dict[str, Callable[[Path], Awaitable[Figures]]] = {
    "throttle": _storm,
    "deaths": _deaths,
    "hot-plug": _hot_plug,
    "task-stop": _task_stop,
    "million": _million,
    "million-xlsx": _million_xlsx,
    "binds": _binds,
    "references": _references,
    "webhooks": _webhooks,
    "push-kills": _push_kills,
    "pour": _pour,
    "database": _database,
    "hostile": _hostile,
    "links-task": _links_task,
    "links-redirects": _links_redirects,
    "links-codes": _links_codes,
}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="scripts/trials", description="Trials of channels and tasks at full length, some minutes each."
    )
    parser.add_argument("--only", action="append", choices=sorted(TRIALS))
    given = parser.parse_args()
    failed = 0
    for name, trial in TRIALS.items():
        if given.only and name not in given.only:
            continue
        folder = Path(tempfile.mkdtemp(prefix="smsgw-trial-"))
        print(name, flush=True)
        try:
            # As the daemon: the test's own half (load, carriers, proxies) must not be the slower one.
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                figures: dict[str, Any] = runner.run(_run(trial, folder / "node"))
        except AssertionError as exc:
            print(f"  FAILED {exc}\n  log and data are kept in {folder}")
            failed += 1
            continue
        for what, value in figures.items():
            print(f"  {what}: {value}")
        shutil.rmtree(folder)
    return 1 if failed else 0


async def _run(trial: Callable[[Path], Awaitable[Figures]], data_dir: Path) -> Figures:
    try:
        return await trial(data_dir)
    finally:
        embedded = EmbeddedPostgres(data_dir)
        if await embedded.find() is not None:
            await embedded.start()
            await embedded.stop()
        shutil.rmtree(embedded.home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
