"""Reports that have found no message: which there are, why, and putting them to their messages by a rule, as a durable
job in bounded batches.

Nothing is put on a guess: a report whose number has two parts that fit stays where it is, and one whose part has its
result by then, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Annotated

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import first_id
from smsgw.core.permissions import Permission
from smsgw.core.report_match import SPELLINGS, Rule, Verdict, Why, judge
from smsgw.core.words import phrase
from smsgw.pipeline.outcomes.writer import Outcomes
from smsgw.platform.change import Change
from smsgw.platform.channels.service import set_spelling
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import NewJob
from smsgw.platform.jobs.runner import AT_ONCE, JobContext, JobKind
from smsgw.platform.listing import EVERYTHING, Listing
from smsgw.platform.paging import Order, Slice, Window
from smsgw.runtime import clock
from smsgw.store.engine.database import Database, Row
from smsgw.store.messages import report_ids
from smsgw.store.messages.report_ids import Home

NAME = "report.rematch"
_SYSTEM = Actor.system(NAME)
LOOK_BACK = timedelta(days=13)
"""Messages that a report may be about."""
BATCH = 200
MOST_SURVEYED = 2_000
"""Reports that are looked at before somebody says yes."""
MOST_MATCHED = 50_000
"""Of one job."""
PATIENCE = 3600.0
STEP_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Report:
    """One that has found no message."""

    id: int
    channel_id: int
    channel: Annotated[str, "COALESCE(c.name, o.channel_id::text)"]
    protocol: Annotated[str, "COALESCE(c.protocol, '')"]
    carrier_id: str
    number: str
    code: str
    received_at: datetime
    pdu: bytes


@dataclass(frozen=True, slots=True)
class Unmatched(Report):
    """The same, and why it is here."""

    verdict: Verdict

    @property
    def why(self) -> str:
        """A word of ``Why``."""
        return self.verdict.why.value

    @property
    def rule(self) -> str:
        """A word of ``Rule``; empty: none fits."""
        return self.verdict.rule.value if self.verdict.rule else ""


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """Which reports are looked for."""

    channel: Annotated[str, "c.name = {value}"] = ""
    channel_id: Annotated[int | None, "o.channel_id = {value}"] = None
    phone: Annotated[str, "o.number = {value}"] = ""
    carrier_id: Annotated[str, "o.carrier_id = lower({value})"] = ""
    code: Annotated[str, "o.code = {value}"] = ""
    since: Annotated[datetime | None, "o.received_at >= {value}"] = None
    until: Annotated[datetime | None, "o.received_at < {value}"] = None


REPORTS = Listing(
    Report,
    ReportFilter,
    "receipt_orphan o LEFT JOIN channel c ON c.id = o.channel_id",
    seen=EVERYTHING,
    orders={"received_at": Order("o.received_at", "timestamptz"), "id": Order("o.id", "bigint")},
    timeout=STEP_PATIENCE,
)


async def search(database: Database, actor: Actor, wanted: ReportFilter, window: Window) -> Slice[Unmatched]:
    """A window of them, each with why it is here."""
    found = await REPORTS.search(database, actor, wanted, window)
    return Slice(await _judged(database, found.rows), found.keys, found.more)


async def get(database: Database, actor: Actor, id_: int) -> Unmatched | None:
    """One of them; None: it is here no more, or the actor does not see it."""
    found = await REPORTS.get(database, actor, id_)
    return None if found is None else (await _judged(database, [found]))[0]


_CARRIERS = "SELECT id, host, carriers FROM channel WHERE id > 0"


async def _related(database: Database) -> dict[int, frozenset[int]]:
    """Channel -> others, removed ones too, by which its carrier may have got the message: of the same gateway, or of a
    carrier that both serve."""
    rows = await database.fetch(_CARRIERS)

    def same(one: Row, other: Row) -> bool:
        if one["host"] == other["host"]:
            return True
        return not one["carriers"] or not other["carriers"] or bool({*one["carriers"]} & {*other["carriers"]})

    return {
        one["id"]: frozenset(other["id"] for other in rows if other["id"] != one["id"] and same(one, other))
        for one in rows
    }


async def _judged(database: Database, reports: Sequence[Report]) -> list[Unmatched]:
    numbers = sorted({one.number for one in reports if one.number})
    oldest = max(first_id(clock.now() - LOOK_BACK), 0)
    known = await report_ids.about(database, numbers, oldest=oldest, timeout=STEP_PATIENCE)
    by_number = {number: known.get(n, []) for n, number in enumerate(numbers)}
    related = await _related(database) if reports else {}

    def judged(one: Report) -> Unmatched:
        others = related.get(one.channel_id, frozenset())
        verdict = judge(one.channel_id, one.carrier_id, one.number, by_number.get(one.number, ()), others)
        return Unmatched(**{each.name: getattr(one, each.name) for each in fields(one)}, verdict=verdict)

    return [judged(one) for one in reports]


# --- putting them to their messages ----------------------------------------------------------------------------------


async def _batch(database: Database, actor: Actor, channel_id: int, after: int) -> Sequence[Unmatched]:
    window = Window("id", descending=False, after=(str(after), after), limit=BATCH)
    return (await search(database, actor, ReportFilter(channel_id=channel_id), window)).rows


@dataclass(slots=True)
class Survey:
    """What would become of a channel's unmatched reports; of the oldest ``MOST_SURVEYED``."""

    looked: int = 0
    more: bool = False
    """There are more than were looked at."""
    by_rule: dict[Rule, int] = field(default_factory=dict)
    by_why: dict[Why, int] = field(default_factory=dict)


