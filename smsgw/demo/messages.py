"""Messages with their parts, attempts, events and reports, in the partitions of their days, and what they have cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from smsgw.core import states
from smsgw.core.actor import ActorLabel
from smsgw.core.errors import message_of
from smsgw.core.ids import CHINA
from smsgw.core.model import LANE_OF, MessageType, Origin
from smsgw.core.report_codes import class_of
from smsgw.core.sent_links import PLACE, SAMPLE
from smsgw.core.states import PartState
from smsgw.core.text import choose, count_parts
from smsgw.demo import evidence
from smsgw.demo.carriers import protocol_of
from smsgw.demo.world import Call, Sender, Sent, Text, World, texts
from smsgw.pipeline.accept.requests import ItemResult, SendResult
from smsgw.store.engine.database import Connection
from smsgw.store.messages.calls import PART_TYPES, REFUSED_TYPES, MessageRow, PartRow
from smsgw.store.messages.events import EVENT_TYPES, EventRow

HOURS = (1, 1, 0, 0, 0, 1, 2, 5, 14, 18, 17, 12, 8, 12, 16, 15, 13, 9, 6, 5, 4, 3, 2, 1)
"""How a day's messages lie over its hours (China)."""
WEEKEND = 0.45
"""Of a working day."""
TROUBLE = (0.66, 10, "CUCC")
"""Once a carrier was slow and lost much for two hours: where in the history, from which hour, which one."""
CODES = {
    "MK:0001": 30, "MK:0000": 14, "UNDELIV": 16, "EXPIRED": 12, "MK:0005": 10, "MI:0013": 6, "MB:1041": 4,
    "DB:0141": 3, "MK:0015": 3, "CA:0051": 2,
}  # fmt: skip
"""What carriers report of what was not delivered, and how often."""
OPERATOR = ActorLabel("demo-operator")
KEY = ActorLabel("demo-key")
VALID = timedelta(hours=48)
REPORT_WITHIN = timedelta(hours=72)
FRESH = timedelta(seconds=40)
"""What is younger has no report yet."""

_PART_COLUMNS = (
    *PART_TYPES, "attempt", "channel_id", "epoch", "carrier_id", "claimed_at", "answered_at", "tries", "failed",
)  # fmt: skip
_ATTEMPT_COLUMNS = ("id", "part", "attempt", "channel_id", "carrier_id", "code", "claimed_at", "answered_at")
_EVENT_COLUMNS = ("id", "at", "part", "kind", "detail")
_LEDGER_COLUMNS = ("id", "account_id", "kind", "units", "at")


@dataclass(slots=True)
class Rows:
    """Rows to be written, in the order of their tables' columns."""

    messages: list[tuple[object, ...]] = field(default_factory=list)
    parts: list[tuple[object, ...]] = field(default_factory=list)
    attempts: list[tuple[object, ...]] = field(default_factory=list)
    events: list[tuple[object, ...]] = field(default_factory=list)
    reports: list[tuple[object, ...]] = field(default_factory=list)
    ledger: list[tuple[object, ...]] = field(default_factory=list)
    evidence: list[tuple[object, ...]] = field(default_factory=list)


@dataclass(slots=True)
class _End:
    """What has become of a message."""

    state: PartState
    claimed: datetime | None = None
    answered: datetime | None = None
    final: datetime | None = None
    code: str = ""
    cls: str = ""
    by_us: bool = False
    refusal: str = ""
    retried: bool = False


async def fill(world: World) -> None:
    """All calls in the order of time."""
    for _ in range(max(50, world.daily * 8)):
        world.numbers.append(world.number())
    made = Rows()
    waiting = []
    for call in sorted(_calls(world), key=lambda call: call.at):
        first = rows_of(world, call, made)
        if call.state is not None:
            waiting.append((first, call))
        elif call.task is not None:
            call.task.first = first
    async with world.database.transaction(timeout=120) as connection:
        await write(connection, made)
        for n, (first, call) in enumerate(waiting):
            await _answer(connection, f"demo-{n}", first, call)
            if call.state is PartState.HELD:
                await _ask(connection, first, call)


def _calls(world: World) -> Iterator[Call]:
    for day in range(world.days):
        weekday = (world.start + timedelta(days=day)).astimezone(CHINA).weekday()
        size = world.daily * (WEEKEND if weekday >= 5 else 1.0) * (0.8 + 0.4 * day / world.days)
        left = round(size * world.dice.uniform(0.85, 1.15))
        while left > 0:
            call = _call(world, day)
            left -= len(call.numbers)
            if call.at < world.now - timedelta(seconds=25):
                yield call
    yield from _of_tasks(world)
    yield from _waiting(world)


