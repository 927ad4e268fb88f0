"""The edge: short links in a process of their own (``[public] own_process``), which the supervisor has begun.

It is no node. It follows links and takes clicks as a node does, into the folder of the first worker and under its
number: ids of clicks are made here alone then. What is wrong with it the first worker asks for, and tells.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import signal
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector

from smsgw.core.guessing import Guesses
from smsgw.core.ids import IdSource
from smsgw.core.wording_json import packed
from smsgw.net import unix_paths
from smsgw.node import database_setup, metrics
from smsgw.node.build import clicks_of
from smsgw.node.life import LOCK_PATIENCE, OPS_CONNECTIONS, STEP_PATIENCE, taken
from smsgw.node.sites import Sites
from smsgw.node.watchdog import Watchdog
from smsgw.pipeline.periodic import Periodic, Supervisor
from smsgw.pipeline.snapshot import SnapshotFollower
from smsgw.platform.links import queries
from smsgw.platform.links.clicks import Clicks
from smsgw.platform.links.table import LinkTable
from smsgw.public import app as public
from smsgw.public.app import PublicContext
from smsgw.runtime import aio, clock, worker_pool
from smsgw.runtime.config import Config
from smsgw.runtime.worker_pool import Place
from smsgw.store.engine import nodes, rows
from smsgw.store.engine.database import Database, forgive_abandoned
from smsgw.web import serving
from smsgw.web.health import add_health
from smsgw.web.listening import Connections, most_connections

log = structlog.get_logger(__name__)

CLOCK_EVERY = 2.0
FOLLOW_EVERY = 1.0


class Edge:
    """``start`` returns when it serves; ``stop`` when all is closed."""

    def __init__(self, settings: Config, place: Place) -> None:
        self._place = place
        self._settings = worker_pool.settings_of_edge(settings, place)
        self._closers: list[tuple[str, Callable[[], Any]]] = []
        self._urls: dict[str, str] = {}
        self.watchdog = Watchdog()
        self.ended = asyncio.Event()
        """It has to stop, asked for or not."""

    async def start(self) -> None:
        """Bring it up. Raises with nothing left running when a step fails."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        log.info("edge.started", **self._urls)

    async def _start(self) -> None:
        settings, place = self._settings, self._place
        lock = await taken(place.folder / worker_pool.LOCK, LOCK_PATIENCE)
        self._closers.append(("lock", lock.give))
        sealer = database_setup.sealer(settings)
        database = Database(settings.database.dsn, size=settings.database.pool, sealer=lambda: sealer)
        await database.open()
        self._closers.append(("database", database.close))
        clock.hear(await nodes.ask_time(database))

        number = _number(place.root)
        if not number:
            raise RuntimeError(f"{place.root} is of no node yet: the first worker makes it one")
        self._periodic = Supervisor(database, number)
        ids = IdSource(number, clock.ms, after=await queries.newest_click(database))
        snapshots, links, guesses = SnapshotFollower(database, sealer), LinkTable(database, sealer), Guesses()
        disks = database_setup.disks(place.root, place.root, settings.database.dsn)
        clicks = clicks_of(settings, database, links, disks, None)
        await snapshots.follow()
        await links.begin()  # an edge that cannot start would end the nodes
        await clicks.start()
        self._closers.append(("clicks", clicks.stop))
        self._run("edge", (
            Periodic("clock", CLOCK_EVERY, partial(self._hear, database, number)),
            Periodic("config.follow", FOLLOW_EVERY, snapshots.follow),
            *links.periodics(), *clicks.entering(),
        ))  # fmt: skip
        proxies = [ipaddress.ip_network(n) for n in settings.http.trusted_proxies]
        context = PublicContext(
            links=links, clicks=clicks, ids=ids.next, clock=clock.time, monotonic=asyncio.get_running_loop().time,
            hosts=settings.public.names, trusted_proxies=proxies, guesses=guesses,
        )  # fmt: skip
        sites = Sites(snapshots, self._urls, {}, self._closers, self._run, shared=True)
        led = public.Opening(context)
        own = Connections(most_connections(), settings.http.connections_per_address, proxies)
        await sites.serve(
            public.application(context, led), "public", own, settings.public.listen, settings.public.tls,
            at_once=led.at_once,
        )  # fmt: skip
        ops = web.Application()
        serving.dress_answers(ops, ())
        add_health(ops, partial(public.ready, links))
        ops.router.add_get("/metrics", _metrics(links, clicks))
        await sites.serve(ops, "ops", Connections(OPS_CONNECTIONS), settings.ops.listen, shared=False)
        await self._listen_to_worker(links, clicks, guesses)
        lock.say(str(os.getpid()), worker_pool.SERVES)

    def _run(self, name: str, work: Sequence[Periodic]) -> None:
        group = self._periodic.run(work)
        self._closers.append((f"{name}: periodic work", group.stop))

    async def _hear(self, database: Database, number: int) -> None:
        """Go by the database's time; and end when the first worker has become another node, whose ids are others."""
        clock.hear(await nodes.ask_time(database))
        if _number(self._place.root) not in (0, number):
            log.error("edge.number_changed", number=number)
            self.ended.set()

    async def _listen_to_worker(self, links: LinkTable, clicks: Clicks, guesses: Guesses) -> None:
        async def findings(request: web.Request) -> web.Response:
            about = request.query.get("about", "")
            found = [*links.findings(about), *clicks.findings(about), *guesses.findings(about, clock.steady()),
                     *rows.findings(about)]  # fmt: skip
            return web.json_response([[f.kind, f.object, f.severity, packed(f.detail)] for f in found])

        application = web.Application()
        application.router.add_get("/edge/findings", findings)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        self._closers.append(("control", runner.cleanup))
        path = self._place.folder / worker_pool.CONTROL
        path.unlink(missing_ok=True)
        with unix_paths.reachable(path) as near:
            await web.UnixSite(runner, near).start()

    async def stop(self) -> None:
        """In the reverse order of the start; each step is bounded and none keeps the next from happening."""
        for name, close in reversed(self._closers):
            try:
                async with asyncio.timeout(STEP_PATIENCE):
                    closed = close()
                    if closed is not None:
                        await closed
            except asyncio.CancelledError:  # the second signal: the next steps need not be waited for
                log.warning("stop.hurried", part=name)
            except Exception as exc:  # the next steps must happen
                log.error("stop.failed", part=name, error=exc)
        self._closers.clear()
        log.info("edge.stopped")


