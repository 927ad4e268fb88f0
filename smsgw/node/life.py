"""The life of a node: what is opened before it, the start and stop of its parts in order, its heartbeat, signals."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from smsgw import __version__
from smsgw.admin import app as portal
from smsgw.api import app as api
from smsgw.api.context import ApiContext
from smsgw.core.errors import SmsgwError, Temporary
from smsgw.core.ids import CHINA, IdSource
from smsgw.core.words import english_of
from smsgw.net import unix_paths
from smsgw.node import control, database_setup, metrics, stale_state
from smsgw.node.build import Ground, build
from smsgw.node.control import follow_now
from smsgw.node.parts import Node
from smsgw.node.sites import Sites
from smsgw.pipeline.periodic import Periodic
from smsgw.platform.calls import queries as calls
from smsgw.platform.org import setup_code
from smsgw.public import app as public
from smsgw.runtime import aio, clock, failpoints, private, worker_pool
from smsgw.runtime.config import Config
from smsgw.runtime.worker_pool import HeldLock, Place
from smsgw.store.config import keys, segments
from smsgw.store.engine import journal as journals, migrate, nodes, partitions
from smsgw.store.engine.database import Database, forgive_abandoned
from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.engine.journal import Journal, boot_id
from smsgw.store.records import audit, node_events
from smsgw.web import plain_http, serving
from smsgw.web.health import add_health
from smsgw.web.listening import Connections, most_connections

log = structlog.get_logger(__name__)

DATABASE_CHECK_EVERY = 2.0
FOLLOW_EVERY = 1.0
"""Seconds between looks for changes of the configuration."""
NOTE_KEYS_EVERY = 30.0
NOTE_CALLS_EVERY, FORGET_CALLS_EVERY = 5.0, 3600.0
OPS_CONNECTIONS = 64
VITAL_POOL = 3
"""Connections for what a node must do in seconds, or it loses its channels."""
LOCK_PATIENCE, LOCK_EVERY = 120.0, 0.1
"""Seconds that a worker waits for its folder."""
LOOKED_AT = 0.5
"""Seconds within which whoever only looks at a lock has given it back."""
DRAINED_EVERY = 1.0
STEP_PATIENCE = 40.0
"""Seconds for each step of a stop; the longest, that of the channels, waits for answers, log-outs and a commit."""


class AlreadyRunning(RuntimeError):
    """Another process holds the data directory."""


class ClockWrong(RuntimeError):
    """This machine and the database do not agree on what time it is."""


class Daemon:
    """One node. ``start`` returns when it serves; ``stop`` when everything accepted is safe and all is closed."""

    def __init__(self, settings: Config, place: Place | None = None) -> None:
        """``place``: among the workers of a supervisor, by whose settings it goes; None: it is alone."""
        self._place = place or Place(settings.node.data_dir)
        self._settings = worker_pool.settings_of(settings, self._place)
        self._node: Node | None = None
        self._closers: list[tuple[str, Callable[[], Any]]] = []
        self._locks: list[HeldLock] = []
        self._drained = False
        self.stop_asked = asyncio.Event()
        self.fatal: Exception | None = None
        """Why the node has to stop although nobody has asked for it."""

    @property
    def node(self) -> Node:
        """Its parts; once it was started."""
        if self._node is None:
            raise RuntimeError("the node is not built yet")
        return self._node

    async def start(self) -> None:
        """Bring everything up. Raises with nothing left running when a step fails."""
        try:
            node = self._node = build(await self._open())
            await self._begin(node)
            if not self._place.surplus:
                await self._listen(node)
            await self._listen_to_commands(node)
            await self._note_start(node)
        except BaseException:
            await self.stop()
            raise
        self._locks[-1].say(str(os.getpid()), worker_pool.SERVES)
        log.info("daemon.started", node=node.settings.node.number, **node.urls)

    async def _note_start(self, node: Node) -> None:
        """Say in the line of time that it serves, and that it stops."""
        number = node.settings.node.number
        try:
            await node_events.started(node.database, number, __version__)
        except SmsgwError as exc:  # it serves all the same
            log.warning("node.start_not_noted", error=exc.code)
        self._closers.append(("line of time", partial(node_events.stopped, node.database, number)))

    async def _open(self) -> Ground:
        """Everything that is there before the parts are."""
        settings = self._settings
        if armed := failpoints.armed():
            log.warning("failpoints.armed", places=armed)
        data_dir = settings.node.data_dir
        private.close(data_dir, inside=("journal", "spool", "files", "clicks"))
        await self._take_locks(data_dir)

        folders = [data_dir]
        dsn, owner = settings.database.dsn, settings.database.owner_dsn or settings.database.dsn
        if not dsn:
            embedded = EmbeddedPostgres(data_dir)
            dsn, owner = await embedded.start(), embedded.owner_dsn
            self._closers.append(("postgres", embedded.stop))
            folders.append(embedded.home)
        elif self._place.crewed:
            folders = database_setup.disks(data_dir, self._place.root, dsn)
        await migrate.migrate(owner, application=dsn)
        sizes = {"vital": VITAL_POOL, "readers": settings.database.read_pool, "database": settings.database.pool}
        pools = {name: Database(dsn, size=size, sealer=lambda: sealer) for name, size in sizes.items()}
        for name, pool in pools.items():
            await pool.open()
            self._closers.append((name, pool.close))
        database = pools["database"]

        number = await self._take_number(database)
        settings = replace(settings, node=replace(settings.node, number=number.number))
        ids = IdSource(number.number, clock.ms, after=number.after)
        async with database.acquire(timeout=60) as connection:
            await partitions.ensure(connection, clock.now().astimezone(CHINA).date(), newest=ids.newest_made)
        sealer = database_setup.sealer(settings)
        audit.use(lambda: sealer)
        journal = Journal(data_dir / "journal", number.number, boot_id())
        replay = journal.open()
        self._closers.append(("journal", lambda: asyncio.to_thread(journal.close)))
        return Ground(
            settings=settings, **pools, number=number, ids=ids, sealer=sealer, journal=journal, replay=replay,
            segments=await asyncio.to_thread(segments.load_segments), folders=folders, place=self._place,
            home=self._home(number),
        )  # fmt: skip

    def _home(self, own: nodes.Number) -> int:
        """The node whose files all workers have: the first one's."""
        return (nodes.identity(self._place.root).number if self._place.worker > 1 else 0) or own.number

    async def _take_number(self, database: Database) -> nodes.Number:
        """Take the database's time and a node number."""
        clock.hear(await nodes.ask_time(database))
        problem, grave = clock.trouble()
        if grave:
            raise ClockWrong(f"{english_of(problem or '')}: set the one that is wrong (NTP) and start again")
        data_dir = self._settings.node.data_dir
        who = nodes.identity(data_dir, had=journals.node_of(data_dir / "journal"))
        await stale_state.part_with(database, who)
        public = self._settings.public
        if public.hosts and not public.listen:
            log.warning("links.not_served", hosts=public.hosts, hint="set [public] listen on at least one node")
        return await nodes.take(database, who, self._settings.node.number, serves_links=bool(public.listen))

    async def _begin(self, node: Node) -> None:
        """Start the parts, each after those that it needs."""
        self._closers.append(("node", self._leave))
        await node.auditing.start()
        self._closers.append(("audit", node.auditing.stop))
        self._run("audit", node.auditing.periodics())
        self._closers.append(("evidence", node.evidencing.stop))
        self._run("evidence", node.evidencing.periodics())
        self._run("success", node.successes.periodics())
        await node.snapshots.follow()
        await node.lists.load()
        self._run("lists", node.lists.periodics())
        await node.numbers.load()
        self._run("numbers", node.numbers.periodics())
        await node.outcomes.start()
        self._closers.append(("outcomes", node.outcomes.stop))

        self._closers.append(("recorded submits", node.submits.stop))
        self._run("recorded submits", node.submits.periodics())
        self._closers.append(("test carrier", node.test_carrier.stop))
        self._closers.append(("channels", node.channels.stop))
        self._run("workers", node.succession.periodics())
        await node.succession.start()
        await node.channels.start()
        await node.news.start()
        self._closers.append(("news", node.news.stop))
        self._closers.append(("neighbours", node.neighbours.stop))
        await node.neighbours.start()
        self._run("neighbours", node.neighbours.periodics(self._follow))
        following = Periodic("config.follow", FOLLOW_EVERY, self._follow, wake=node.news.changed)
        self._run("channels", (*node.channels.periodics(), following))
        self._run("shifting", node.shifting.periodics())
        self._run("measures", node.measures.periodics())

        await node.nonces.start()
        self._closers.append(("nonces", node.nonces.stop))
        await node.acceptor.start()
        self._closers.append(("acceptor", node.acceptor.stop))
        self._run("acceptor", node.acceptor.periodics())
        await node.acceptor.caught_up()

        await node.pusher.start()
        self._closers.append(("pusher", node.pusher.stop))
        self._run("pusher", node.pusher.periodics())
        self._run("account events", node.account_events.periodics())
        self._closers.append(("maintenance", node.maintenance.stop))
        self._run("maintenance", node.maintenance.periodics())
        self._run("forgetting", node.forgetting.periodics())
        self._run("tasks", (*node.feeder.periodics(), *node.importer.periodics()))
        self._run("fallback", node.fallback.periodics())
        await node.jobs.start()
        self._closers.append(("jobs", node.jobs.stop))
        self._run("jobs", (*node.jobs.periodics(), *node.load_tests.periodics()))
        self._run("reminders", (*node.reminders.periodics(), *node.account_reminders.periodics()))
        self._run("statements", node.statement_mails.periodics())
        self._run("health mails", (*node.sizes.periodics(), *node.health_mails.periodics()))
        self._run("rebates", node.rebating.periodics())
        self._run("faults", node.faults.periodics())
        if not (self._place.edge and self._place.worker == 1):  # else they are the edge's
            await node.clicks.start()
            self._closers.append(("clicks", node.clicks.stop))
            self._run("clicks", node.clicks.entering())
        self._run("visits", (*node.clicks.judging(), *node.visitors.periodics()))
        self._run("database", (Periodic("database.check", DATABASE_CHECK_EVERY, self._beat),))
        self._closers.append(("alarm notes", node.notifier.stop))
        self._run("alarms", (*node.alarms.periodics(), *node.notifier.periodics()))
        self._closers.append(("partners", node.partners.stop))
        await node.partners.start()
        self._run("partners", node.partners.periodics())
        self._closers.append(("partners' logins", node.partners.log_out))
        node.urls.update(node.partners.urls)

    def _run(self, name: str, work: Sequence[Periodic]) -> None:
        """Let periodic work run until the stop comes to it."""
        group = self.node.periodic.run(work)
        self._closers.append((f"{name}: periodic work", group.stop))

    # --- servers -----------------------------------------------------------------------------------------------

    async def _listen(self, node: Node) -> None:
        settings = node.settings
        if settings.public.hosts:  # also where none are opened: what is sent is judged by where it leads
            await node.links.begin()
            self._run("links", node.links.periodics())
        proxies = node.api.trusted_proxies
        application = web.Application(client_max_size=3 * 1024 * 1024)
        if settings.http.tls_listen:
            application.middlewares.append(plain_http.only_tls(settings.http, proxies))
        api.setup(application, node.api)
        self._run("keys", (Periodic("keys.used", NOTE_KEYS_EVERY, partial(self._note_keys, node.api)),))
        self._run("calls", (
            Periodic("calls.note", NOTE_CALLS_EVERY, partial(self._note_calls, node.api)),
            Periodic("calls.forget", FORGET_CALLS_EVERY, self._forget_calls, exclusive="calls.forget"),
        ))  # fmt: skip
        pages = application
        if settings.admin.listen:
            pages = web.Application(client_max_size=3 * 1024 * 1024)
            serving.dress_answers(pages, proxies)
            add_health(pages, node.health.ready)
        of_portal = portal.setup(pages, node.portal)
        shared, sites = node.connections, self._sites(node)
        await sites.serve(
            application, "http", shared, settings.http.listen, settings.http.tls, settings.http.tls_listen
        )
        if pages is not application:
            await sites.serve(pages, "admin", shared, settings.admin.listen, settings.admin.tls)
        self._run("portal", of_portal)

        if settings.public.listen and not self._place.edge:
            own = Connections(most_connections(public.SHARE), settings.http.connections_per_address, proxies)
            opening = public.Opening(node.public)
            await sites.serve(
                public.application(node.public, opening), "public", own, settings.public.listen, settings.public.tls,
                at_once=opening.at_once,
            )  # fmt: skip

        ops = web.Application()
        serving.dress_answers(ops, ())
        add_health(ops, node.health.ready)
        ops.router.add_get("/metrics", metrics.handler(node))
        await sites.serve(ops, "ops", Connections(OPS_CONNECTIONS), settings.ops.listen, shared=False)

    def _sites(self, node: Node) -> Sites:
        return Sites(node.snapshots, node.urls, node.certificates, self._closers, self._run, shared=self._place.crewed)

    async def _listen_to_commands(self, node: Node) -> None:
        socket_path = node.settings.control_socket
        socket_path.unlink(missing_ok=True)
        runner = web.AppRunner(control.application(node), access_log=None, keepalive_timeout=75.0)
        await runner.setup()
        old_mask = os.umask(0o177)
        try:
            with unix_paths.reachable(socket_path) as near:
                await web.UnixSite(runner, near).start()
        finally:
            os.umask(old_mask)
        self._closers.append(("control", runner.cleanup))

    async def _note_keys(self, context: ApiContext) -> None:
        """Write down which keys were used since the last time: one statement, however many calls there were."""
        used = dict(context.used_keys)
        context.used_keys.clear()
        try:
            await keys.note_used(
                self.node.database, {k: (datetime.fromtimestamp(at, UTC), ip or None) for k, (at, ip) in used.items()}
            )
        except Exception:
            for key_id, use in used.items():
                context.used_keys.setdefault(key_id, use)
            raise

    async def _note_calls(self, context: ApiContext) -> None:
        """Write down how calls have ended. What cannot be written is lost: it is a help, not a record."""
        cells, refused = context.calls.take()
        if cells or refused:
            await calls.write(self.node.database, cells, refused)

    async def _forget_calls(self) -> None:
        await calls.forget(self.node.database, clock.now())

    async def stop(self) -> None:
        """Stop in the reverse order of the start; each step is bounded and none keeps the next from happening."""
        if self._node is not None:
            self._node.acceptor.refuse()
        in_order = False
        for name, close in reversed(self._closers):
            if name == "journal":
                in_order = self._nothing_open()
            try:
                async with asyncio.timeout(STEP_PATIENCE):
                    await close()
            except asyncio.CancelledError:  # the second signal: the next steps must happen, and need not be waited for
                log.warning("stop.hurried", part=name)
            except Exception as exc:  # the next steps must happen
                log.error("stop.failed", part=name, error=exc)
        self._closers.clear()
        if self._place.crewed and in_order:
            self._locks[-1].say()
        for lock in reversed(self._locks):
            lock.give()
        self._locks.clear()
        log.info("daemon.stopped")

    def _nothing_open(self) -> bool:
        """Whether the journal is of no use to anybody: all that was written is in the database."""
        node = self._node
        return node is not None and node.channels.settled and not node.journal.open_keys()

    async def drained(self) -> None:
        """Wait until nothing of this worker is left that is not in the database."""
        node = self.node
        while not (  # noqa: ASYNC110 - three parts, and none of them tells
            node.channels.settled and node.acceptor.entered and node.clicks.entered
        ):
            await asyncio.sleep(DRAINED_EVERY)
        self._drained = True

    async def _leave(self) -> None:
        """Give the number back; one that nothing is left of is not missed by anybody."""
        node = self.node
        await node.heartbeat.leave()
        if self._drained and not worker_pool.kept(self._place.folder):
            with contextlib.suppress(SmsgwError):
                await nodes.retire(node.database, nodes.identity(self._place.folder))

    async def _take_locks(self, data_dir: Path) -> None:
        """One process a folder; and one without a supervisor is no worker's neighbour."""
        patience = LOCK_PATIENCE if self._place.crewed else LOOKED_AT
        wanted = [(data_dir / worker_pool.LOCK, patience)]
        edge = worker_pool.folder_of(self._place.root, worker_pool.EDGE)
        if self._place.worker == 1 and not self._place.edge and edge.exists():  # it had our clicks, and may still
            wanted.insert(0, (edge / worker_pool.LOCK, LOCK_PATIENCE))
        if not self._place.crewed:  # first: as long as there is a supervisor its edge does not end
            wanted.insert(0, (data_dir / worker_pool.SUPERVISOR, patience))
        for path, seconds in wanted:
            self._locks.append(await taken(path, seconds))

    # --- while it runs -----------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Take up what has changed in the configuration; channels are told, the others see it when they look."""
        if await self.node.snapshots.follow():
            self.node.neighbours.configured()
            await self.node.channels.follow()

    async def _beat(self) -> None:
        try:
            await self.node.heartbeat.beat()
        except nodes.NumberTaken as exc:
            self._end(exc)

    def _end(self, why: Exception) -> None:
        """Nothing more may be done under this node's number."""
        if self.fatal is None:
            log.critical("node.number_lost", number=self.node.heartbeat.node, error=str(why))
            self.fatal = why
            self.node.ids.revoke()
            self.node.acceptor.refuse()
            self.stop_asked.set()


