"""The composition of a node: the only place that makes its parts, each from those that it needs.

Nothing runs yet, nothing is changed afterwards; ``life`` starts and stops what is made here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from smsgw.admin.call import PortalContext
from smsgw.admin.health_mail import HealthMails
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.exports import Exporter
from smsgw.admin.mailing import named
from smsgw.admin.passwords import hashing
from smsgw.admin.statement_mail import StatementMails
from smsgw.api.context import ApiContext, asking
from smsgw.api.trying import operations
from smsgw.channels.manager import ChannelManager
from smsgw.channels.pool_shares import PoolShares
from smsgw.channels.services import Services
from smsgw.channels.wire.checking import Checking
from smsgw.channels.wire.listener import Listeners
from smsgw.channels.wire.proofs import readings
from smsgw.core import retention
from smsgw.core.addresses import Network
from smsgw.core.demand import Demand
from smsgw.core.guessing import Guesses
from smsgw.core.ids import IdSource
from smsgw.core.keys import ApiKey
from smsgw.core.model import ChannelStatus
from smsgw.core.numbers import Segments
from smsgw.net.mail import Mailer
from smsgw.net.tls import Certificate
from smsgw.node import metrics
from smsgw.node.health import Health
from smsgw.node.parts import Node, Parts
from smsgw.node.probes import probes
from smsgw.node.siblings import Siblings, Succession
from smsgw.node.test_carrier import TestCarrier
from smsgw.node.watchdog import Watchdog
from smsgw.node.worker_lookup import Anywhere, TryingOfAll, WatchesOfAll
from smsgw.node.worker_messages import News
from smsgw.partners.service import Partners
from smsgw.pipeline.accept.acceptor import Acceptor, Callbacks, DiskGuard
from smsgw.pipeline.accept.checks import Checker
from smsgw.pipeline.accept.metering import Meters, OwnMeters, SharedMeters
from smsgw.pipeline.accept.nonces import Nonces
from smsgw.pipeline.accept.number_lists import NumberLists
from smsgw.pipeline.accept.number_status import NumberStatus
from smsgw.pipeline.accept.spooling import OutageSpool
from smsgw.pipeline.delivery.account_events import AccountEvents
from smsgw.pipeline.delivery.destinations import Destinations
from smsgw.pipeline.delivery.push import Pusher
from smsgw.pipeline.delivery.push_http import Sender
from smsgw.pipeline.events import EventHub
from smsgw.pipeline.fleet import Fleet
from smsgw.pipeline.heartbeat import Heartbeat
from smsgw.pipeline.neighbours import Neighbours
from smsgw.pipeline.outcomes.cancellation import Cancelling
from smsgw.pipeline.outcomes.submit_log import SubmitLog
from smsgw.pipeline.outcomes.writer import Outcomes
from smsgw.pipeline.periodic import Supervisor
from smsgw.pipeline.routing import Router
from smsgw.pipeline.snapshot import SnapshotFollower
from smsgw.pipeline.upkeep.alarms import AlarmTable
from smsgw.pipeline.upkeep.auditing import Auditing
from smsgw.pipeline.upkeep.delivery_rate import Successes
from smsgw.pipeline.upkeep.evidencing import Evidencing
from smsgw.pipeline.upkeep.lateness import Lateness
from smsgw.pipeline.upkeep.maintenance import Maintenance
from smsgw.pipeline.upkeep.measures import Measures
from smsgw.pipeline.upkeep.retention import RetentionSweep
from smsgw.pipeline.upkeep.shifting import Shifting
from smsgw.platform.accounts.rebate_rules import Rebating
from smsgw.platform.accounts.reminders import AccountReminders
from smsgw.platform.alarms.memory import Memory
from smsgw.platform.alarms.notifier import Notifier
from smsgw.platform.alarms.ways import Ways
from smsgw.platform.audience.importing import ContactImporter
from smsgw.platform.audit import verification
from smsgw.platform.backups.watching import BackupWatch
from smsgw.platform.calls.trying import Door, Trying, door
from smsgw.platform.campaigns.feeder import Feeder
from smsgw.platform.campaigns.files import Files
from smsgw.platform.campaigns.importer import Importer
from smsgw.platform.campaigns.service import Tasks
from smsgw.platform.campaigns.workers import Workers
from smsgw.platform.channels import unmatched
from smsgw.platform.channels.watching import Watches
from smsgw.platform.content.reminders import Reminders
from smsgw.platform.diagnostics import service as diagnostics
from smsgw.platform.diagnostics.bundle import Bundles
from smsgw.platform.drafts.surveyor import Surveyor
from smsgw.platform.evidence import verification as proving
from smsgw.platform.fallback.service import Fallback
from smsgw.platform.faults.watching import FaultWatch
from smsgw.platform.files.service import FileStore
from smsgw.platform.health.report import Configured
from smsgw.platform.health.sizes import Sizes
from smsgw.platform.jobs.runner import JobRunner
from smsgw.platform.links.click_notifications import FirstClicks
from smsgw.platform.links.clicks import RESERVE_MB, Clicks
from smsgw.platform.links.code_files import CodeFiles
from smsgw.platform.links.counting import VisitorCount
from smsgw.platform.links.sending import SentLinks
from smsgw.platform.links.table import LinkTable
from smsgw.platform.lists.consent_import import ConsentImporter
from smsgw.platform.lists.number_import import NumberImporter
from smsgw.platform.load_tests.running import FOLDER as LOAD_TESTS, LoadTests
from smsgw.platform.numbers.filters import NumberFilterer
from smsgw.platform.numbers.vendor import Outside
from smsgw.platform.org.importing import StaffImporter
from smsgw.platform.review.service import Reviewing
from smsgw.platform.routing import following
from smsgw.platform.routing.prefix_sheets import PrefixImporter
from smsgw.platform.sheets.service import Sheets
from smsgw.platform.statistics import recount
from smsgw.platform.tickets.watching import TicketWatch
from smsgw.platform.words.importing import WordImporter
from smsgw.public.app import SHARE, PublicContext
from smsgw.recording.contents import decoded
from smsgw.runtime import clock, config, worker_pool
from smsgw.runtime.config import MAX_WORKERS, Config
from smsgw.runtime.worker_pool import METERS, Place
from smsgw.store.engine.database import Database
from smsgw.store.engine.journal import Journal, Replay
from smsgw.store.engine.nodes import Number
from smsgw.store.engine.secrets import Sealer
from smsgw.store.engine.spool import MAPPED_BYTES, Spool
from smsgw.store.messages import replaying
from smsgw.web.bodies import Bodies
from smsgw.web.listening import Connections, most_connections


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a node stands on: opened before its parts are made, closed after they have stopped."""

    settings: Config
    """With the number that the node has taken."""
    database: Database
    """For what goes on by itself."""
    readers: Database
    """For people and callers, and for the jobs that they ask for: any of these may be slow, and many at a time."""
    vital: Database
    """For leases, the heartbeat and the configuration: without them nothing is sent, so nothing else may have its
    connections."""
    number: Number
    ids: IdSource
    sealer: Sealer
    journal: Journal
    replay: Replay
    """What the journal holds of the run before."""
    segments: Segments
    folders: Sequence[Path]
    """That need room for new messages."""
    place: Place
    """Which of the processes of its installation it is."""
    home: int
    """The node whose files are: the first worker's."""


