"""What has happened in the course of the history: payments, logins, replies, opt-outs, complaints, alarms, jobs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from smsgw.core.actor import EVERYTHING, Actor, ActorKind, ActorLabel, Author
from smsgw.core.blocklist import MANUAL, Scope
from smsgw.core.errors import messages_of
from smsgw.core.ids import CHINA, EPOCH_MS
from smsgw.core.model import Inbound
from smsgw.core.number_state import NumberState
from smsgw.core.optout import DEFAULT_WORDS
from smsgw.core.permissions import ALL, Permission
from smsgw.core.policy import Listed
from smsgw.core.retention import Ages
from smsgw.core.wording_json import Heard
from smsgw.core.words import phrase
from smsgw.demo.carriers import CHANNELS
from smsgw.demo.interfaces import RECEIVERS
from smsgw.demo.messages import TROUBLE
from smsgw.demo.world import Sender, World, texts
from smsgw.platform.alarms import rules
from smsgw.platform.alarms.queries import ALARMS
from smsgw.platform.alarms.rules import Draft as Rule
from smsgw.platform.audience import book, service as audience
from smsgw.platform.audience.model import ContactInput
from smsgw.platform.duty import contacts, roster
from smsgw.platform.faults import service as faults
from smsgw.platform.lists import carrier, complaints, consents, service as lists
from smsgw.platform.lists.carrier import LiftState
from smsgw.platform.notices import service as notices
from smsgw.platform.numbers import filters, service as numbers
from smsgw.platform.retention import service as retention
from smsgw.platform.tickets import service as tickets
from smsgw.runtime import clock
from smsgw.store.messages.inbound import Arrived, commit_inbound
from smsgw.store.records import alarms, audit

LOGINS_A_DAY = 6
REPLIES_A_DAY = 4
CONTACTS = 60
"""Of an account."""

_TOP_UP = """
INSERT INTO ledger (id, account_id, kind, units, note, at, who, balance)
SELECT $1, $2, 'topup', $3, $4, $5, $6, $3::bigint + COALESCE(sum(l.units), 0)
FROM ledger l WHERE l.account_id = $2 AND l.at <= $5
"""
_RULE = "SELECT id FROM alarm_rule WHERE kind = $1 AND object = ''"
_JOB = """
INSERT INTO job (kind, params, subject, submitter, state, done, total, error, attempts, runner, epoch, created_at,
                 started_at, ended_at, expires_at)
VALUES ('statistics.recount', $1, $2, 'demo-ops', $3, $4, $5, $6, 1, 1, 1, $7, $7, $8,
        $8::timestamptz + interval '7 days')
"""


async def fill(world: World) -> None:
    """Plan it all; it is done in the order of time."""
    _money(world)
    _logins(world)
    _lists(world)
    for day in range(1, world.days):
        for _ in range(world.dice.randint(0, 2 * REPLIES_A_DAY)):
            at = world.moment(day, world.dice.randint(8, 20))
            world.later.append((at, partial(_reply, world)))
    if world.days > 1:
        world.later.append((world.moment(1, 20), partial(_reply, world, opts_out=True)))  # however few there are
    world.later.append(
        (world.start + timedelta(days=int(world.days * TROUBLE[0]), hours=TROUBLE[1] + 0.1), partial(_alarm, world))
    )
    world.later.append((world.now, partial(_faults, world)))
    world.later.append((world.now, partial(_tickets, world)))
    world.later.append((world.now, partial(_duty, world)))
    world.later.append((world.moment(world.days - 1, 8), partial(_notice, world)))
    world.later.append((world.moment(world.days - 1, 10), partial(_retention, world)))
    world.later.append((world.now, partial(_down, world)))
    world.later.append((world.now, partial(_called, world)))
    world.later.append((world.now, partial(_rules, world)))
    for back in (1, 3, 4):
        if back < world.days:
            world.later.append((world.moment(world.days - 1 - back, 16), partial(_job, world, back)))


_DOWN = """
UPDATE customer_event SET attempts = 9, problem = 'HTTP 503', dead_at = $1, acknowledged_at = $1, done_by = ''
WHERE id IN (SELECT id FROM customer_event WHERE kind = 'report' AND id < $2 AND account_id = ANY($3)
             ORDER BY id DESC LIMIT 12)
