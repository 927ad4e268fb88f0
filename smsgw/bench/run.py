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
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from smsgw import __version__
from smsgw.bench import kannel, outages, processes
from smsgw.bench.database_work import DatabaseWork, pinned
from smsgw.bench.faults import Kill, killing
from smsgw.bench.load import PULL_PAUSE, Customer, Load, Observed
from smsgw.bench.partner import SPEECHES, PartnerCustomer
from smsgw.bench.processes import CpuMeter
from smsgw.bench.result import LONG, Carried, Codes, Counts, Course, Latency, Outage, Result, Rival, by_tenth, spread
from smsgw.bench.sink import Sink, listening
from smsgw.bench.stage import CMPP_LOGIN, MESSAGES_PER_SECOND, REQUESTS_PER_SECOND, Setting, Simulation, Stage, staged
from smsgw.bench.wire import Endpoint
from smsgw.bench.wiretap import WireTap
from smsgw.core.ids import CHINA
from smsgw.core.words import samples
from smsgw.runtime import aio, clock

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
    """Submits without an answer on each of a partner's binds; 0: the load comes over HTTP."""
    kill: Kill | None = None
    """What dies in the middle of the load."""
    pinned: bool = False
    """Beside a transaction that keeps its snapshot."""
    hasty: bool = False
    """What the database has written is not asked for, since one has to wait for that."""
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
        url, bearer = (stage.url, stage.seeded.bearer) if stage else (options.url, options.bearer)
        if stage is not None:
            options.load = replace(options.load, template=stage.seeded.template)
            if sink is not None:
                sink.use(stage.seeded.push_secret)
        tap: WireTap | None = None
        if stage is not None and options.setting.channel_rate:
            tap = WireTap(stage.simulation.ports.values())
            if tap.open():
                stack.callback(tap.close)
            else:
                tap = None
        if options.pinned and stage is not None:
            await stack.enter_async_context(pinned(stage.seeded.dsn))
        try:
            result = await _run(options, Endpoint(url, bearer), stage, sink, tap)
        except (OSError, RuntimeError) as exc:
            if stage is None or not (found := _outages(stage, stage.since, ())):
                raise
            said = str(exc) or type(exc).__name__
            raise RuntimeError("\n".join([*map(str, found), f"so that the run came to no end: {said}"])) from exc
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
    load, began = options.load, clock.now()
    codes = None
    others = [Endpoint(stage.url, bearer) for bearer in stage.seeded.other_bearers] if stage is not None else []
    if stage is not None and stage.seeded.codes_bearer:
        codes = Endpoint(stage.url, stage.seeded.codes_bearer)
    balance = await _balance(endpoint, codes, *others)
    runs: list[Observed] = []
    # what dies takes along what it has counted of itself
    counted = stage is not None and options.kill is None and not options.hasty
    work = await DatabaseWork.begin(stage.seeded.dsn) if stage is not None and counted else None
    _tell(options, "warm up")
    if options.warm_up:
        warm = replace(
            load, messages=options.warm_up, connections=min(load.connections, 10), rate=0.0, burst=0.0, codes_rate=0.0
        )
        runs.append(await _customer(options, endpoint, stage, sink, warm, 0, others=others).run())
    meter = _meter(stage)
    memory: list[float] = []
    watch = aio.spawn(_watch_memory(stage, memory), name="memory") if stage else None
    meter.start()
    customer = _customer(options, endpoint, stage, sink, load, options.warm_up, codes, others)
    telling = aio.spawn(_keep_telling(options, customer.seen), name="telling")
    try:
        async with killing(stage, options.kill, load, customer.seen) as death:
            seen = await customer.run()
        used = meter.used()
        cores = meter.cores(used)
    finally:
        await aio.cancel(watch, telling)
    _tell(options, "count", seen)
    runs.append(seen)
    peak = sum(map(processes.peak_memory_mib, stage.daemon_pids)) if stage else None
    sent = load.messages + seen.codes_posted
    written = await work.done(options.warm_up + sent) if work else None
    if tap is not None:
        tap.close()
    billed = balance - await _balance(endpoint, codes, *others)
    counts = _count(runs, options.warm_up + sent, billed, _refused_by(options))
    arrivals: list[Arrival] = []
    if stage is not None:
        arrivals = await _witness(stage.simulation, counts)
        arrivals = [a for a in arrivals if a.serial >= options.warm_up]
    seconds = seen.last_pull - seen.first_post
    failed = _outages(stage, began, runs)
    calm = options.kill is None and not failed
    figures = _Figures(seen, arrivals, options.warm_up, load.messages)
    return Result(
        machine=_machine(stage),
        settings=_settings(options),
        raised_limits=_raised(stage),
        messages=load.messages,
        seconds=round(seconds, 3),
        accepted_per_s=round(seen.accepted / max(1e-9, seen.last_accept - seen.first_post), 1),
        end_to_end_per_s=round(seen.reported / max(1e-9, seconds), 1),
        by_tenth_per_s=by_tenth(seen.pulled.values(), seen.first_post, seconds) if seconds >= LONG else [],
        cpu_ms_per_message={name: round(spent * 1000 / sent, 4) for name, spent in used.items()} if calm else {},
        cores=cores if stage is not None and calm else None,
        daemon_peak_mib=peak,
        daemon_mib=memory,
        accept=Latency.of(seen.accept_seconds),
        post_to_carrier=figures.to_carrier(codes=False),
        post_to_report=figures.to_report(codes=False),
        counts=counts,
        carried=[
            Carried.of(
                carrier, [a.at for a in arrivals if a.carrier == carrier], seen.last_accept, _sent(tap, stage, carrier)
            )
            for carrier in sorted({a.carrier for a in arrivals})
        ],
        written=None if failed else written,
        course=Course.of(
            seen.first_post, seconds, zip(seen.accepted_at, seen.accepted_size, strict=True), seen.pulled.values()
        ),
        accept_spread=spread(seen.accept_seconds),
        codes=figures.codes(load.codes_rate) if load.codes_rate else None,
        fault=death.fault,
        outages=failed,
        balanced=options.setting.balanced and not options.url,
        channel_rate=options.setting.channel_rate,
        asked=_asked(options),
        daemon_log=stage.daemon_log() if stage else [],
    )


