"""The composition root: the only place that builds the parts of the daemon, starts and stops them in order."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import ipaddress
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, Any

import structlog
from aiohttp import web

from smsgw.admin import app as portal
from smsgw.api import app as api
from smsgw.api.bodies import Bodies
from smsgw.api.context import ApiContext
from smsgw.channels.manager import ChannelManager
from smsgw.channels.pool_shares import PoolShares
from smsgw.channels.services import Services
from smsgw.channels.wire.listener import Listeners
from smsgw.core.errors import SmsgwError
from smsgw.core.guessing import Guesses
from smsgw.core.ids import CHINA, IdSource
from smsgw.core.model import TEST_CHANNEL, MessageType
from smsgw.net import tls as certificates
from smsgw.net import unix_paths
from smsgw.net.tls import Certificate
from smsgw.node import control, metrics
from smsgw.node.probes import probes
from smsgw.node.test_carrier import TestCarrier
from smsgw.node.watchdog import Watchdog
from smsgw.partners.service import Partners
from smsgw.pipeline.accept.acceptor import Acceptor, DiskGuard
from smsgw.pipeline.accept.nonces import Nonces
from smsgw.pipeline.accept.number_lists import NumberLists
from smsgw.pipeline.accept.number_status import NumberStatus
from smsgw.pipeline.delivery.account_events import Notices
from smsgw.pipeline.delivery.events import EventHub
from smsgw.pipeline.delivery.push import Pusher
from smsgw.pipeline.delivery.push_http import Sender
from smsgw.pipeline.outcomes.cancellation import Cancelling
from smsgw.pipeline.outcomes.writer import Outcomes
from smsgw.pipeline.routing import Router
from smsgw.pipeline.snapshot import SnapshotFollower
from smsgw.pipeline.upkeep.alarms import AlarmTable
from smsgw.pipeline.upkeep.auditing import Auditing
from smsgw.pipeline.upkeep.maintenance import Maintenance
from smsgw.pipeline.upkeep.periodic import Periodic, Supervisor
from smsgw.platform.campaigns.feeder import Feeder
from smsgw.platform.campaigns.files import Files
from smsgw.platform.campaigns.importer import Importer
from smsgw.platform.campaigns.service import Tasks
from smsgw.platform.change import Change
from smsgw.platform.files.service import FileStore
from smsgw.platform.jobs.runner import JobRunner
from smsgw.platform.review.service import Reviewing
from smsgw.platform.statistics import recount
from smsgw.runtime import aio, clock, config, failpoints, private
from smsgw.runtime.config import Config
from smsgw.store.config import keys, segments
from smsgw.store.engine import journal as journals
from smsgw.store.engine import migrate, nodes, partitions, secrets
from smsgw.store.engine.database import Database, Row, forgive_abandoned
from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.engine.journal import Journal, boot_id
from smsgw.store.engine.spool import Spool
from smsgw.store.messages import request_keys
from smsgw.store.records import audit
from smsgw.web import plain_http, serving
from smsgw.web.health import add_health
from smsgw.web.listening import Connections, Listener, most_connections

log = structlog.get_logger(__name__)

DATABASE_CHECK_EVERY = 2.0
FOLLOW_EVERY = 1.0
"""Seconds between looks for changes of the configuration."""
NOTE_KEYS_EVERY = 30.0
OPS_CONNECTIONS = 64
STEP_PATIENCE = 40.0
"""Seconds for each step of a stop; the longest, that of the channels, waits for answers, log-outs and a commit."""


class AlreadyRunning(RuntimeError):
    """Another process holds the data directory."""


class ClockWrong(RuntimeError):
    """This machine and the database do not agree on what time it is."""


class Daemon:
    """One node. ``start`` returns when it serves; ``stop`` when everything accepted is safe and all is closed."""

    def __init__(self, settings: Config) -> None:
        self.settings = settings
        self.urls: dict[str, str] = {}
        self.guesses = Guesses()
        self._closers: list[tuple[str, Callable[[], Any]]] = []
        self._lock: IO[str] | None = None
        self._database_ok = False
        self._nodes = 1
        """Live nodes when the database answered last; accounts' rates are divided by them."""
        self.stop_asked = asyncio.Event()
        self.watchdog = Watchdog()
        self.fatal: Exception | None = None
        """Why the node has to stop although nobody has asked for it."""

    async def start(self) -> None:
        """Bring everything up. Raises with nothing left running when a step fails."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        settings = self.settings
        if armed := failpoints.armed():
            log.warning("failpoints.armed", places=armed)
        data_dir = settings.node.data_dir
        private.close(data_dir, inside=("journal", "spool", "files"))
        self._take_lock(data_dir)

        folders = [data_dir]
        dsn, owner = settings.database.dsn, settings.database.owner_dsn or settings.database.dsn
        if not dsn:
            embedded = EmbeddedPostgres(data_dir)
            dsn, owner = await embedded.start(), embedded.owner_dsn
            self._closers.append(("postgres", embedded.stop))
            folders.append(embedded.home)
        self.dsn = dsn
        await migrate.migrate(owner, application=dsn)
        self.database = Database(dsn, size=settings.database.pool)
        await self.database.open()
        self._closers.append(("database", self.database.close))
        self._database_ok = True

        settings = await self._become_a_node()
        self.sealer = secrets.load_key(settings.key_file, create=not settings.security.key_file)
        audit.use(lambda: self.sealer)
        self.auditing = Auditing(self.database, self.sealer, settings)
        await self.auditing.start()
        self._closers.append(("audit", self.auditing.stop))
        self.periodic = Supervisor(self.database, settings.node.number)
        self._run("audit", self.auditing.periodics())
        self.snapshots = SnapshotFollower(self.database, self.sealer)
        await self.snapshots.follow()
        self.bell = EventHub()

        self.lists = NumberLists(lambda: self.snapshots.current.settings)
        await self.lists.load(self.database)
        self._run("lists", self.lists.periodics(self.database))

        self.numbers = NumberStatus(lambda: self.snapshots.current.settings)
        await self.numbers.load(self.database)
        self._run("numbers", self.numbers.periodics(self.database))

        self.journal = journal = Journal(data_dir / "journal", settings.node.number, boot_id())
        replay = journal.open()
        self._closers.append(("journal", lambda: asyncio.to_thread(journal.close)))
        self.outcomes = Outcomes(
            dsn, node=settings.node.number, ids=self.ids, journal=journal, snapshots=self.snapshots, bell=self.bell,
            durability=settings.durability, learn=self.numbers.note,
        )  # fmt: skip
        await self.outcomes.start()
        self._closers.append(("outcomes", self.outcomes.stop))

        tables = PoolShares(asyncio.get_running_loop().time)
        test_carrier = TestCarrier()
        self._closers.append(("test carrier", test_carrier.stop))
        services = Services(
            dsn,
            settings.node.number,
            journal,
            self.outcomes,
            tables,
            self.ids.next,
            marketing_stopped=self.lists.marketing_stopped,
            nodes=lambda: self.nodes,
            halted=lambda: self.snapshots.current.halted,
            emergency_reserve=lambda: self.snapshots.current.settings.emergency_reserve,
            test_channel=test_carrier.channel,
            newest=self.ids.newest,
            listeners=Listeners(self.guesses),
        )
        self.channels = ChannelManager(self.database, self.snapshots, services, replay)
        self.outcomes.long_reports.channels = lambda: self.channels.reporting_once
        self._closers.append(("channels", self.channels.stop))
        await self.channels.start()
        following = Periodic("config.follow", FOLLOW_EVERY, self._follow)
        self._run("channels", (*self.channels.periodics(), following))

        router = Router(
            await asyncio.to_thread(segments.load_segments),
            self.snapshots,
            available=self.channels.available,
            ascii_only=self.channels.ascii_only,
            single_limit=self.channels.single_limit,
            marketing_open=self.channels.marketing_open,
        )
        self.outcomes.retrying.serving = self.channels.serving
        self.outcomes.retrying.route_as = lambda message, carrier: self._route_as(router, message, carrier)
        spool = None
        if settings.durability.outage == "spool":
            spool = Spool(data_dir / "spool", limit=settings.durability.spool_mb * 1024 * 1024)
        self.acceptor = Acceptor(
            dsn, node=settings.node.number, ids=self.ids, router=router,
            disk=DiskGuard(folders, settings.durability.min_free_mb), on_queued=self.channels.announce,
            patience=lambda: timedelta(hours=self.snapshots.current.settings.review_expire_hours),
            database=self.database, policies=lambda: self.snapshots.current.policies,
            optout_words=lambda: self.snapshots.current.settings.optout_words,
            on_refused=lambda accounts: self.bell.ring(accounts, "report"),
            refusal=self.lists.refusal, empty=self.numbers.empty,
            extension=lambda account, sign: self.snapshots.current.numbering.extension_of(account, sign),
            owns=lambda account, sign, digits: self.snapshots.current.numbering.owns(account, sign, digits),
            nodes=lambda: self._nodes,
            recall=partial(request_keys.recall, self.database), spool=spool,
            spool_seconds=settings.durability.spool_seconds, available=lambda: self.snapshots.current.available,
            away=lambda: not self._database_ok, freshen=lambda: self.lists.follow(self.database),
            check_callback=lambda account, url: self.pusher.check_callback(account, url),
        )  # fmt: skip
        self.nonces = Nonces(dsn)
        await self.nonces.start()
        self._closers.append(("nonces", self.nonces.stop))
        self.reviewing = Reviewing(
            self.database, self.outcomes, self.snapshots, self.channels.announce, self._task_reviewed
        )
        await self.acceptor.start()
        self._closers.append(("acceptor", self.acceptor.stop))
        self._run("acceptor", self.acceptor.periodics())
        await self.acceptor.caught_up()
        self.partners = Partners(
            settings,
            self.database,
            self.snapshots,
            self.acceptor,
            self.outcomes,
            self.bell,
            self.ids,
            self.guesses,
        )

        self.pusher = Pusher(
            dsn, self.database, node=settings.node.number, ids=self.ids.next, snapshots=self.snapshots, bell=self.bell,
            reach=settings.webhooks.reach,
            sender=Sender(ca_file=settings.webhooks.ca_file, own_ports=settings.ports),
        )  # fmt: skip
        await self.pusher.start()
        self._closers.append(("pusher", self.pusher.stop))
        self._run("pusher", self.pusher.periodics())
        notices = Notices(self.database, self.snapshots, self.bell, self.ids.next)
        self._run("notices", notices.periodics())

        self.cancelling = Cancelling(self.database, self.outcomes)
        self.keeper = Maintenance(
            self.database,
            self.outcomes,
            self.snapshots,
            self.bell,
            self.ids,
            settings,
            self.channels.announce,
        )
        self._closers.append(("keeper", self.keeper.stop))
        self._run("keeper", self.keeper.periodics())

        await self._start_tasks()
        self._run("database", (Periodic("database.check", DATABASE_CHECK_EVERY, self._check_database),))
        self.alarms = AlarmTable(self.database, settings.node.number, probes(self))
        self._run("alarms", self.alarms.periodics())
        self._closers.append(("partners", self.partners.stop))
        await self.partners.start()
        self._run("partners", self.partners.periodics())
        self._closers.append(("partners' logins", self.partners.log_out))
        self.urls |= self.partners.urls
        await self._listen()
        log.info("daemon.started", node=settings.node.number, **self.urls)

    def _run(self, name: str, work: Sequence[Periodic]) -> None:
        """Let periodic work run until the stop comes to it."""
        group = self.periodic.run(work)
        self._closers.append((f"{name}: periodic work", group.stop))

    async def _become_a_node(self) -> Config:
        """Take the database's time and a node number; the settings with that number in them."""
        clock.hear(await nodes.ask_time(self.database))
        problem, grave = clock.trouble()
        if grave:
            raise ClockWrong(f"{problem}: set the one that is wrong (NTP) and start again")
        data_dir = self.settings.node.data_dir
        who = nodes.identity(data_dir, had=journals.node_of(data_dir / "journal"))
        self.number = await nodes.take(self.database, who, self.settings.node.number)
        self.ids = IdSource(self.number.number, clock.ms, after=self.number.after)
        self._closers.append(("node", self._leave))
        async with self.database.acquire(timeout=60) as connection:
            await partitions.ensure(
                connection, clock.now().astimezone(CHINA).date(), newest=self.ids.newest_made
            )
        self.settings = replace(self.settings, node=replace(self.settings.node, number=self.number.number))
        return self.settings

    async def _task_reviewed(self, change: Change, task_id: int, *, passes: bool, reason: str) -> int:
        return await self.tasks.reviewed(change, task_id, passes=passes, reason=reason)

    async def _start_tasks(self) -> None:
        settings = self.settings
        node = settings.node.number
        store = FileStore(
            self.database, settings.node.data_dir / "files", node=node, ids=self.ids.next,
            total_mb=settings.files.total_mb, check_disk=self.acceptor.disk.check,
        )  # fmt: skip
        files = Files(self.database, store, node=node, keep_days=settings.files.keep_days)
        self.tasks = Tasks(
            self.database, acceptor=self.acceptor, outcomes=self.outcomes, files=files, ids=self.ids.next,
            on_queued=self.channels.announce, bell=self.bell, policies=lambda: self.snapshots.current.policies,
        )  # fmt: skip
        self.feeder = Feeder(
            self.database, self.tasks, self.acceptor, ids=self.ids,
            account=lambda account_id: self.snapshots.current.account(account_id),
            policies=lambda: self.snapshots.current.policies,
        )  # fmt: skip
        importer = Importer(self.database, self.tasks, keep_days=settings.retention.messages_days)
        self._run("tasks", (*self.feeder.periodics(), *importer.periodics()))
        runner = JobRunner(self.database, node, (importer.kind(), recount.kind(self.database)))
        await runner.start()
        self._closers.append(("jobs", runner.stop))
        self._run("jobs", runner.periodics())

    def _route_as(self, router: Router, message: Row, carrier: str) -> int:
        """The pool of a stored message whose number turned out to be another carrier's."""
        account = self.snapshots.current.account(message["account_id"])
        name = account.name if account else ""
        kind = MessageType(message["type"])
        home = replace(router.home(message["number"]), carrier=carrier, known_by="override")
        now = clock.now()
        return router.route(
            name, kind, message["number"], home, message["sign"], message["content"], now
        ).pool_id

    async def _listen(self) -> None:
        settings = self.settings
        proxies = [ipaddress.ip_network(n) for n in settings.http.trusted_proxies]
        self.connections = Connections(most_connections(), settings.http.connections_per_address, proxies)
        loopback = _is_loopback(settings.http.listen)
        application = web.Application(client_max_size=3 * 1024 * 1024)
        context = ApiContext(
            db=self.database,
            snapshots=self.snapshots,
            acceptor=self.acceptor,
            cancelling=self.cancelling,
            bell=self.bell,
            ids=self.ids.next,
            clock=clock.time,
            ready=self.ready,
            pusher=self.pusher,
            sealer=self.sealer,
            tasks=self.tasks,
            bodies=Bodies(settings.http.bodies_mb * 1024 * 1024),
            allow_insecure_bearer=bool(settings.http.insecure_bearer and loopback),
            trusted_proxies=proxies,
            nonces=self.nonces,
            signature_v1_until=settings.http.signature_v1_day,
            guesses=self.guesses,
        )
        if settings.http.tls_listen:
            application.middlewares.append(plain_http.only_tls(settings.http, proxies))
        api.setup(application, context)
        self._run("keys", (Periodic("keys.used", NOTE_KEYS_EVERY, partial(self._note_keys, context)),))
        pages = application
        if settings.admin.listen:
            pages = web.Application(client_max_size=3 * 1024 * 1024)
            serving.dress_answers(pages, proxies)
            add_health(pages, self.ready)
        of_portal = portal.setup(
            pages,
            portal.PortalContext(
                db=self.database,
                snapshots=self.snapshots,
                acceptor=self.acceptor,
                channel_status=self.channels.status,
                secure_cookies=not _is_loopback(settings.admin.listen or settings.http.listen),
                node=settings.node.number,
                ids=self.ids.next,
                sealer=self.sealer,
                trusted_proxies=proxies,
                guesses=self.guesses,
            ),
        )
        shared = self.connections
        await self._serve(
            application, "http", shared, settings.http.listen, settings.http.tls, settings.http.tls_listen
        )
        if pages is not application:
            await self._serve(pages, "admin", shared, settings.admin.listen, settings.admin.tls)
        self._run("portal", of_portal)

        ops = web.Application()
        serving.dress_answers(ops, ())
        add_health(ops, self.ready)
        ops.router.add_get("/metrics", metrics.handler(self))
        await self._serve(ops, "ops", Connections(OPS_CONNECTIONS), settings.ops.listen)

        socket_path = settings.control_socket
        socket_path.unlink(missing_ok=True)
        runner = web.AppRunner(control.application(self), access_log=None, keepalive_timeout=75.0)
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
                self.database,
                {k: (datetime.fromtimestamp(at, UTC), ip or None) for k, (at, ip) in used.items()},
            )
        except Exception:
            for key_id, use in used.items():
                context.used_keys.setdefault(key_id, use)
            raise

    async def _serve(
        self,
        application: web.Application,
        name: str,
        connections: Connections,
        listen: str,
        tls: Sequence[str] = (),
        tls_listen: str = "",
    ) -> None:
        """Serve an application: plain at ``listen``, or with a certificate there or at ``tls_listen``."""
        options = api.runner_options()
        runner = web.AppRunner(application, **options)
        await runner.setup()
        self._closers.append((name, runner.cleanup))
        certificate = None
        if tls:
            certificate = Certificate(tls, f"[{name}] tls")
            await certificate.start()
            look = Periodic(f"certificate.{name}", certificates.LOOK_EVERY, certificate.look)
            self._run(f"{name} certificate", (look,))
        if certificate is None or tls_listen:
            site = partial(Listener, runner, connections=connections, options=options)
            self.urls[name] = await self._site(site, f"[{name}] listen", listen)
        if certificate is not None:
            site = partial(
                Listener, runner, connections=connections, options=options, context=certificate.context
            )
            url = await self._site(site, f"[{name}] tls", tls_listen or listen)
            self.urls[f"{name}s" if tls_listen else name] = url

    @staticmethod
    async def _site(make: Callable[[str, int], Listener], setting: str, listen: str) -> str:
        host, port = config.split_address(listen)
        site = make(host, port)
        try:
            await site.start()
        except OSError as exc:
            raise OSError(exc.errno, f"cannot listen on {host}:{port} ({setting}): {exc.strerror}") from exc
        return site.name

    async def stop(self) -> None:
        """Stop in the reverse order of the start; each step is bounded and none keeps the next from happening."""
        if hasattr(self, "acceptor"):
            self.acceptor.open = False
        for name, close in reversed(self._closers):
            try:
                await asyncio.wait_for(close(), STEP_PATIENCE)
            except (
                asyncio.CancelledError
            ):  # the second signal: the next steps must happen, and need not be waited for
                log.warning("stop.hurried", part=name)
            except Exception as exc:  # the next steps must happen
                log.error("stop.failed", part=name, error=exc)
        self._closers.clear()
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        log.info("daemon.stopped")

    def _take_lock(self, data_dir: Path) -> None:
        path = data_dir / "daemon.lock"
        self._lock = open(path, "a+")  # held until stop
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            self._lock.seek(0)
            owner = self._lock.read().strip() or "unknown"
            self._lock.close()
            self._lock = None
            raise AlreadyRunning(
                f"{data_dir} is in use by another smsgw (pid {owner}); stop it or choose another data directory"
            ) from exc
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()

    @property
    def database_ok(self) -> bool:
        """Whether the database answered when it was last asked."""
        return self._database_ok

    @property
    def nodes(self) -> int:
        """Nodes that lived when the database answered last."""
        return self._nodes

    async def reload(self) -> None:
        """Take up at once what was changed in the database."""
        await self.channels.follow_now()
        await self.partners.reload()
        await self.lists.follow(self.database)
        await self.lists.judge(self.database)
        await self.numbers.step(self.database)

    async def _follow(self) -> None:
        """Take up what has changed in the configuration; channels are told, the others see it when they look."""
        if await self.snapshots.follow():
            await self.channels.follow()

    # --- health ------------------------------------------------------------------------------------------------

    async def _check_database(self) -> None:
        try:
            await self._beat()
            self._database_ok = True
        except nodes.NumberTaken as exc:
            self._end(exc)
        except Exception:
            self._database_ok = False
            raise

    async def _beat(self) -> None:
        heard = await nodes.beat(self.database, self.number, self.ids.last)
        clock.hear(heard.word)
        self.ids.seen(heard.newest)
        self._nodes = heard.live

    async def _leave(self) -> None:
        with contextlib.suppress(SmsgwError):  # the database is away: the lease ends by itself
            await nodes.leave(self.database, self.number, self.ids.last)

    def _end(self, why: Exception) -> None:
        """Nothing more may be done under this node's number."""
        if self.fatal is None:
            log.critical("node.number_lost", number=self.number.number, error=str(why))
            self.fatal = why
            self.ids.revoke()
            self.acceptor.open = False
            self.stop_asked.set()

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether messages can be accepted, by every server that is configured, and the checks behind the verdict."""
        bound = sum(s.id != TEST_CHANNEL and s.state in ("bound", "idle") for s in self.channels.status())
        accepting = self._accepting()
        checks = {
            "database": "ok" if self._database_ok else "unavailable",
            "accepting": accepting,
            "channels_bound": bound,
        }
        spooling = self.acceptor.spooling
        if spooling is not None and spooling.calls:
            how = "draining" if spooling.draining else "waiting for the database"
            checks["spool"] = f"{spooling.calls} calls, {spooling.octets} octets, {how}"
        silent = self.partners.silent
        if self.partners.listeners:
            checks["partners"] = f"not listening: {', '.join(silent)}" if silent else "ok"
        return accepting in ("ok", "spool") and not silent, checks

    def _accepting(self) -> str:
        """What becomes of a call that comes now."""
        if not self.acceptor.open:
            return "stopping"
        spooling = self.acceptor.spooling
        if self._database_ok and not (spooling and spooling.active):
            return "ok"
        return "spool" if spooling and spooling.open and not spooling.problem else "refused"


def _is_loopback(listen: str) -> bool:
    host, _ = config.split_address(listen)
    return host == "localhost" or (host != "" and ipaddress.ip_address(host).is_loopback)


async def run(settings: Config, *, on_ready: Callable[[Daemon], Any] | None = None) -> None:
    """Run a node until SIGTERM or SIGINT (a second signal does not wait for a clean stop); SIGHUP reloads."""
    daemon = Daemon(settings)
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
    daemon.watchdog.notify("READY=1")
    alive = aio.spawn(daemon.watchdog.run(), name="watchdog")
    reloading = aio.spawn(_reload(daemon, reload_asked), name="daemon.reload")
    try:
        if on_ready is not None:
            await on_ready(daemon)
        await daemon.stop_asked.wait()
    finally:
        daemon.watchdog.notify("STOPPING=1")
        await aio.cancel(reloading)
        with contextlib.suppress(asyncio.CancelledError):
            await daemon.stop()
        await aio.cancel(alive, asked)
    if daemon.fatal is not None:
        raise daemon.fatal


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def _reload(daemon: Daemon, asked: asyncio.Event) -> None:
    """One reload at a time, however often it is asked for."""
    while True:
        await asked.wait()
        asked.clear()
        try:
            await daemon.reload()
        except Exception as exc:  # a supervisor: what was asked for may be asked for again
            log.error("daemon.reload_failed", error=exc)