async def survey(database: Database, actor: Actor, channel_id: int) -> Survey:
    """Look at a channel's reports without changing anything."""
    found, after = Survey(), 0
    while found.looked < MOST_SURVEYED:
        batch = await _batch(database, actor, channel_id, after)
        for report in batch:
            verdict = report.verdict
            found.by_why[verdict.why] = found.by_why.get(verdict.why, 0) + 1
            if verdict.rule is not None:
                found.by_rule[verdict.rule] = found.by_rule.get(verdict.rule, 0) + 1
        found.looked += len(batch)
        if len(batch) < BATCH:
            return found
        after = batch[-1].id
    found.more = bool(await _batch(database, actor, channel_id, after))
    return found


_CHANNEL = "SELECT id, name FROM channel WHERE name = $1 AND id > 0"


async def begin(change: Change, channel: str, rule: Rule, *, adopt: bool = False) -> int:
    """Have the reports of a channel that fit exactly one part under this rule put to it; the job. ``adopt``: all that
    comes is read so from now on, for rules that are spellings. ``NOT_FOUND``, ``PARAM_INVALID``, ``STATE_CONFLICT``
    while another one is under way for it."""
    if adopt and rule not in SPELLINGS:
        raise Invalid("PARAM_INVALID", field="adopt", reason=phrase("report.no_spelling"))
    async with change.unit(Permission.MESSAGE_RESOLVE) as unit:
        if unit.actor.scope.whole is not None:
            raise Refused("PERMISSION_DENIED")
        row = await unit.connection.fetchrow(_CHANNEL, channel)
        if row is None:
            raise Invalid("NOT_FOUND")
        if adopt:
            await set_spelling(change, row["id"], SPELLINGS[rule])
        wanted = NewJob(NAME, {"channel": channel, "channel_id": row["id"], "rule": rule.value}, unit.actor.label,
                        subject=f"channel {row['id']}")  # fmt: skip
        id_ = await jobs.add(unit.connection, wanted)
        if id_ is None:
            raise Refused("STATE_CONFLICT", reason=phrase("report.rematching"))
        unit.record("report.rematch", f"channel/{channel}", after={"rule": rule.value, "adopt": adopt, "job": str(id_)})
    return id_


def kind(database: Database, outcomes: Outcomes) -> JobKind:
    """How a node does it. A run that was cut off goes on behind the last batch; what was put is out of the list."""

    async def run(context: JobContext) -> None:
        params: Mapping[str, object] = context.job.params
        channel_id, rule = int(str(params["channel_id"])), Rule(str(params["rule"]))
        said = {"after": 0, "looked": 0, "matched": 0, "ambiguous": 0} | dict(context.job.checkpoint)
        while said["looked"] < MOST_MATCHED:
            batch = await _batch(database, _SYSTEM, channel_id, said["after"])
            homes = [
                Home(report.id, rule.value, report.verdict.home)
                for report in batch
                if report.verdict.rule is rule and report.verdict.home is not None
            ]
            # Two reports about one part are both its own: the second is then one too many, and settled as such.
            said["matched"] += await outcomes.rehome(homes) if homes else 0
            said["ambiguous"] += sum(report.verdict.why is Why.AMBIGUOUS for report in batch)
            said["looked"] += len(batch)
            if batch:
                said["after"] = batch[-1].id
            await context.progress(said["looked"], checkpoint=said)
            if len(batch) < BATCH:
                return

    return JobKind(NAME, run, per_owner=1, at_once=1, places=AT_ONCE, patience=PATIENCE)