def _of_tasks(world: World) -> Iterator[Call]:
    for row in texts()["task"]:
        if row["days_ago"] < world.days:
            yield _of_task(world, row)
    for row in texts()["link"]:
        if "sent" in row:
            yield _of_link(world, row)


def _of_task(world: World, row: dict[str, Any]) -> Call:
    sender = world.senders[row["account"]]
    sent = Sent(row["name"], world.templates[sender.name, row["template"]])
    at = world.moment(world.days - 1 - row["days_ago"], 10)
    numbers = tuple(world.dice.sample(sorted(set(world.numbers)), row["rows"]))
    content = text_for(world, sender, sent.text)
    sent.call = Call(at, sender, sent.text.type, Origin.TASK, OPERATOR, content, numbers, sent.text.id, task=sent)
    world.tasks.append(sent)
    return sent.call


def _of_link(world: World, row: dict[str, Any]) -> Call:
    """A task whose messages have a short link each: made when they are there, so samples of codes stand for its
    own."""
    sender = world.senders[row["account"]]
    sent = Sent(row["name"], Text(0, MessageType.NOTICE.value, row["text"]), link=row["name"])
    at = world.moment(world.days - 1 - min(row["ago"], world.days - 1), 11)
    numbers = tuple(world.dice.sample(sorted(set(world.numbers)), min(row["sent"], len(set(world.numbers)))))
    content = f"【{sender.sign}】" + row["text"].replace(PLACE, f"{world.link_domain}/{SAMPLE}")
    sent.call = Call(at, sender, sent.text.type, Origin.TASK, OPERATOR, content, numbers, 0, task=sent)
    world.tasks.append(sent)
    return sent.call


def _call(world: World, day: int) -> Call:
    dice = world.dice
    sender = dice.choices(list(world.senders.values()), [s.share for s in world.senders.values()])[0]
    kind = dice.choices(list(sender.mix), list(sender.mix.values()))[0]
    text = dice.choice([t for (name, _), t in world.templates.items() if name == sender.name and t.type == kind])
    hour = dice.choices(range(24), HOURS)[0]
    if kind == MessageType.MARKETING:
        hour = min(max(hour, 9), 19)
    at = world.start + timedelta(days=day, hours=hour, seconds=dice.uniform(0, 3600))
    origin, submitter = Origin.API, KEY
    size = 1
    if kind != MessageType.OTP and dice.random() < 0.04:
        origin, submitter, size = Origin.PORTAL, OPERATOR, dice.randint(3, 24)
    numbers = tuple(dict.fromkeys(_someone(world) for _ in range(size)))
    return Call(at, sender, kind, origin, submitter, text_for(world, sender, text), numbers, text.id)


def _someone(world: World) -> str:
    """Some people get many messages, most get few."""
    return world.numbers[int(len(world.numbers) * world.dice.random() ** 2.2)]


def text_for(world: World, sender: Sender, text: Text) -> str:
    """The text as it is on the phone."""
    values = texts()["values"]
    said = text.content.replace("{code}", f"{world.dice.randrange(1_000_000):06d}")
    said = said.replace("{amount}", f"{world.dice.uniform(20, 180):.2f}")
    for name in ("item", "date"):
        said = said.replace(f"{{{name}}}", world.dice.choice(values[name]))
    return f"【{sender.sign}】{said}"


def _waiting(world: World) -> Iterator[Call]:
    """What has not come to its end: held for a reviewer, for later, refused for now, of unknown outcome."""
    hall, traffic = world.senders["demo-hall"], world.senders["demo-traffic"]
    values = texts()["values"]
    few = tuple(world.numbers[:12])

    def call(sender: Sender, minutes: float, content: str, numbers: tuple[str, ...], **more: Any) -> Call:
        at = world.now - timedelta(minutes=minutes)
        said = f"【{sender.sign}】{content}"
        return Call(at, sender, "notice", Origin.PORTAL, OPERATOR, said, numbers, **more)

    yield call(hall, 50, values["review_content"], few, state=PartState.HELD)
    tomorrow = world.now.astimezone(CHINA).replace(hour=9, minute=0, second=0, microsecond=0) + timedelta(days=1)
    yield call(hall, 34, values["scheduled_content"], few[:8], state=PartState.SCHEDULED, due=tomorrow)
    yield call(traffic, 21, values["scheduled_content"], few[8:10], state=PartState.UNKNOWN)
    yield call(traffic, 12, values["scheduled_content"], few[10:], state=PartState.DEFERRED)


