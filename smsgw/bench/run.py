"""One bench run: stage, warm-up, load, figures."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from smsgw import __version__
from smsgw.bench import kannel, processes
from smsgw.bench.database_work import DatabaseWork, pinned
from smsgw.bench.load import PULL_PAUSE, Customer, Load, Observed
from smsgw.bench.partner import PartnerCustomer
from smsgw.bench.processes import CpuMeter
from smsgw.bench.result import LONG, Carried, Counts, Latency, Result, Rival, by_tenth
from smsgw.bench.sink import Sink, listening
from smsgw.bench.stage import (
    ACCOUNT,
    MESSAGES_PER_SECOND,
    REQUESTS_PER_SECOND,
    Setting,
    Simulation,
    Stage,
    staged,
)
from smsgw.bench.wire import Endpoint
from smsgw.bench.wiretap import WireTap
from smsgw.core.words import samples
from smsgw.runtime import aio
from smsgw.runtime.config import split_address

MAX_ARRIVALS = 200_000
"""Messages whose arrival at the carrier is timed: the last ones."""
TELL_EVERY = 1.0
MEMORY_EVERY = 10.0
"""Seconds between looks at the daemon's memory."""
_SERIAL = re.compile(samples.BENCH_SERIAL)


@dataclass(frozen=True, slots=True)
class Told:
    """How far a run is."""

    stage: str
    """``prepare``, ``warm up``, ``load``, ``count`` or ``kannel``."""
    seconds: float
    """Since the load began."""
    posted: int
    """Messages that were due by then."""
    accepted: int
    reported: int
    refused: int
    """Answers that asked to wait, or refused."""


@dataclass(slots=True)
class Options:
    """What to run."""

    load: Load
    setting: Setting
    warm_up: int = 1000
    folder: Path | None = None
    """Where the stage's folder is made; None: the system's temporary folder."""
    url: str = ""
    """A gateway that runs already, instead of a stage of our own."""
    bearer: str = field(default="", repr=False)
    push: bool = False
    """Reports are pushed to a webhook instead of being pulled."""
    told: Callable[[Told], None] | None = None
    """Called at each stage, and every second of the load."""
    partner_window: int = 0
    """Submits without an answer on each of a partner's SMPP binds; 0: the load comes over HTTP."""
    pinned: bool = False
    """Beside a transaction that keeps its snapshot."""
    against_kannel: bool = False
    """Kannel is put under the same load afterwards."""


async def run(options: Options) -> Result:
    """Run it. Raises ``OSError``, ``RuntimeError`` and ``TimeoutError`` for what keeps it from an end."""
    async with contextlib.AsyncExitStack() as stack:
        stage: Stage | None = None
        sink: Sink | None = None
        if options.push:
            sink = await stack.enter_async_context(listening(Sink()))
            options.setting = replace(options.setting, push_to=sink.url)
        _tell(options, "prepare")
        if not options.url:
            stage = await stack.enter_async_context(staged(options.folder, options.setting))
        url, bearer = (stage.url, stage.bearer) if stage else (options.url, options.bearer)
        if sink is not None and stage is not None:
            sink.use(stage.push_secret)
        tap: WireTap | None = None
        if stage is not None and options.setting.channel_rate:
            tap = WireTap(stage.simulation.ports.values())
            if tap.open():
                stack.callback(tap.close)
            else:
                tap = None
        if options.pinned and stage is not None:
            await stack.enter_async_context(pinned(stage.dsn))
        result = await _run(options, Endpoint(url, bearer), stage, sink, tap)
        if sink is not None:
            result.settings["pushed"] = f"{sink.calls:,} calls, {sink.unsigned:,} with a wrong signature"
    if options.against_kannel:
        _tell(options, "kannel")
        cpu = result.cpu_ms_per_message["daemon"] + result.cpu_ms_per_message["database"]
        ours = Rival(result.accepted_per_s, result.end_to_end_per_s, cpu)
        result.against = await kannel.run(options.folder, options.setting, options.load, options.warm_up, ours)
    return result