def _number(root: Path) -> int:
    """The first worker's; 0: it has none yet. It alone makes the file that says so, for it asks its journal."""
    return nodes.identity(root).number if (root / nodes.FILE).exists() else 0


def _metrics(links: LinkTable, clicks: Clicks) -> Callable[[web.Request], Any]:
    class Collector:
        def collect(self) -> Sequence[Metric]:
            return list(metrics.of_links(links, clicks))

    registry = CollectorRegistry()
    registry.register(Collector())
    ProcessCollector(registry=registry)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": "text/plain; version=0.0.4"})

    return answer


async def run(settings: Config, place: Place) -> None:
    """Run the edge until SIGTERM or SIGINT; a second one hurries it."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(forgive_abandoned)
    edge, main = Edge(settings, place), asyncio.current_task()

    def on_signal() -> None:
        if edge.ended.is_set() and main is not None:
            main.cancel()
        edge.ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # it follows by itself
    await edge.start()
    aio.settle_memory()
    aio.share_interpreter()
    edge.watchdog.notify("READY=1")
    alive = aio.spawn(edge.watchdog.run(), name="watchdog")
    try:
        await edge.ended.wait()
    finally:
        edge.watchdog.notify("STOPPING=1")
        with contextlib.suppress(asyncio.CancelledError):
            await edge.stop()
        await aio.cancel(alive)