def _outages(stage: Stage | None, since: datetime, runs: Sequence[Observed]) -> list[Outage]:
    """Those that nobody asked for; of a gateway that is not ours what its answers say."""
    events = outages.of_answers([at for seen in runs for at in seen.unavailable_at])
    first = clock.now() - timedelta(seconds=time.monotonic() - runs[-1].first_post) if runs else None
    if stage is None:
        return outages.outages(events, since, first)
    return outages.outages([*events, *stage.outage_events()], stage.since, first, stage.intended)


class _Figures:
    """Times of the messages of the load, and of the one-time codes beside it, whose serial numbers come behind."""

    def __init__(self, seen: Observed, arrivals: Sequence[Arrival], first: int, messages: int) -> None:
        self._seen = seen
        self._arrivals = [(a.serial - first, a.at) for a in arrivals]
        self._messages = messages
        ids = seen.accepted_ids()
        self._reports = [(ids[id_], at) for id_, at in seen.pulled.items() if id_ in ids]

    def _of(self, times: Sequence[tuple[int, float]], *, codes: bool) -> Latency | None:
        posted = self._seen.posted_at
        return Latency.of(at - posted[n] for n, at in times if (n >= self._messages) == codes)

    def to_carrier(self, *, codes: bool) -> Latency | None:
        """From the post to the carrier."""
        return self._of(self._arrivals, codes=codes)

    def to_report(self, *, codes: bool) -> Latency | None:
        """From the post to the report."""
        return self._of(self._reports, codes=codes)

    def codes(self, per_s: float) -> Codes:
        """The codes by themselves."""
        seen = self._seen
        return Codes(
            per_s, seen.codes_posted, Latency.of(seen.code_seconds), self.to_carrier(codes=True),
            self.to_report(codes=True),
        )  # fmt: skip