class Composition:
    """Makes each part once, when the first other one needs it. Tests put stand-ins in the place of single parts by
    overriding them; all others they have as a node has them."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.settings = ground.settings
        self.number = ground.settings.node.number
        self.place = ground.place
        self.database = ground.database
        self.readers = ground.readers
        self.vital = ground.vital
        self.sealer = ground.sealer
        self.ids = ground.ids
        self.journal = ground.journal
        self.urls: dict[str, str] = {}
        self.certificates: dict[str, Certificate] = {}
        self.made: Node | None = None
        """All parts together, once they are."""

    def now(self) -> datetime:
        """The time that messages, tasks and reviews go by."""
        return clock.now()

    def node(self) -> Node:
        """All of them."""
        same = {field.name: getattr(self, field.name) for field in fields(Parts)}
        table = AlarmTable(
            self.database, self.number, probes(Parts(**same)), self.notifier, lambda: self.snapshots.current.alarm_rules
        )
        self.made = Node(**same, alarms=table)
        return self.made

    # --- what all others stand on ---------------------------------------------------------------------------------

    @cached_property
    def heartbeat(self) -> Heartbeat:
        return Heartbeat(self.vital, self.ground.number, self.ids, self.demand)

    @cached_property
    def demand(self) -> Demand:
        return Demand()

    @cached_property
    def periodic(self) -> Supervisor:
        return Supervisor(self.vital, self.number)

    @cached_property
    def watchdog(self) -> Watchdog:
        return Watchdog()

    @cached_property
    def guesses(self) -> Guesses:
        return Guesses()

    @cached_property
    def auditing(self) -> Auditing:
        return Auditing(self.database, self.sealer, self.settings)

    @cached_property
    def successes(self) -> Successes:
        return Successes(self.database, self.snapshots)

    @cached_property
    def lateness(self) -> Lateness:
        return Lateness(self.database, self.snapshots)

    @cached_property
    def measures(self) -> Measures:
        return Measures(self.database, self.snapshots, self.settings.durability.open_for)

    @cached_property
    def evidencing(self) -> Evidencing:
        return Evidencing(self.database, self.sealer, self.settings)

    @cached_property
    def forgetting(self) -> RetentionSweep:
        return RetentionSweep(self.database, self.sealer, self.least)

    @property
    def least(self) -> Mapping[str, int]:
        """After how many days numbers may go at the earliest."""
        kept = self.settings.retention
        return retention.least(self.settings.durability.open_for, kept.events_days, kept.submits_days)

    @cached_property
    def snapshots(self) -> SnapshotFollower:
        return SnapshotFollower(self.vital, self.sealer)

    @cached_property
    def hub(self) -> EventHub:
        return EventHub()

    @cached_property
    def lists(self) -> NumberLists:
        return NumberLists(self.database, self.snapshots)

    @cached_property
    def numbers(self) -> NumberStatus:
        return NumberStatus(self.database, self.snapshots)

    # --- to carriers ----------------------------------------------------------------------------------------------

    @cached_property
    def fleet(self) -> Fleet:
        return Fleet(self.snapshots, self.lists)

    @cached_property
    def neighbours(self) -> Neighbours:
        return Neighbours(
            self.settings.redis,
            self.sealer,
            self.number,
            self.demand,
            self.fleet,
            self.hub,
            self.guesses,
            lambda: self.heartbeat.live,
            lambda: self.meters.granting,
        )

    @cached_property
    def router(self) -> Router:
        return Router(self.ground.segments, self.fleet)

    @cached_property
    def outcomes(self) -> Outcomes:
        return Outcomes(
            self.database.dsn, node=self.number, ids=self.ids, journal=self.journal, snapshots=self.snapshots,
            router=self.router, numbers=self.numbers, hub=self.hub, durability=self.settings.durability, now=self.now,
        )  # fmt: skip

    @cached_property
    def submits(self) -> SubmitLog:
        return SubmitLog(self.database)

    @cached_property
    def cancelling(self) -> Cancelling:
        return Cancelling(self.database, self.outcomes)

    @cached_property
    def test_carrier(self) -> TestCarrier:
        return TestCarrier()

    @cached_property
    def pool_shares(self) -> PoolShares:
        return PoolShares(asyncio.get_running_loop().time)

    @cached_property
    def shifting(self) -> Shifting:
        return Shifting(self.database, self.snapshots, self.fleet, self.pool_shares.slow)

    @cached_property
    def services(self) -> Services:
        return Services(
            self.database.dsn, self.vital, self.heartbeat, self.ids, self.snapshots, self.journal, self.outcomes,
            self.fleet, self.pool_shares, Listeners(self.guesses), self.submits,
        )  # fmt: skip

    @cached_property
    def channels(self) -> ChannelManager:
        return ChannelManager(self.database, self.services, self.ground.replay, self.test_carrier, self.siblings)

    @cached_property
    def siblings(self) -> Siblings:
        return Siblings(self.place)

    @cached_property
    def watches(self) -> Watches:
        return WatchesOfAll(self.siblings)

    @cached_property
    def succession(self) -> Succession:
        return Succession(self.siblings, self.channels, self.database, self.heartbeat)

    @cached_property
    def news(self) -> News:
        return News(self.place, self.fleet, self.hub, self.snapshots)

    @cached_property
    def anywhere(self) -> Anywhere:
        return Anywhere(self.channels, self.siblings)

    # --- from and to customers ------------------------------------------------------------------------------------

    @cached_property
    def disk(self) -> DiskGuard:
        return DiskGuard(self.ground.folders, self.settings.durability.min_free_mb)

    @cached_property
    def outage(self) -> OutageSpool | None:
        durability = self.settings.durability
        if durability.outage != "spool":
            return None
        spool = Spool(
            self.settings.node.data_dir / "spool", limit=durability.spool_mb * 1024 * 1024, header=replaying.COLUMNS
        )
        return OutageSpool(spool, durability.spool_seconds)

    @cached_property
    def destinations(self) -> Destinations:
        return Destinations(self.snapshots, self.settings.webhooks.reach)

    @cached_property
    def callbacks(self) -> Callbacks:
        """Which addresses messages may name."""
        return self.destinations

    @cached_property
    def checker(self) -> Checker:
        return Checker(self.router, self.lists, self.numbers, self.meters, self.links)

    @cached_property
    def acceptor(self) -> Acceptor:
        return Acceptor(
            self.database, self.ids, self.snapshots, self.checker, self.disk, self.hub, self.callbacks, self.heartbeat,
            self.outage, now=self.now,
        )  # fmt: skip

    @cached_property
    def meters(self) -> Meters:
        return SharedMeters(self.place.root / METERS, self.siblings) if self.place.crewed else OwnMeters()

    @cached_property
    def nonces(self) -> Nonces:
        return Nonces(self.database.dsn)

    @cached_property
    def partners(self) -> Partners:
        return Partners(
            self.settings, self.database, self.snapshots, self.acceptor, self.outcomes, self.hub, self.ids,
            self.guesses, shared=self.place.crewed,
        )  # fmt: skip

    @property
    def own_ports(self) -> frozenset[int]:
        """Where this node listens, or another process of its installation."""
        return self.settings.ports | worker_pool.ports_of_ops(self.settings, self.place)

    @cached_property
    def sender(self) -> Sender:
        return Sender(ca_file=self.settings.webhooks.ca_file, own_ports=self.own_ports)

    @cached_property
    def outside(self) -> Outside:
        return Outside(self.settings.webhooks.reach, self.settings.webhooks.ca_file, self.own_ports)

    @cached_property
    def pusher(self) -> Pusher:
        return Pusher(
            self.database, leasing=self.vital, node=self.number, ids=self.ids, snapshots=self.snapshots, hub=self.hub,
            destinations=self.destinations, sender=self.sender,
        )  # fmt: skip

    @cached_property
    def account_events(self) -> AccountEvents:
        return AccountEvents(self.database, self.snapshots, self.hub, self.ids.next)

    @cached_property
    def maintenance(self) -> Maintenance:
        return Maintenance(self.database, self.outcomes, self.snapshots, self.hub, self.ids, self.settings, self.fleet)

    # --- files, tasks, jobs ---------------------------------------------------------------------------------------

    @cached_property
    def store(self) -> FileStore:
        return FileStore(
            self.database, self.place.files, node=self.ground.home, ids=self.ids.next, disk=self.disk,
            total_mb=self.settings.files.total_mb, alone=not self.place.crewed,
        )  # fmt: skip

    @cached_property
    def tasks(self) -> Tasks:
        files = Files(self.database, self.store, node=self.ground.home, keep_days=self.settings.files.keep_days)
        return Tasks(
            self.database, acceptor=self.acceptor, outcomes=self.outcomes, files=files, ids=self.ids, fleet=self.fleet,
            hub=self.hub, snapshots=self.snapshots, links=self.sent_links, now=self.now,
        )  # fmt: skip

    @cached_property
    def feeder(self) -> Feeder:
        return Feeder(self.database, self.tasks, self.acceptor, ids=self.ids, snapshots=self.snapshots, now=self.now)

    @cached_property
    def fallback(self) -> Fallback:
        return Fallback(self.database, self.acceptor, self.snapshots, now=self.now)

    @cached_property
    def importer(self) -> Importer:
        return Importer(self.database, self.tasks, keep_days=self.settings.retention.messages_days)

    @cached_property
    def surveyor(self) -> Surveyor:
        return Surveyor(self.readers, self.tasks, self.acceptor, self.snapshots, self.checker, Workers())

    @cached_property
    def reviewing(self) -> Reviewing:
        return Reviewing(self.database, self.outcomes, self.snapshots, self.fleet, self.tasks, now=self.now)

    @cached_property
    def mailer(self) -> Mailer:
        return Mailer(self.settings.mail)

    @cached_property
    def statement_mails(self) -> StatementMails:
        return StatementMails(self.readers, self.mailer, lambda: self.snapshots.current.brands)

    @cached_property
    def configured(self) -> Configured:
        """What health reports know of the configuration."""
        return Configured.of(self.settings, len(self.sealer.ids))

    @cached_property
    def health_mails(self) -> HealthMails:
        return HealthMails(self.readers, self.mailer, lambda: self.snapshots.current.brands, self.configured)

    @cached_property
    def bundles(self) -> Bundles:
        return Bundles(
            self.readers, self.settings, len(self.sealer.ids), self.number, self.metrics_text, self.channel_status
        )

    def metrics_text(self) -> bytes:
        """What the node says of itself to Prometheus; nothing before all of its parts are there."""
        return b"" if self.made is None else metrics.text(self.made)

    @cached_property
    def sizes(self) -> Sizes:
        return Sizes(self.database, self.number, self.ground.folders)

    @cached_property
    def notifier(self) -> Notifier:
        ways = Ways(
            self.mailer, self.sender, self.outside, self.acceptor, self.snapshots,
            lambda english: named(self.snapshots.current.brands, "en" if english else DEFAULT),
        )  # fmt: skip
        memory = Memory(self.settings.node.data_dir / "told_alarms.json")
        return Notifier(self.database, self.sealer, ways, memory)

    @cached_property
    def rebating(self) -> Rebating:
        return Rebating(self.database, self.ids.next)

    @cached_property
    def reminders(self) -> Reminders:
        return Reminders(self.database)

    @cached_property
    def account_reminders(self) -> AccountReminders:
        return AccountReminders(self.database)

    @cached_property
    def faults(self) -> FaultWatch:
        return FaultWatch(self.database, lambda: self.snapshots.current.alarm_rules)

    @cached_property
    def tickets(self) -> TicketWatch:
        return TicketWatch(self.database, lambda: self.snapshots.current.alarm_rules)

    @cached_property
    def load_tests(self) -> LoadTests:
        return LoadTests(self.database, self.settings.node.data_dir / LOAD_TESTS)

    @cached_property
    def backups(self) -> BackupWatch:
        return BackupWatch(self.database, lambda: self.snapshots.current.alarm_rules)

    @cached_property
    def jobs(self) -> JobRunner:
        database = self.readers
        kinds = (
            self.importer.kind(), recount.kind(database), following.kind(database),
            unmatched.kind(database, self.outcomes),
            Exporter(database, self.store).kind(),
            verification.kind(database, self.sealer, self.settings.anchor_file),
            proving.kind(database, self.sealer, self.settings.evidence_file, readings),
            StaffImporter(database, Sheets(database, self.store), self.sealer, hashing).kind(),
            self.surveyor.kind(),
            NumberFilterer(database, Sheets(database, self.store), self.sealer, self.outside).kind(),
            ContactImporter(database, Sheets(database, self.store)).kind(),
            WordImporter(database, Sheets(database, self.store)).kind(),
            ConsentImporter(database, Sheets(database, self.store)).kind(),
            PrefixImporter(database, Sheets(database, self.store)).kind(),
            *NumberImporter(database, Sheets(database, self.store)).kinds(),
            self.load_tests.kind(),
            CodeFiles(database, self.store, Sheets(database, self.store), self.sealer).kind(),
            diagnostics.kind(self.bundles, self.store),
        )  # fmt: skip
        return JobRunner(self.database, self.number, kinds, home=self.ground.home)

    # --- edges ----------------------------------------------------------------------------------------------------

    @cached_property
    def health(self) -> Health:
        return Health(self.heartbeat, self.channels, self.acceptor, self.partners)

    @cached_property
    def proxies(self) -> list[Network]:
        return [ipaddress.ip_network(n) for n in self.settings.http.trusted_proxies]

    @cached_property
    def connections(self) -> Connections:
        share = 1 - SHARE if self.settings.public.listen and not self.place.edge else 1
        return Connections(most_connections(share), self.settings.http.connections_per_address, self.proxies)

    @cached_property
    def api(self) -> ApiContext:
        http = self.settings.http
        return ApiContext(
            db=self.readers,
            snapshots=self.snapshots,
            acceptor=self.acceptor,
            cancelling=self.cancelling,
            hub=self.hub,
            ids=self.ids.next,
            clock=clock.time,
            ready=self.ready,
            pusher=self.pusher,
            sealer=self.sealer,
            sent_links=self.sent_links,
            tasks=self.tasks,
            surveyor=self.surveyor,
            jobs=self.jobs.wake,
            bodies=Bodies(http.bodies_mb * 1024 * 1024),
            allow_insecure_bearer=bool(http.insecure_bearer and is_loopback(http.listen)),
            trusted_proxies=self.proxies,
            nonces=self.nonces,
            signature_v1_until=http.signature_v1_day,
            guesses=self.guesses,
            link_domains=self.settings.public.hosts,
            asked=asking(self.settings.database.read_pool),
        )

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether the node serves, and what it is told of each check."""
        return self.health.ready()

    @cached_property
    def links(self) -> LinkTable:
        return LinkTable(self.database, self.sealer)

    @cached_property
    def sent_links(self) -> SentLinks:
        return SentLinks(self.database, self.sealer, self.settings.public.hosts)

    @cached_property
    def clicks(self) -> Clicks:
        first = FirstClicks(self.snapshots, self.hub, self.ids.next)
        return clicks_of(self.settings, self.database, self.links, self.ground.folders, first)

    @cached_property
    def visitors(self) -> VisitorCount:
        return VisitorCount(self.database)

    @cached_property
    def public(self) -> PublicContext:
        return PublicContext(
            links=self.links, clicks=self.clicks, ids=self.ids.next, clock=clock.time,
            monotonic=asyncio.get_running_loop().time, hosts=self.settings.public.names,
            trusted_proxies=self.proxies, guesses=self.guesses,
        )  # fmt: skip

    @cached_property
    def trying(self) -> Trying:
        return TryingOfAll(
            lend=self.lend, door=self.own_door, operations=operations, siblings=self.siblings,
            _ids=itertools.count(self.place.worker, MAX_WORKERS),
        )  # fmt: skip

    async def lend(self, key: ApiKey) -> None:
        """Let a key be good on this node, whichever of its processes is called."""
        await self.snapshots.lend(key)
        await self.siblings.lend(key)

    def own_door(self) -> Door:
        """Where the API of this node listens, as it is called from here."""
        own = self.certificates.get("http")
        return door(self.urls, own.digest if own else b"")

    @cached_property
    def portal(self) -> PortalContext:
        settings = self.settings
        return PortalContext(
            db=self.readers,
            snapshots=self.snapshots,
            acceptor=self.acceptor,
            outcomes=self.outcomes,
            segments=self.ground.segments,
            channel_status=self.channel_status,
            checker=self.checker_of_channels,
            watches=self.watches,
            prober=self.anywhere,
            running=self.anywhere,
            secure_cookies=not is_loopback(settings.admin.listen or settings.http.listen),
            node=self.ground.home,
            ids=self.ids.next,
            sealer=self.sealer,
            files=self.store,
            jobs=self.jobs.wake,
            tasks=self.tasks,
            reviewing=self.reviewing,
            surveyor=self.surveyor,
            decode=decoded,
            reads=readings,
            reach=settings.webhooks.reach,
            measures=self.measures,
            cluster=self.heartbeat,
            neighbours=self.neighbours,
            pusher=self.pusher,
            data_dir=settings.node.data_dir,
            configured=self.configured,
            mails=bool(self.mailer.sender),
            link_domains=settings.public.hosts,
            retention=settings.retention,
            least=self.least,
            trying=self.trying,
            trusted_proxies=self.proxies,
            guesses=self.guesses,
        )

    @cached_property
    def checker_of_channels(self) -> Checking:
        return Checking(self.channels.at_work)

    def channel_status(self) -> Sequence[ChannelStatus]:
        """How the channels are, for pages."""
        return self.channels.status()


def build(ground: Ground) -> Node:
    """The parts of a node on this ground. To be called where the loop runs that they will run on."""
    return Composition(ground).node()


def clicks_of(
    settings: Config, database: Database, links: LinkTable, folders: Sequence[Path], first: FirstClicks | None
) -> Clicks:
    """The clicks of a data directory; ``folders`` need room for messages, which go first."""
    room = settings.public.clicks_mb * 1024 * 1024
    spool = Spool(settings.node.data_dir / "clicks", limit=room, segment_bytes=MAPPED_BYTES, mapped=True)
    disk = DiskGuard(folders, settings.durability.min_free_mb + RESERVE_MB)
    return Clicks(database, spool, links, disk, first)


def is_loopback(listen: str) -> bool:
    """Whether an address to listen on is reached from this machine alone."""
    host, _ = config.split_address(listen)
    return host == "localhost" or (host != "" and ipaddress.ip_address(host).is_loopback)
