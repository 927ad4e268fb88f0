"""The composition of a node: the only place that makes its parts, in the order in which they need each other.

Nothing runs yet, nothing is changed afterwards; ``life`` starts and stops what is made here.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from smsgw.admin.call import PortalContext
from smsgw.admin.kit.exports import Exporter
from smsgw.admin.passwords import hashing
from smsgw.api.context import ApiContext
from smsgw.channels.manager import ChannelManager
from smsgw.channels.pool_shares import PoolShares
from smsgw.channels.services import Services
from smsgw.channels.wire.listener import Listeners
from smsgw.core.guessing import Guesses
from smsgw.core.ids import IdSource
from smsgw.core.numbers import Segments
from smsgw.node.health import Health
from smsgw.node.parts import Parts
from smsgw.node.probes import probes
from smsgw.node.test_carrier import TestCarrier
from smsgw.node.watchdog import Watchdog
from smsgw.partners.service import Partners
from smsgw.pipeline.accept.acceptor import Acceptor, DiskGuard
from smsgw.pipeline.accept.checks import Checker
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
from smsgw.pipeline.outcomes.cancellation import Cancelling
from smsgw.pipeline.outcomes.writer import Outcomes
from smsgw.pipeline.periodic import Supervisor
from smsgw.pipeline.routing import Router
from smsgw.pipeline.snapshot import SnapshotFollower
from smsgw.pipeline.upkeep.alarms import AlarmTable
from smsgw.pipeline.upkeep.auditing import Auditing
from smsgw.pipeline.upkeep.maintenance import Maintenance
from smsgw.platform.audit import verification
from smsgw.platform.campaigns.feeder import Feeder
from smsgw.platform.campaigns.files import Files
from smsgw.platform.campaigns.importer import Importer
from smsgw.platform.campaigns.service import Tasks
from smsgw.platform.files.service import FileStore
from smsgw.platform.jobs.runner import JobRunner
from smsgw.platform.org.importing import StaffImporter
from smsgw.platform.review.service import Reviewing
from smsgw.platform.sheets.service import Sheets
from smsgw.platform.statistics import recount
from smsgw.runtime import clock, config
from smsgw.runtime.config import Config
from smsgw.store.engine.database import Database
from smsgw.store.engine.journal import Journal, Replay
from smsgw.store.engine.nodes import Number
from smsgw.store.engine.secrets import Sealer
from smsgw.store.engine.spool import Spool
from smsgw.web.bodies import Bodies
from smsgw.web.listening import Connections, most_connections


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a node stands on: opened before its parts are made, closed after they have stopped."""

    settings: Config
    """With the number that the node has taken."""
    database: Database
    number: Number
    ids: IdSource
    sealer: Sealer
    journal: Journal
    replay: Replay
    """What the journal holds of the run before."""
    segments: Segments
    folders: Sequence[Path]
    """That need room for new messages."""


@dataclass(frozen=True, kw_only=True)
class Node(Parts):
    """A node, ready to be started."""

    alarms: AlarmTable