def rows_of(world: World, call: Call, made: Rows) -> int:
    """Add the rows of a call; its first id."""
    world.at = max(world.at, call.at)
    first = world.ids.block(len(call.numbers))
    coding = choose(call.content)
    total = count_parts(call.content, coding)
    debit = 0
    for n, number in enumerate(call.numbers):
        id_, home = first + n, world.segments.home(number)
        carrier, province = (home.carrier, home.province) if home else ("CMCC", "")
        end = _end(world, call, carrier)
        price = 0 if end.refusal else total
        debit += price
        ref = id_ & 0xFF if total > 1 else 0
        parts = 1 if end.refusal else total
        message = MessageRow(
            id=id_, batch_id=first, account_id=call.sender.id, origin=call.origin, type=call.type, number=number,
            carrier=carrier, province=province, content=call.content, sign=call.sender.sign, coding=coding.value,
            parts=parts, concat_ref=ref, price=price, client_ref="", ext="", extend_code="", submitter=call.submitter,
            refund_failed=False, test=False, template_id=call.template_id, kind="",
        )  # fmt: skip
        made.messages.append((*message, end.refusal))
        _parts(world, call, (id_, number), parts, carrier, end, made)
        _report(world, call, id_, parts, end, made)
        if price and end.state in states.REFUNDED:
            made.ledger.append((id_, call.sender.id, "refund", price, end.final))
    if debit:
        made.ledger.append((first, call.sender.id, "debit", -debit, call.at))
    return first


def _end(world: World, call: Call, carrier: str) -> _End:
    if call.state is not None:
        return _stands(call)
    dice, age = world.dice, world.now - call.at
    chance, bad = dice.random(), _in_trouble(world, call.at, carrier)
    if chance < 0.006:
        return _refused(call, chance)
    claimed = call.at + timedelta(seconds=dice.lognormvariate(-1.6, 0.7) * (40 if bad else 1))
    answered = claimed + timedelta(seconds=dice.uniform(0.015, 0.14))
    final = answered + timedelta(seconds=dice.lognormvariate(1.2, 0.8) * (9 if bad else 1))
    if age < FRESH or final > world.now:
        return _End(PartState.SENT, claimed, answered)
    if chance < 0.008:
        return _End(PartState.REJECTED, claimed, answered, answered, "1", "CHANNEL")
    if chance < 0.011 and age > REPORT_WITHIN:
        return _End(PartState.NO_REPORT, claimed, answered, answered + REPORT_WITHIN)
    if chance < 0.0115 and age > timedelta(days=1):
        return _End(PartState.UNCONFIRMED, claimed, None, claimed + timedelta(hours=6))
    if chance < 0.040 + (0.25 if bad else 0.0):
        code = dice.choices(list(CODES), list(CODES.values()))[0]
        return _End(PartState.UNDELIVERABLE, claimed, answered, final, code, class_of(code), retried=chance < 0.013)
    return _End(PartState.DELIVERED, claimed, answered, final, "DELIVRD", retried=chance > 0.988)


def _stands(call: Call) -> _End:
    claimed = call.at + timedelta(seconds=0.2)
    if call.state is PartState.UNKNOWN:
        return _End(PartState.UNKNOWN, claimed)
    if call.state is PartState.DEFERRED:
        return _End(PartState.DEFERRED, claimed, claimed + timedelta(seconds=0.1), code="8", cls="CHANNEL")
    return _End(call.state or PartState.QUEUED)


def _refused(call: Call, chance: float) -> _End:
    """By ourselves, at the door."""
    code, cls = ("NUMBER_OPTED_OUT", "BLACKLIST_LOCAL") if chance < 0.002 else ("NUMBER_EMPTY", "EMPTY_NUMBER")
    since = (call.at - timedelta(days=3)).astimezone(CHINA).strftime("%Y-%m-%d %H:%M")
    said = message_of(code, {"time": since})
    return _End(PartState.REJECTED, final=call.at, code=code, cls=cls, by_us=True, refusal=said)


def _in_trouble(world: World, at: datetime, carrier: str) -> bool:
    where, hour, whose = TROUBLE
    begin = world.start + timedelta(days=int(world.days * where), hours=hour)
    return carrier == whose and begin <= at < begin + timedelta(hours=2)