"""
_TRIES = """
UPDATE customer_event SET attempts = 3, problem = 'HTTP 503', leased_until = $1, acknowledged_at = NULL, done_by = '',
    dead_at = NULL
WHERE id IN (SELECT id FROM customer_event WHERE kind = 'report' AND id BETWEEN $4 AND $2 AND account_id = ANY($3)
             ORDER BY id DESC LIMIT 4)
"""
_TAKEN = f"""
UPDATE customer_event SET done_by = 'webhook',
    acknowledged_at = to_timestamp(((id >> 22) + {EPOCH_MS}) / 1000.0) + interval '1.2 s'
WHERE acknowledged_at IS NULL AND id < $1
"""  # noqa: S608 - a number of ours


async def _down(world: World) -> None:
    """What is older than a day was taken. Since then the system of one that is called did not answer: some events were
    given up, the last ones are tried again."""
    called = [world.senders[account].id for account in dict(RECEIVERS)]
    day = world.id_at(world.now - timedelta(days=1))
    await world.database.execute(_TAKEN, day)
    gone, tried = (world.id_at(world.now - timedelta(hours=hours)) for hours in (3, 1))
    await world.database.execute(_DOWN, world.now - timedelta(hours=2), gone, called)
    await world.database.execute(_TRIES, world.now + timedelta(minutes=9), tried, called, day)


_CALLS = """
INSERT INTO api_call (account_id, minute, key_id, call, code, n, ms_sum, ms_most, last_request)
SELECT k.account_id, date_trunc('minute', $1::timestamptz) - make_interval(mins => 5 * m), k.key_id, c.call, c.code,
       1 + (c.n * (3 + m % 5)) / 4, (1 + (c.n * (3 + m % 5)) / 4) * c.ms, 5 * c.ms, c.request || m
FROM api_key k, generate_series(0, 280) AS m, (VALUES
    ('POST /messages', 'OK', 12, 9, '01KDEMO0SEND'), ('GET /messages/{id}', 'OK', 4, 3, '01KDEMO0READ'),
    ('POST /messages', 'PARAM_INVALID', 1, 2, '01KDEMO0WRNG')) AS c(call, code, n, ms, request)
WHERE c.code = 'OK' OR m % 11 = 0
"""
_TURNED_AWAY = """
INSERT INTO api_refused (account_id, key_id, proven, at, request_id, call, status, code, detail, detail_en, ms, address,
                         body)
SELECT account_id, key_id, true, $1::timestamptz - make_interval(mins => 55 * m), '01KDEMO0WRNG' || 11 * m,
       'POST /messages', 400, 'PARAM_INVALID', $2, $3, 2, '192.0.2.20', $4
