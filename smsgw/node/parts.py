"""The parts of a node, by name."""

from __future__ import annotations

from dataclasses import dataclass

from smsgw.admin.call import PortalContext
from smsgw.admin.health_mail import HealthMails
from smsgw.admin.statement_mail import StatementMails
from smsgw.api.context import ApiContext
from smsgw.channels.manager import ChannelManager
from smsgw.core.guessing import Guesses
from smsgw.core.ids import IdSource
from smsgw.net.tls import Certificate
from smsgw.node.health import Health
from smsgw.node.siblings import Siblings, Succession
from smsgw.node.test_carrier import TestCarrier
from smsgw.node.watchdog import Watchdog
from smsgw.node.worker_lookup import Anywhere
from smsgw.node.worker_messages import News
from smsgw.partners.service import Partners
from smsgw.pipeline.accept.acceptor import Acceptor
from smsgw.pipeline.accept.nonces import Nonces
from smsgw.pipeline.accept.number_lists import NumberLists
from smsgw.pipeline.accept.number_status import NumberStatus
from smsgw.pipeline.delivery.account_events import AccountEvents
from smsgw.pipeline.delivery.push import Pusher
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
from smsgw.platform.alarms.notifier import Notifier
from smsgw.platform.backups.watching import BackupWatch
from smsgw.platform.campaigns.feeder import Feeder
from smsgw.platform.campaigns.importer import Importer
from smsgw.platform.campaigns.service import Tasks
from smsgw.platform.channels.watching import Watches
from smsgw.platform.content.reminders import Reminders
from smsgw.platform.diagnostics.bundle import Bundles
from smsgw.platform.drafts.surveyor import Surveyor
from smsgw.platform.fallback.service import Fallback
from smsgw.platform.faults.watching import FaultWatch
from smsgw.platform.health.sizes import Sizes
from smsgw.platform.jobs.runner import JobRunner
from smsgw.platform.links.clicks import Clicks
from smsgw.platform.links.counting import VisitorCount
from smsgw.platform.links.table import LinkTable
from smsgw.platform.load_tests.running import LoadTests
from smsgw.platform.review.service import Reviewing
from smsgw.platform.tickets.watching import TicketWatch
from smsgw.public.app import PublicContext
from smsgw.runtime.config import Config
from smsgw.runtime.worker_pool import Place
from smsgw.store.engine.database import Database
from smsgw.store.engine.journal import Journal
from smsgw.store.engine.secrets import Sealer
from smsgw.web.listening import Connections


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of a node, but for the alarms that look at them."""

    settings: Config
    database: Database
    sealer: Sealer
    ids: IdSource
    journal: Journal
    heartbeat: Heartbeat
    periodic: Supervisor
    watchdog: Watchdog
    guesses: Guesses
    auditing: Auditing
    evidencing: Evidencing
    forgetting: RetentionSweep
    successes: Successes
    lateness: Lateness
    shifting: Shifting
    measures: Measures
    snapshots: SnapshotFollower
    hub: EventHub
    neighbours: Neighbours
    lists: NumberLists
    numbers: NumberStatus
    fleet: Fleet
    router: Router
    outcomes: Outcomes
    submits: SubmitLog
    test_carrier: TestCarrier
    channels: ChannelManager
    place: Place
    siblings: Siblings
    succession: Succession
    news: News
    anywhere: Anywhere
    watches: Watches
    acceptor: Acceptor
    nonces: Nonces
    partners: Partners
    pusher: Pusher
    account_events: AccountEvents
    cancelling: Cancelling
    maintenance: Maintenance
    tasks: Tasks
    feeder: Feeder
    fallback: Fallback
    importer: Importer
    jobs: JobRunner
    load_tests: LoadTests
    reminders: Reminders
    account_reminders: AccountReminders
    faults: FaultWatch
    tickets: TicketWatch
    backups: BackupWatch
    statement_mails: StatementMails
    health_mails: HealthMails
    sizes: Sizes
    bundles: Bundles
    rebating: Rebating
    notifier: Notifier
    reviewing: Reviewing
    surveyor: Surveyor
    links: LinkTable
    clicks: Clicks
    visitors: VisitorCount
    public: PublicContext
    health: Health
    connections: Connections
    api: ApiContext
    portal: PortalContext
    urls: dict[str, str]
    """Where its servers listen, by name; entered as they are opened."""
    certificates: dict[str, Certificate]
    """What they show, by name."""


@dataclass(frozen=True, kw_only=True)
class Node(Parts):
    """A node, ready to be started."""

    alarms: AlarmTable