def _parts(world: World, call: Call, of: tuple[int, str], total: int, carrier: str, end: _End, made: Rows) -> None:
    id_, number = of
    coded = call.type == "otp" and carrier == "CMCC" and world.coded is not None and call.at > world.coded
    pool = world.pools["codes" if coded else carrier]
    channel = world.channels[carrier] if end.claimed else None
    lane = int(LANE_OF[MessageType(call.type)])
    attempt = 0 if end.claimed is None else 2 if end.retried else 1
    waits = {
        PartState.SENT: call.at + REPORT_WITHIN,
        PartState.SCHEDULED: call.due,
        PartState.DEFERRED: world.now + timedelta(minutes=20),
    }
    for n in range(1, total + 1):
        carrier_id = f"{(id_ << 3) + n & 0xFFFFFFFFFFFFFFFF:016x}" if end.answered and end.code != "1" else None
        part = PartRow(
            id=id_, part=n, total=total, account_id=call.sender.id, pool_id=pool, lane=lane, state=int(end.state),
            unknown_policy=None, next_at=waits.get(end.state), expires_at=(call.due or call.at) + VALID, code=end.code,
            class_=end.cls, by_us=end.by_us, accepted_at=call.at, final_at=end.final,
        )  # fmt: skip
        made.parts.append((
            *part, attempt, channel, 1 if channel else None, carrier_id, end.claimed, end.answered, max(0, attempt - 1),
            end.retried,
        ))  # fmt: skip
        if end.state in evidence.ENDS and end.final and channel and carrier_id:
            made.evidence.append(
                evidence.row(
                    (id_, n), end.state, channel, protocol_of(carrier), carrier_id, end.code, end.final, number
                )
            )
        if end.retried and end.claimed:
            first = call.at + timedelta(seconds=(end.claimed - call.at).total_seconds() / 4)
            early = f"{(id_ << 3) + n + 0x8000000000000000 & 0xFFFFFFFFFFFFFFFF:016x}"
            made.attempts.append((id_, n, 1, channel, early, "MA:0051", first, first + timedelta(seconds=0.05)))
            detail = json.dumps({"code": "MA:0051", "class": "TIMEOUT"})
            made.events.append((id_, first + timedelta(seconds=0.06), n, "retried", detail))
    if end.state is PartState.UNKNOWN and end.claimed:
        made.events.append((id_, end.claimed + timedelta(seconds=60), 1, "unknown", "{}"))


def _report(world: World, call: Call, id_: int, total: int, end: _End, made: Rows) -> None:
    if end.final is None:
        return
    status = states.status_of(end.state, end.by_us)
    delivered = total if end.state is PartState.DELIVERED else 0
    taken = end.final + timedelta(seconds=world.dice.uniform(0.3, 20))
    event = EventRow(
        id=max(id_ + 1, world.id_at(end.final)), account_id=call.sender.id, kind="report", message_id=id_,
        status=status, class_=end.cls, code=end.code, parts_ok=delivered, submitted_at=end.answered or end.claimed,
        done_at=end.final, test=False,
    )  # fmt: skip
    made.reports.append((*event, taken if taken < world.now else None))


_KEY = """
INSERT INTO request_key (account_id, kind, key, request_sha256, message_id, answer, created_at)
VALUES ($1, 'k', $2, '', $3, $4, $5)
"""


async def _answer(connection: Connection, key: str, first: int, call: Call) -> None:
    """What the portal keeps of a sending: its answer under the key of its form."""
    parts = count_parts(call.content, choose(call.content))
    status = states.status_of(call.state or PartState.QUEUED)
    items = tuple(ItemResult(f"+{number}", str(first + n), status, parts) for n, number in enumerate(call.numbers))
    answer = msgspec.json.encode(SendResult(str(first), len(items), 0, items))
    await connection.execute(_KEY, call.sender.id, key, first, answer, call.at)


_REVIEW = """
INSERT INTO review (batch_id, account_id, type, origin, submitter, reasons, numbers, parts, content, validity,
                    expires_at, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""


async def _ask(connection: Connection, first: int, call: Call) -> None:
    """A reviewer is asked about a call."""
    await connection.execute(
        _REVIEW, first, call.sender.id, call.type, call.origin, call.submitter, [texts()["values"]["review_reason"]],
        len(call.numbers), len(call.numbers) * count_parts(call.content, choose(call.content)), call.content, VALID,
        call.at + timedelta(days=1), call.at,
    )  # fmt: skip


async def write(connection: Connection, made: Rows) -> None:
    """Put the rows into their tables."""
    tables = {
        "message": (made.messages, tuple(REFUSED_TYPES)),
        "part": (made.parts, _PART_COLUMNS),
        "attempt": (made.attempts, _ATTEMPT_COLUMNS),
        "event": (made.events, _EVENT_COLUMNS),
        "customer_event": (made.reports, (*EVENT_TYPES, "acknowledged_at")),
        "ledger": (made.ledger, _LEDGER_COLUMNS),
        "evidence": (made.evidence, evidence.COLUMNS),
    }
    for table, (records, columns) in tables.items():
        await connection.copy_records_to_table(table, records=records, columns=columns, timeout=60)