FROM api_key, generate_series(0, 8) AS m
"""
_SHAPE = '{"to": ["138****8000"], "content": "<24>", "type": "notices"}'


async def _called(world: World) -> None:
    """Systems have called with their keys, and one asks for a type that there is none of."""
    known = phrase("choice.of", known="otp, notice, marketing")
    said = messages_of("PARAM_INVALID", {"field": "type", "reason": known})
    await world.database.execute(_CALLS, world.now)
    await world.database.execute(_TURNED_AWAY, world.now, *said, _SHAPE)


async def _retention(world: World) -> None:
    """A rule that holds, and a stricter one that waits for a second person."""
    said = texts()["retention"]
    first = await retention.ask(world.change(), Ages(150, 150, 150), said["first"])
    await retention.decide(world.change(Actor.system("demo-2")), first, passes=True, answer=said["passed"])
    await retention.ask(world.change(), Ages(60, 30, 60), said["second"])
    await world.date("retention_rule.asked_at retention_rule.decided_at")


async def _notice(world: World) -> None:
    """Something is announced; it stands for a month."""
    until = world.now + timedelta(days=30)
    said = texts()["notice"]
    await notices.publish(world.change(), said["title"], said["content"], audience="all", targets=[], until=until)


def _money(world: World) -> None:
    rows = {row["name"]: row["topup"] for row in texts()["account"]}
    for sender in world.senders.values():
        units = max(1000, rows[sender.name] * world.days * world.daily // (90 * 350))
        times = [world.start + timedelta(hours=11)]
        if sender.share > 20:
            times.append(world.moment(world.days // 2, 15))
        for at in times:
            world.later.append((at, partial(_top_up, world, sender, units)))


async def _top_up(world: World, sender: Sender, units: int) -> None:
    """As ``accounts.top_up``, at its time in the ledger, too; balances are summed up at the end."""
    note = texts()["top_up"]
    async with world.change().unit(Permission.BALANCE_EDIT, sender.id) as unit:
        await unit.connection.execute(
            _TOP_UP, world.id_at(world.at), sender.id, units, note, world.at, unit.actor.label
        )
        unit.record("account.topup", f"account/{sender.id}", after={"units": units, "note": note})


def _logins(world: World) -> None:
    people = [f"demo-{row['key']}" for row in texts()["person"]]
    for day in range(world.days):
        for _ in range(world.dice.randint(1, 2 * LOGINS_A_DAY)):
            who, address = world.dice.choice(people), f"192.0.2.{world.dice.randint(10, 60)}"
            action = "login" if world.dice.random() < 0.94 else "login.failed"
            at = world.moment(day, world.dice.randint(8, 19))
            world.later.append((at, partial(_enter, world, who, action, address)))


async def _enter(world: World, who: str, action: str, address: str) -> None:
    await audit.record(world.database, Author(ActorLabel(who), address), action, "portal")


def _lists(world: World) -> None:
    values = texts()["values"]
    for n, sender in enumerate(world.senders.values()):
        at = world.start + timedelta(days=min(1, world.days - 1), hours=9, minutes=n)
        world.later.append((at, partial(_contacts, world, sender)))
    for day in range(2, world.days, 6):
        world.later.append((world.moment(day, 14), partial(_block, world, values["blocked"])))
    world.later.append((world.moment(min(1, world.days - 1), 15), partial(_allow, world, values["own_phone"])))
    world.later.append((world.moment(max(world.days - 2, 0), 10), partial(_carrier_lifts, world, values["lift"])))
    world.later.append((world.moment(max(world.days - 3, 0), 9), partial(_consents, world, values["proof"])))
    at = world.moment(max(world.days - 2, 0), 11)
    world.later.append((at, partial(_number_filter, world, values["filter"])))
    for back, steps in _COMPLAINTS:
        said = values["complaint"], values["complaint_steps"][:steps]
        world.later.append((world.moment(max(world.days - back, 0), 11), partial(_complaint, world, *said)))


async def _contacts(world: World, sender: Sender) -> None:
    values, dice = texts()["values"], world.dice
    first, second = values["audiences"]
    ids = [(await audience.add_audience(world.change(), sender.id, name)).id for name in (first, second)]
    people = [
        ContactInput(
            number, dice.choice(values["surnames"]) + dice.choice(values["given"]),
            (dice.choice(values["tags"]),), {"city": dice.choice(values["city"])},
        )
        for number in dice.sample(sorted(set(world.numbers)), min(CONTACTS, len(set(world.numbers))))
    ]  # fmt: skip
    await audience.put(world.change(), sender.id, people, ids[0])
    await audience.put(world.change(), sender.id, people[::5], ids[1])
    await book.move_group(world.change(), ids[1], ids[0])
    await world.date("contact.created_at contact.updated_at")


async def _block(world: World, reason: str) -> None:
    await lists.block(world.change(), [world.dice.choice(world.numbers)], Scope(), MANUAL, reason)


# Those that a carrier has on its list; where these are too few, numbers of which one was told so, without a code.
_REFUSED = """
SELECT number, carrier, account_id, CASE WHEN refused THEN code ELSE '' END AS code FROM (
    SELECT DISTINCT ON (m.number) m.number, m.carrier, m.account_id, p.code, m.id,
           p.class = 'BLACKLIST_CARRIER' AND NOT p.by_us AS refused
    FROM message m JOIN part p ON p.id = m.id AND p.part = 1 WHERE m.refusal = ''
    ORDER BY m.number, refused DESC, m.id DESC
) m ORDER BY refused DESC, id DESC LIMIT 3
"""


_LOOKED_AT = """
UPDATE job SET state = 'done', done = $2, total = $2, created_at = $3, started_at = $3, ended_at = $3,
    attempts = 1, runner = 1, epoch = 1