async def _run(
    options: Options, endpoint: Endpoint, stage: Stage | None, sink: Sink | None, tap: WireTap | None
) -> Result:
    load = options.load
    balance = await _balance(endpoint)
    runs: list[Observed] = []
    work = await DatabaseWork.begin(stage.dsn) if stage else None
    _tell(options, "warm up")
    if options.warm_up:
        warm = Load(
            options.warm_up,
            min(load.connections, 10),
            load.batch,
            0.0,
            load.pullers,
            load.prefixes,
            load.patience,
        )
        runs.append(await _customer(options, endpoint, stage, sink, warm, 0).run())
    meter = _meter(stage)
    memory: list[float] = []
    watch = aio.spawn(_watch_memory(stage.daemon_pids, memory), name="memory") if stage else None
    meter.start()
    customer = _customer(options, endpoint, stage, sink, load, options.warm_up)
    telling = aio.spawn(_keep_telling(options, customer.seen), name="telling")
    try:
        seen = await customer.run()
        used = meter.used()
        cores = meter.cores(used)
    finally:
        await aio.cancel(watch, telling)
    _tell(options, "count", seen)
    runs.append(seen)
    peak = sum(map(processes.peak_memory_mib, stage.daemon_pids)) if stage else None
    written = await work.done(options.warm_up + load.messages) if work else None
    if tap is not None:
        tap.close()
    counts = _count(runs, options.warm_up + load.messages, balance - await _balance(endpoint))
    arrivals: list[Arrival] = []
    if stage is not None:
        arrivals = await _witness(stage.simulation, counts)
        arrivals = [a for a in arrivals if a.serial >= options.warm_up]
    seconds = seen.last_pull - seen.first_post
    ids = seen.accepted_ids()
    return Result(
        machine=_machine(stage),
        settings=_settings(options),
        raised_limits=_raised(stage),
        messages=load.messages,
        seconds=round(seconds, 3),
        accepted_per_s=round(seen.accepted / max(1e-9, seen.last_accept - seen.first_post), 1),
        end_to_end_per_s=round(len(seen.pulled) / max(1e-9, seconds), 1),
        by_tenth_per_s=by_tenth(seen.pulled.values(), seen.first_post, seconds) if seconds >= LONG else [],
        cpu_ms_per_message={name: round(spent * 1000 / load.messages, 4) for name, spent in used.items()},
        cores=cores if stage is not None else None,
        daemon_peak_mib=peak,
        daemon_mib=memory,
        accept=Latency.of(seen.accept_seconds),
        post_to_carrier=Latency.of(a.at - seen.posted_at[a.serial - options.warm_up] for a in arrivals),
        post_to_report=Latency.of(
            at - seen.posted_at[ids[message_id]]
            for message_id, at in seen.pulled.items()
            if message_id in ids
        ),
        counts=counts,
        carried=[
            Carried.of(
                carrier, [a.at for a in arrivals if a.carrier == carrier], seen.last_accept, _sent(tap, stage, carrier)
            )
            for carrier in sorted({a.carrier for a in arrivals})
        ],
        written=written,
        daemon_log=stage.daemon_log() if stage else [],
    )


def _tell(options: Options, stage: str, seen: Observed | None = None) -> None:
    if options.told is None:
        return
    if seen is None or not seen.first_post:
        options.told(Told(stage, 0.0, 0, 0, 0, 0))
        return
    load, seconds = options.load, time.monotonic() - seen.first_post
    due = min(load.messages, int(seconds * load.rate)) if load.rate else sum(1 for at in seen.posted_at if at)
    refused = seen.refusals.total()
    options.told(Told(stage, round(seconds, 1), due, seen.accepted, len(seen.pulled), refused))


async def _keep_telling(options: Options, seen: Observed) -> None:
    while options.told is not None:
        _tell(options, "load", seen)
        await asyncio.sleep(TELL_EVERY)


async def _watch_memory(pids: Sequence[int], into: list[float]) -> None:
    while True:
        await asyncio.sleep(MEMORY_EVERY)
        into.append(round(sum(map(processes.memory_mib, pids)), 1))


def _customer(
    options: Options, endpoint: Endpoint, stage: Stage | None, sink: Sink | None, load: Load, first: int
) -> Customer | PartnerCustomer:
    if not options.partner_window or stage is None:
        return Customer(endpoint, load, first_serial=first, sink=sink)
    host, port = split_address(stage.smpp)
    return PartnerCustomer(
        host, port, ACCOUNT, stage.password, load, window=options.partner_window, first_serial=first
    )


def _meter(stage: Stage | None) -> CpuMeter:
    groups: dict[str, int | Sequence[int]] = {} if stage is None else {
        "daemon": stage.daemon_pids, "database": stage.postgres_pid, "carriers": stage.simulation.pid,
    }  # fmt: skip
    return CpuMeter(groups | {"load generator": os.getpid()}, trees=("database",))