def _tell(options: Options, stage: str, seen: Observed | None = None) -> None:
    if options.told is None:
        return
    if seen is None or not seen.first_post:
        options.told(Told(stage, 0.0, 0, 0, 0, 0))
        return
    load, seconds = options.load, time.monotonic() - seen.first_post
    due = load.pace.by(seconds) if load.rate else sum(1 for at in seen.posted_at[: load.messages] if at)
    refused = seen.refusals.total()
    options.told(Told(stage, round(seconds, 1), due, seen.accepted, seen.reported, refused))


async def _keep_telling(options: Options, seen: Observed) -> None:
    while options.told is not None:
        _tell(options, "load", seen)
        await asyncio.sleep(TELL_EVERY)


async def _watch_memory(stage: Stage, into: list[float]) -> None:
    while True:
        await asyncio.sleep(MEMORY_EVERY)
        into.append(round(sum(map(processes.memory_mib, stage.daemon_pids)), 1))


def _customer(
    options: Options,
    endpoint: Endpoint,
    stage: Stage | None,
    sink: Sink | None,
    load: Load,
    first: int,
    codes: Endpoint | None = None,
    others: Sequence[Endpoint] = (),
) -> Customer | PartnerCustomer:
    if stage is None or not options.setting.partner:
        return Customer(endpoint, load, first_serial=first, sink=sink, codes=codes, others=others)
    host, port = stage.partners(options.setting.partner)
    return PartnerCustomer(
        host, port, CMPP_LOGIN, stage.seeded.password, load, speech=SPEECHES[options.setting.partner](),
        window=options.partner_window, first_serial=first,
    )  # fmt: skip


def _refused_by(options: Options) -> str:
    """Whose statuses refusals are."""
    return options.setting.partner.upper() or "HTTP"


def _meter(stage: Stage | None) -> CpuMeter:
    groups: dict[str, int | Sequence[int]] = {} if stage is None else {
        "daemon": stage.daemon_pids, "database": stage.postgres_pid, "carriers": stage.simulation.pid,
    }  # fmt: skip
    return CpuMeter(groups | {"load generator": os.getpid()}, trees=("database",))


async def _balance(*endpoints: Endpoint | None) -> int:
    """Of all their accounts."""
    return sum([await _balance_of(endpoint) for endpoint in endpoints if endpoint is not None])


async def _balance_of(endpoint: Endpoint) -> int:
    connection = await endpoint.connect()
    try:
        async with asyncio.timeout(10):
            answer = await connection.send(endpoint.request("GET", "/balance"))
    finally:
        connection.close()
    if answer.status != 200:
        raise RuntimeError(f"GET /balance: HTTP {answer.status}: {answer.body[:300].decode('utf-8', 'replace')}")
    balance: int = json.loads(answer.body)["data"]["balance"]
    return balance


def _count(runs: list[Observed], posted: int, billed: int, refused_by: str) -> Counts:
    accepted: dict[int, int] = {}
    counts = Counts(posted, 0, billed, 0, 0, 0, 0)
    pulled: set[int] = set()
    for seen in runs:
        accepted |= seen.accepted_ids()
        counts.pulled_again += seen.pulled_again + len(pulled & seen.pulled.keys())
        pulled |= seen.pulled.keys()
        counts.lost_calls += seen.lost_calls
        counts.repeated_calls += seen.repeated_calls
        counts.offered_again += seen.offered_again
        counts.unknown += seen.unknown
        for status, n in seen.refusals.items():
            name = f"HTTP {status}" if refused_by == "HTTP" else f"{refused_by} 0x{status:02x}"
            counts.refusals[name] = counts.refusals.get(name, 0) + n
        for name, n in seen.statuses.items():
            counts.statuses[name] = counts.statuses.get(name, 0) + n
    counts.accepted = len(accepted)
    counts.pulled = len(pulled & accepted.keys())
    counts.pulled_strange = len(pulled - accepted.keys())
    # of some that were called unknown the report has come since
    counts.unknown = min(counts.unknown, counts.accepted - counts.pulled)
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
        "time": clock.now().astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S %z"),
        "smsgw": __version__,
        "python": platform.python_version(),
        "cores": str(len(os.sched_getaffinity(0))),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }
    if stage is not None:
        machine |= {f"postgres {name}".replace("server_", ""): v for name, v in stage.seeded.settings.items()}
    return machine