WHERE id = (SELECT job_id FROM number_filter WHERE id = $1)
"""


async def _number_filter(world: World, name: str) -> None:
    """A list that was looked at by what is known here."""
    some = world.dice.sample(sorted(set(world.numbers)), min(500, len(set(world.numbers))))
    sender = next(iter(world.senders.values()))
    states = (NumberState.LIVE, NumberState.LIVE, NumberState.LIVE, NumberState.EMPTY, NumberState.SUSPENDED)
    known = {number: states[n % len(states)] for n, number in enumerate(some[: len(some) * 4 // 5])}
    await numbers.learn(world.change(), known, world.at - timedelta(days=3))
    id_ = await filters.begin(world.change(), name, sender.id, some)
    await filters.settle(world.database, id_, 90)
    await world.database.execute(_LOOKED_AT, id_, len(some), world.at)
    await world.date("number_filter.created_at")


async def _consents(world: World, proof: str) -> None:
    sender = next(iter(world.senders.values()))
    some = world.dice.sample(sorted(set(world.numbers)), min(40, len(set(world.numbers))))
    given = consents.Given(consents.Source.PAPER, "V1", proof, world.at - timedelta(days=1))
    await consents.give(world.change(), sender.id, some, given)
    await world.date("consent.entered_at")


async def _carrier_lifts(world: World, reasons: Sequence[str]) -> None:
    """What carriers were asked to lift: one is done, one is on its way, one was asked just now."""
    for n, row in enumerate(await world.database.fetch(_REFUSED)):
        id_ = await carrier.ask(
            world.change(), row["number"], row["carrier"], account_id=row["account_id"], code=row["code"],
            reason=reasons[0],
        )  # fmt: skip
        for state, said in list(zip((LiftState.SENT, LiftState.LIFTED), reasons[1:], strict=True))[: 2 - n]:
            await carrier.move(world.change(), id_, state, said)
    await world.date("carrier_lift.asked_at carrier_lift.sent_at carrier_lift.decided_at")


async def _allow(world: World, note: str) -> None:
    await lists.allow(world.change(), world.dice.sample(sorted(set(world.numbers)), 3), Listed.TEST, note=note)
    await world.date("allow_list.at")


_COMPLAINTS = ((28, 3), (9, 0), (4, 2), (1, 0))
"""Days before today, and how many steps each has got: closed, late, answered, new. Those without are about no message
of ours: three about one channel would stop marketing there."""


async def _complaint(world: World, note: str, steps: Sequence[str]) -> None:
    entered = await complaints.enter(
        world.change(), world.dice.choice(world.numbers) if steps else world.number(), note=note, block_number=True,
        origin=complaints.Origin.CARRIER, reference=f"KF{world.at:%m%d}01",
    )  # fmt: skip
    states = (complaints.State.CHECKING, complaints.State.ANSWERED, complaints.State.CLOSED)
    for state, said in zip(states, steps, strict=False):
        await complaints.step(world.change(), entered.id, state, said)


_NEWEST = """
SELECT m.number, m.account_id, p.channel_id, c.access_code FROM message m JOIN part p ON p.id = m.id AND p.part = 1
JOIN channel c ON c.id = p.channel_id
WHERE m.id < $1 AND m.id > $1 - (24 * 3600 * 1000::bigint << 22) ORDER BY m.id DESC OFFSET $2 LIMIT 1
"""


_PUSHED = """
UPDATE customer_event SET acknowledged_at = $1, done_by = 'webhook'
WHERE kind = 'mo' AND acknowledged_at IS NULL AND id > $2
"""


async def _reply(world: World, *, opts_out: bool = False) -> None:
    """Somebody answers a message of the last day; one in six wants no more, as does who ``opts_out``."""
    values = texts()["values"]
    below = world.id_at(world.at)
    row = await world.database.fetchrow(_NEWEST, below, world.dice.randrange(20))
    if row is None:
        return
    said = world.dice.choice(values["opt_outs" if opts_out or world.dice.random() < 0.16 else "replies"])
    inbound = Inbound(row["channel_id"], f"{below:016X}", row["number"], row["access_code"], said, world.at)
    async with world.database.transaction() as connection:
        await commit_inbound(
            connection, [Arrived(inbound, row["account_id"], "")], lambda: world.id_at(world.at), DEFAULT_WORDS
        )
        if world.dice.random() < 0.95:  # the account's webhook has taken it
            since = world.id_at(world.at - timedelta(minutes=1))
            await connection.execute(_PUSHED, world.at + timedelta(seconds=1.2), since)


async def _rules(world: World) -> None:
    """What the people who watch have changed of the rules of alarms."""
    for kind, object, draft in (
        ("success_low", "", Rule(True, "warning", 60, {"threshold": 99, "minutes": 60, "least": 100})),
        ("queue_old", "", Rule(True, "warning", 0, {"threshold": 1800})),
        ("queue_old", "lane/otp", Rule(True, "critical", 0, {"threshold": 30})),
        ("rate_near", "", Rule(True, "warning", 900, {"threshold": 95})),
    ):
        if object:
            await rules.except_(world.change(), kind, object, draft)
        else:
            await rules.put(world.change(), await world.database.fetchval(_RULE, kind), draft)


async def _alarm(world: World) -> None:
    """Of the two bad hours."""
    name = next(n for n, (_, carriers, _) in CHANNELS.items() if TROUBLE[2] in carriers)
    async with world.database.transaction() as connection:
        detail = Heard("cannot connect: [Errno 110]")
        await alarms.raise_(connection, "channel_down", f"channel/{name}", "critical", detail, now=world.at)
        await alarms.clear(connection, "channel_down", f"channel/{name}", now=world.at + timedelta(hours=2))


_DEPLOYED = """
INSERT INTO node_event (at, node, kind, version, before, object)
VALUES ($1, 1, 'stop', '', '', ''), ($1::timestamptz + interval '40 s', 1, 'start', '0.1.0', '0.0.9', ''),
       ($1::timestamptz + interval '3 minutes', 2, 'takeover', '', '1', (
           SELECT 'channel/' || name FROM channel WHERE id > 0 AND removed_at IS NULL ORDER BY id LIMIT 1))