async def _balance(endpoint: Endpoint) -> int:
    connection = await endpoint.connect()
    try:
        async with asyncio.timeout(10):
            answer = await connection.send(endpoint.request("GET", "/balance"))
    finally:
        connection.close()
    if answer.status != 200:
        raise RuntimeError(
            f"GET /balance: HTTP {answer.status}: {answer.body[:300].decode('utf-8', 'replace')}"
        )
    balance: int = json.loads(answer.body)["data"]["balance"]
    return balance


def _count(runs: list[Observed], posted: int, billed: int) -> Counts:
    accepted: dict[int, int] = {}
    counts = Counts(posted, 0, billed, 0, 0, 0, 0)
    pulled: set[int] = set()
    for seen in runs:
        accepted |= seen.accepted_ids()
        counts.pulled_again += seen.pulled_again + len(pulled & seen.pulled.keys())
        pulled |= seen.pulled.keys()
        counts.lost_calls += seen.lost_calls
        for status, n in seen.refusals.items():
            name = f"HTTP {status}" if status >= 100 else f"SMPP 0x{status:02x}"
            counts.refusals[name] = counts.refusals.get(name, 0) + n
        for name, n in seen.statuses.items():
            counts.statuses[name] = counts.statuses.get(name, 0) + n
    counts.accepted = len(accepted)
    counts.pulled = len(pulled & accepted.keys())
    counts.pulled_strange = len(pulled - accepted.keys())
    return counts


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message at a carrier."""

    serial: int
    carrier: str
    at: float


async def _witness(simulation: Simulation, counts: Counts) -> list[Arrival]:
    """The carriers' counts, and what arrived when."""
    summary = await simulation.ask(do="counts")
    counts.received = summary["messages"]
    counts.received_distinct = summary["unique"]
    counts.received_again = summary["doubled"]
    arrivals = []
    for message in await simulation.ask(do="messages", limit=MAX_ARRIVALS):
        found = _SERIAL.search(message["text"])
        if found:
            arrivals.append(Arrival(int(found[1]), message["carrier"], message["at"]))
    return arrivals


def _sent(tap: WireTap | None, stage: Stage | None, carrier: str) -> Sequence[float] | None:
    """When submits were on the wire; None when nobody has seen it."""
    if tap is None or stage is None or tap.failed:
        return None
    return tap.times[stage.simulation.ports[carrier]]


def _machine(stage: Stage | None) -> dict[str, str]:
    machine = {
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "smsgw": __version__,
        "python": platform.python_version(),
        "cores": str(len(os.sched_getaffinity(0))),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }
    if stage is not None:
        machine |= {f"postgres {name}".replace("server_", ""): v for name, v in stage.database.items()}
    return machine


def _settings(options: Options) -> dict[str, Any]:
    load, setting = options.load, options.setting
    settings: dict[str, Any] = {
        "messages": f"{load.messages:,} (and {options.warm_up:,} to warm up)",
        "posts": f"batches of {load.batch}" if load.batch else "single recipients",
        "pace": f"{load.rate:,.0f} messages/s" if load.rate else "as fast as answers come",
        "connections": f"{load.connections} posting, "
        + ("reports pushed, signed" if options.push else f"{load.pullers} pulling"),
        "pause of a puller": f"{PULL_PAUSE * 1000:.0f} ms after a batch that was not full",
    }
    if options.partner_window:
        settings |= {
            "posts": f"submit_sm over SMPP, window {options.partner_window}",
            "connections": f"{load.connections} transceiver binds",
        }
        del settings["pause of a puller"]
    if options.url:
        return settings | {"gateway": options.url}
    return settings | {
        "channels": f"{setting.channels}, {setting.links} links each, window {setting.window}, "
        + (f"{setting.channel_rate:,}/s each" if setting.channel_rate else "no limit of rate"),
        "workers": str(setting.workers),
        **({"beside it": "a transaction that keeps its snapshot"} if options.pinned else {}),
        "carriers": f"answer after {setting.answer_delay} ms, report after {setting.report_delay} ms",
    }


def _raised(stage: Stage | None) -> dict[str, str]:
    if stage is None:
        return {}
    return {
        "key": f"requests_per_second {REQUESTS_PER_SECOND:,} (default 200)",
        "account": f"rate {MESSAGES_PER_SECOND:,} messages/s (default 2,000)",
    }
