"""The parts of a node, by name."""

from __future__ import annotations

from dataclasses import dataclass

from smsgw.admin.call import PortalContext
from smsgw.admin.statement_mail import StatementMails
from smsgw.api.context import ApiContext
from smsgw.channels.manager import ChannelManager
from smsgw.core.guessing import Guesses
from smsgw.core.ids import IdSource
from smsgw.node.health import Health
from smsgw.node.test_carrier import TestCarrier
from smsgw.node.watchdog import Watchdog
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
from smsgw.pipeline.outcomes.cancellation import Cancelling
from smsgw.pipeline.outcomes.writer import Outcomes
from smsgw.pipeline.periodic import Supervisor
from smsgw.pipeline.routing import Router
from smsgw.pipeline.snapshot import SnapshotFollower
from smsgw.pipeline.upkeep.auditing import Auditing
from smsgw.pipeline.upkeep.evidencing import Evidencing
from smsgw.pipeline.upkeep.maintenance import Maintenance
from smsgw.pipeline.upkeep.shifting import Shifting
from smsgw.pipeline.upkeep.successes import Successes
from smsgw.platform.accounts.rebate_rules import Rebating
from smsgw.platform.alarms.notifier import Notifier
from smsgw.platform.campaigns.feeder import Feeder
from smsgw.platform.campaigns.importer import Importer
from smsgw.platform.campaigns.service import Tasks
from smsgw.platform.content.reminders import Reminders
from smsgw.platform.drafts.surveyor import Surveyor
from smsgw.platform.fallback.service import Fallback
from smsgw.platform.jobs.runner import JobRunner
from smsgw.platform.review.service import Reviewing
from smsgw.runtime.config import Config
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
    successes: Successes
    shifting: Shifting
    snapshots: SnapshotFollower
    hub: EventHub
    lists: NumberLists
    numbers: NumberStatus
    fleet: Fleet
    router: Router
    outcomes: Outcomes
    test_carrier: TestCarrier
    channels: ChannelManager
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
    reminders: Reminders
    statement_mails: StatementMails
    rebating: Rebating
    notifier: Notifier
    reviewing: Reviewing
    surveyor: Surveyor
    health: Health
    connections: Connections
    api: ApiContext
    portal: PortalContext
    urls: dict[str, str]
    """Where its servers listen, by name; entered as they are opened."""