def build(ground: Ground) -> Node:
    """The parts of a node on this ground. To be called where the loop runs that they will run on."""
    settings, database, ids = ground.settings, ground.database, ground.ids
    number = settings.node.number
    data_dir = settings.node.data_dir
    guesses = Guesses()
    heartbeat = Heartbeat(database, ground.number, ids)

    snapshots = SnapshotFollower(database, ground.sealer)
    hub = EventHub()
    lists = NumberLists(database, snapshots)
    numbers = NumberStatus(database, snapshots)
    fleet = Fleet(snapshots, lists)
    router = Router(ground.segments, fleet)
    outcomes = Outcomes(
        database.dsn, node=number, ids=ids, journal=ground.journal, snapshots=snapshots, router=router,
        numbers=numbers, hub=hub, durability=settings.durability,
    )  # fmt: skip

    test_carrier = TestCarrier()
    services = Services(
        database.dsn, heartbeat, ids, snapshots, ground.journal, outcomes, fleet,
        PoolShares(asyncio.get_running_loop().time), Listeners(guesses),
    )  # fmt: skip
    channels = ChannelManager(database, services, ground.replay, test_carrier)

    outage = None
    if settings.durability.outage == "spool":
        spool = Spool(data_dir / "spool", limit=settings.durability.spool_mb * 1024 * 1024)
        outage = OutageSpool(spool, settings.durability.spool_seconds)
    disk = DiskGuard(ground.folders, settings.durability.min_free_mb)
    destinations = Destinations(snapshots, settings.webhooks.reach)
    acceptor = Acceptor(
        database, ids, snapshots, Checker(router, lists, numbers), disk, hub, destinations, heartbeat, outage
    )
    nonces = Nonces(database.dsn)
    partners = Partners(settings, database, snapshots, acceptor, outcomes, hub, ids, guesses)
    pusher = Pusher(
        database, node=number, ids=ids, snapshots=snapshots, hub=hub, destinations=destinations,
        sender=Sender(ca_file=settings.webhooks.ca_file, own_ports=settings.ports),
    )  # fmt: skip
    cancelling = Cancelling(database, outcomes)

    store = FileStore(
        database, data_dir / "files", node=number, ids=ids.next, disk=disk, total_mb=settings.files.total_mb
    )
    files = Files(database, store, node=number, keep_days=settings.files.keep_days)
    tasks = Tasks(
        database, acceptor=acceptor, outcomes=outcomes, files=files, ids=ids, fleet=fleet, hub=hub,
        snapshots=snapshots,
    )  # fmt: skip
    importer = Importer(database, tasks, keep_days=settings.retention.messages_days)
    jobs = JobRunner(
        database, number,
        (
            importer.kind(), recount.kind(database), Exporter(database, store).kind(),
            verification.kind(database, ground.sealer, settings.anchor_file),
            StaffImporter(database, Sheets(database, store), ground.sealer, hashing).kind(),
        ),
    )  # fmt: skip
    health = Health(heartbeat, channels, acceptor, partners)
    proxies = [ipaddress.ip_network(n) for n in settings.http.trusted_proxies]
    parts = Parts(
        settings=settings,
        database=database,
        sealer=ground.sealer,
        ids=ids,
        journal=ground.journal,
        heartbeat=heartbeat,
        periodic=Supervisor(database, number),
        watchdog=Watchdog(),
        guesses=guesses,
        auditing=Auditing(database, ground.sealer, settings),
        snapshots=snapshots,
        hub=hub,
        lists=lists,
        numbers=numbers,
        fleet=fleet,
        router=router,
        outcomes=outcomes,
        test_carrier=test_carrier,
        channels=channels,
        acceptor=acceptor,
        nonces=nonces,
        partners=partners,
        pusher=pusher,
        account_events=AccountEvents(database, snapshots, hub, ids.next),
        cancelling=cancelling,
        maintenance=Maintenance(database, outcomes, snapshots, hub, ids, settings, fleet),
        tasks=tasks,
        feeder=Feeder(database, tasks, acceptor, ids=ids, snapshots=snapshots),
        importer=importer,
        jobs=jobs,
        reviewing=Reviewing(database, outcomes, snapshots, fleet, tasks),
        health=health,
        connections=Connections(most_connections(), settings.http.connections_per_address, proxies),
        api=ApiContext(
            db=database,
            snapshots=snapshots,
            acceptor=acceptor,
            cancelling=cancelling,
            hub=hub,
            ids=ids.next,
            clock=clock.time,
            ready=health.ready,
            pusher=pusher,
            sealer=ground.sealer,
            tasks=tasks,
            bodies=Bodies(settings.http.bodies_mb * 1024 * 1024),
            allow_insecure_bearer=bool(settings.http.insecure_bearer and is_loopback(settings.http.listen)),
            trusted_proxies=proxies,
            nonces=nonces,
            signature_v1_until=settings.http.signature_v1_day,
            guesses=guesses,
        ),
        portal=PortalContext(
            db=database,
            snapshots=snapshots,
            acceptor=acceptor,
            channel_status=channels.status,
            secure_cookies=not is_loopback(settings.admin.listen or settings.http.listen),
            node=number,
            ids=ids.next,
            sealer=ground.sealer,
            files=store,
            jobs=jobs.wake,
            trusted_proxies=proxies,
            guesses=guesses,
        ),
        urls={},
    )
    same = {field.name: getattr(parts, field.name) for field in fields(parts)}
    return Node(**same, alarms=AlarmTable(database, number, probes(parts)))


def is_loopback(listen: str) -> bool:
    """Whether an address to listen on is reached from this machine alone."""
    host, _ = config.split_address(listen)
    return host == "localhost" or (host != "" and ipaddress.ip_address(host).is_loopback)