async def taken(path: Path, patience: float) -> HeldLock:
    """The lock of a folder. The process before may be ending still, or a neighbour reads what it has left: so many
    seconds are waited. ``AlreadyRunning``."""
    lock, until = HeldLock(path), clock.steady() + patience
    while owner := lock.take():
        if clock.steady() >= until:
            raise AlreadyRunning(
                f"{path.parent} is in use by another smsgw (pid {owner}); stop it or choose another data directory"
            )
        await asyncio.sleep(LOCK_EVERY)
    return lock


async def run(settings: Config, place: Place | None = None, *, on_ready: Callable[[Node], Any] | None = None) -> None:
    """Run a node until SIGTERM or SIGINT (a second signal does not wait for a clean stop); SIGHUP reloads.

    A worker that is not wanted any more runs until nothing of it is left.
    """
    daemon = Daemon(settings, place)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(forgive_abandoned)
    main = asyncio.current_task()

    def on_signal() -> None:
        if daemon.stop_asked.is_set() and main is not None:
            main.cancel()
        daemon.stop_asked.set()

    reload_asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    # A terminal that is closed says the same, and means the end.
    loop.add_signal_handler(signal.SIGHUP, on_signal if sys.stdin.isatty() else reload_asked.set)
    starting = aio.spawn(daemon.start(), name="daemon.start")
    asked = aio.spawn(_wait(daemon.stop_asked), name="daemon.stop_asked")
    await asyncio.wait((starting, asked), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        await aio.cancel(starting)
        if daemon.fatal is not None:
            raise daemon.fatal
        return
    starting.result()
    aio.settle_memory()
    aio.share_interpreter()
    daemon.node.watchdog.notify("READY=1")
    alive = aio.spawn(daemon.node.watchdog.run(), name="watchdog")
    reloading = aio.spawn(_reload(daemon, reload_asked), name="daemon.reload")
    try:
        if on_ready is not None:
            await on_ready(daemon.node)
        if place is not None and place.surplus:
            await _first(daemon.drained(), daemon.stop_asked.wait())
        else:
            if place is None or place.worker == 1:
                await _tell_setup_code(daemon)
            await daemon.stop_asked.wait()
    finally:
        daemon.node.watchdog.notify("STOPPING=1")
        await aio.cancel(reloading)
        with contextlib.suppress(asyncio.CancelledError):
            await daemon.stop()
        await aio.cancel(alive, asked)
    if daemon.fatal is not None:
        raise daemon.fatal


async def _tell_setup_code(daemon: Daemon) -> None:
    """Where to begin, while nobody was ever entered. A database that goes away just now is no reason to end."""
    with contextlib.suppress(Temporary):
        if code := await setup_code.waiting(daemon.node.database, daemon.node.sealer):
            hint = "open the portal; smsgwctl setup-code shows the code"
            log.warning("setup.waiting", urls=daemon.node.urls, hint=hint)
            if sys.stderr.isatty():  # a log is kept, and read by others
                print(f"setup code: {code}", file=sys.stderr)


async def _first(*awaited: Coroutine[Any, Any, Any]) -> None:
    """Until one is done."""
    tasks = [aio.spawn(one, name="daemon.first") for one in awaited]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await aio.cancel(*tasks)


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def _reload(daemon: Daemon, asked: asyncio.Event) -> None:
    """One reload at a time, however often it is asked for."""
    while True:
        await asked.wait()
        asked.clear()
        try:
            await follow_now(daemon.node)
        except Exception as exc:  # a supervisor: what was asked for may be asked for again
            log.error("daemon.reload_failed", error=exc)