def _settings(options: Options) -> dict[str, Any]:
    load, setting = options.load, options.setting
    settings: dict[str, Any] = {
        "messages": f"{load.messages:,} (and {options.warm_up:,} to warm up)",
        "posts": _posts(load),
        "pace": _pace(load),
        "connections": f"{load.connections} posting, "
        + ("reports pushed, signed" if options.push else f"{load.pullers} pulling"),
        "pause of a puller": f"{PULL_PAUSE * 1000:.0f} ms after a batch that was not full",
    }
    if setting.partner:
        settings |= {
            "posts": f"submits over {setting.partner.upper()}, window {options.partner_window}",
            "connections": f"{load.connections} binds",
        }
        del settings["pause of a puller"]
    if load.codes_rate:
        whose = "an account of their own" if setting.codes_account else "the same account"
        settings["codes"] = f"{load.codes_rate:g}/s, one a post, by {whose}"
    if options.url:
        return settings | {"gateway": options.url}
    if setting.accounts > 1:
        settings["accounts"] = f"{setting.accounts}, in turn by connection"
    return settings | {
        "channels": f"{setting.channels}, {setting.links} links each, window {setting.window}, "
        + (f"{setting.channel_rate:,}/s each" if setting.channel_rate else "no limit of rate")
        + (", each for all numbers" if setting.balanced else ""),
        "workers": str(setting.workers),
        **({"beside it": "a transaction that keeps its snapshot"} if options.pinned else {}),
        **({"killed": f"the {options.kill}, in the middle of the load"} if options.kill else {}),
        "carriers": f"answer after {setting.answer_delay} ms, report after {setting.report_delay} ms",
    }


def _asked(options: Options) -> dict[str, Any]:
    """Of ``_settings``, what can be told in any language."""
    load, setting = options.load, options.setting
    posts = setting.partner or ("personalised" if load.template else "batch" if load.batch else "single")
    asked = {"posts": posts, "window": options.partner_window, "push": options.push, "warm_up": options.warm_up}
    of_load = ("batch", "rate", "burst", "burst_seconds", "connections", "pullers", "codes_rate")
    asked |= {name: getattr(load, name) for name in of_load}
    if options.url:
        return asked | {"gateway": options.url}
    of_setting = ("channels", "links", "answer_delay", "report_delay", "workers", "accounts", "codes_account")
    return asked | {name: getattr(setting, name) for name in of_setting} | {"channel_window": setting.window}


def _posts(load: Load) -> str:
    if not load.batch:
        return "single recipients"
    return f"batches of {load.batch}" + (", a template with each recipient's values" if load.template else "")


def _pace(load: Load) -> str:
    if not load.rate:
        return "as fast as answers come"
    pace = f"{load.rate:,.0f} messages/s"
    return pace + (f", {load.burst:,.0f}/s for {load.burst_seconds:g} s in the middle" if load.burst else "")


def _raised(stage: Stage | None) -> dict[str, str]:
    if stage is None:
        return {}
    return {
        "key": f"requests_per_second {REQUESTS_PER_SECOND:,} (default 200)",
        "account": f"rate {MESSAGES_PER_SECOND:,} messages/s (default 2,000)",
    }