"""
_CLEARED = "SELECT id FROM alarm WHERE kind = 'channel_down' AND cleared_at IS NOT NULL ORDER BY since LIMIT 1"


async def _faults(world: World) -> None:
    """Three faults: one with its report, one that does not count and took too long, one that somebody is at."""
    said, ops = texts()["faults"], Actor.system("demo-ops")
    alarm = await ALARMS.get(world.database, ops, await world.database.fetchval(_CLEARED) or 0)
    if alarm is not None and alarm.cleared_at is not None:
        await world.database.execute(_DEPLOYED, alarm.since - timedelta(minutes=25))
        with world.then(alarm.since + timedelta(minutes=5)):
            first = await faults.of_alarm(world.change(Actor.system("faults")), alarm)
        with world.then(alarm.since + timedelta(minutes=13)):
            await faults.respond(world.change(ops), first)
        with world.then(alarm.since + timedelta(minutes=40)):
            await faults.note(world.change(ops), first, said["note"])
        with world.then(alarm.cleared_at + timedelta(minutes=2)):
            await faults.recover(world.change(ops), first, alarm.cleared_at)
        with world.then(alarm.cleared_at + timedelta(hours=3)):
            await faults.close(world.change(ops), first, faults.Findings(*said["report"]))
    begin = world.now - timedelta(days=min(world.days - 1, 3), hours=6)
    with world.then(begin + timedelta(minutes=20)):
        second = await faults.open_(world.change(ops), faults.Draft(said["planned"], "critical", begin))
        await faults.respond(world.change(ops), second)
    with world.then(begin + timedelta(hours=5)):
        await faults.recover(world.change(ops), second, begin + timedelta(hours=4, minutes=48))
        await faults.count(world.change(ops), second, counts=False, reason=said["why_not"])
    with world.then(world.now - timedelta(minutes=38)):
        third = await faults.open_(world.change(ops), faults.Draft(said["slow"], "warning", clock.now()))
    with world.then(world.now - timedelta(minutes=25)):
        await faults.respond(world.change(ops), third)
        await faults.note(world.change(ops), third, said["checked"])


async def _duty(world: World) -> None:
    """This week's roster, of who may handle alarms, and whom to turn to."""
    change, people = world.change(), list(await roster.people(world.database))
    first = roster.monday(world.now.astimezone(CHINA).date())
    for week in (first - timedelta(days=7), first):
        wanted = {place: people[n % len(people)] for n, place in enumerate(roster.places(week)) if n != 13}
        await roster.put(change, week, wanted)
    for kind, label, value, note in texts()["contacts"]:
        await contacts.add(change, contacts.Draft(kind, label, value, note))


_REPORTED = "SELECT id, account_id FROM message WHERE refusal = '' ORDER BY id DESC LIMIT 3"


async def _tickets(world: World) -> None:
    """Three tickets: answered, somebody at work on it, and one that nobody has responded to."""
    said = texts()["tickets"]
    clerk, ops = (
        Actor(ActorKind.PERSON, login, permissions=ALL, scope=EVERYTHING) for login in ("demo-operator", "demo-ops")
    )
    rows = await world.database.fetch(_REPORTED)
    for row, hours, (title, text, answer) in zip(rows, (30, 5, 0.4), said, strict=False):
        begin = world.now - timedelta(hours=hours)
        with world.then(begin):
            draft = tickets.Draft(row["account_id"], title, text, [row["id"]])
            id_ = await tickets.open_(world.change(clerk), draft)
        if hours > 1:
            with world.then(begin + timedelta(minutes=12)):
                await tickets.take(world.change(ops), id_)
                await tickets.say(world.change(ops), id_, answer)
        if hours > 24:
            with world.then(begin + timedelta(hours=2)):
                await tickets.close(world.change(ops), id_, answer)


async def _job(world: World, back: int) -> None:
    """A recount that somebody has asked for; one was cancelled."""
    days = {day: (world.at - timedelta(days=n)).date().isoformat() for n, day in ((20, "first"), (3, "last"))}
    state, done = ("cancelled", 7) if back == 3 else ("done", 18)
    await world.database.execute(
        _JOB, json.dumps(days), f"{days['first']} {days['last']} {back}", state, done, 18, "", world.at,
        world.at + timedelta(seconds=9 * done),
    )  # fmt: skip
