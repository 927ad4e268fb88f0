"""Short links: made in the course of the history, some led elsewhere, stopped or still under review, sent and opened;
and who has clicked them or not, as segments under a name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from smsgw.core.ids import CHINA, first_id
from smsgw.core.sent_links import SAMPLE
from smsgw.demo.world import Sent, World, texts
from smsgw.platform.audience import saved
from smsgw.platform.audience.model import Segment, SegmentKind, Sharing
from smsgw.platform.links import clicks, code_files, service
from smsgw.platform.links.counting import VisitorCount
from smsgw.platform.links.model import LinkKind, NewLink, Origin, ShortLink
from smsgw.platform.links.queries import permutation
from smsgw.platform.org import queries as org
from smsgw.runtime import clock

HOURS = (1, 1, 0, 0, 0, 1, 2, 5, 9, 12, 13, 11, 10, 9, 9, 10, 10, 9, 8, 9, 10, 8, 5, 3)
"""How many open links, hour by hour."""
AGENTS = (
    ("Mozilla/5.0 (Linux; Android 13; V2241A Build/TP1A) AppleWebKit/537.36 Chrome/118.0 Mobile Safari/537.36", 18),
    ("Mozilla/5.0 (Linux; Android 12; HUAWEI ALN-AL00 Build/HUAWEIALN-AL00) AppleWebKit/537.36 "
     "HuaweiBrowser/14.0 Mobile Safari/537.36", 16),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Version/17.4 Mobile/15E148 "
     "Safari/604.1", 20),
    ("Mozilla/5.0 (Linux; Android 14; 23116PN5BC Build/UKQ1) AppleWebKit/537.36 MiuiBrowser/18.2 Mobile "
     "Safari/537.36", 14),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 16_6 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 "
     "MicroMessenger/8.0.44", 12),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120.0 Safari/537.36", 5),
    ("WeChat-URL-Preview/1.0", 6), ("python-requests/2.31", 3),
    ("Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)", 4), ("WhatsApp/2.23", 2),
)  # fmt: skip
"""What opens them, and how often."""
PLACES = ("112.96.33", "222.240.1", "101.6.6", "60.30.1", "223.104.3", "119.29.29", "183.3.226", "202.96.128")
_CLICK = """
INSERT INTO link_click (id, link_id, n, version, at, address, method, agent, referer, purpose, language, accept)
SELECT i, $1, n, $2, at, address, 'GET', agent, '', '', 'zh-CN', 'text/html'
FROM unnest($3::bigint[], $4::int[], $5::timestamptz[], $6::text[], $7::text[]) AS d(i, n, at, address, agent)
"""
_WRITTEN = """
UPDATE job SET state = 'done', done = $2::int, total = $2::int,
    started_at = $3::timestamptz, ended_at = $3::timestamptz + interval '1 second',
    checkpoint = jsonb_build_object('rows', $2::int, 'invalid', 0, 'repeated', 0, 'size', $2::int * 37,
                                    'until', ($3::timestamptz + interval '7 days')::text)
WHERE id = $1
"""
_CARRY = """
WITH given AS (
    INSERT INTO message_link (id, link_id, n, clicked)
    SELECT d.id, $4, d.n, $6::boolean FROM unnest($1::bigint[], $5::int[]) AS d(id, n)
)
UPDATE message m SET content = replace(m.content, $3, d.code) FROM unnest($1::bigint[], $2::text[]) AS d(id, code)
WHERE m.id = d.id
"""
_USED = """
WITH task AS (UPDATE task SET link_id = $1 WHERE name = $3 AND link_id IS NULL RETURNING id),
run AS (UPDATE task_run r SET link_id = $1, link_first = 0 FROM task t WHERE r.task_id = t.id)
UPDATE short_link SET used = $2 WHERE id = $1
"""
_DATED = "short_link.made_at short_link.decided_at job.created_at"


@dataclass(frozen=True, slots=True)
class Made:
    """A link of the history."""

    link: ShortLink
    since: datetime
    """From when on people open it."""
    clicks: int
    codes: int
    """The first so many are in people's hands."""


async def fill(world: World) -> None:
    """Each on its day; opened at the end, up to then."""
    made: list[Made] = []
    for row in texts()["link"]:
        ago = min(row["ago"], world.days - 1)
        at = world.moment(world.days - 1 - ago, 10)
        if (sent := _sent(world, row)) is not None and sent.call is not None:
            at = sent.call.at - timedelta(minutes=20)
        world.later.append((at, partial(_make, world, row, made)))
    world.later.append((world.now - timedelta(seconds=40), partial(_open, world, made)))
    world.later.append((world.now - timedelta(seconds=35), partial(_segments, world, made)))


def _sent(world: World, row: dict[str, Any]) -> Sent | None:
    """The task whose messages carry it."""
    return next((one for one in world.tasks if one.link == row["name"]), None)


async def _make(world: World, row: dict[str, Any], made: list[Made]) -> None:
    domain = world.link_domain
    now, login = clock.now(), f"demo-{row.get('person', 'admin')}"
    person = await org.person(world.database, login)
    if person is None:
        raise LookupError(login)
    actor = person.actor(None)
    wanted = NewLink(
        world.senders[row["account"]].id, row["name"], row["target"], LinkKind(row.get("kind", "shared")),
        Origin(row.get("origin", "page")), domain, row.get("codes", 1), row.get("code", ""),
        valid_until=now + timedelta(days=row["days"]) if "days" in row else None, visits_max=row.get("visits", 0),
        warn=row.get("warn", False),
    )  # fmt: skip
    change = world.change(actor)
    sent = _sent(world, row)
    if wanted.kind is LinkKind.PERSONAL and sent is None:
        link, job = await code_files.begin(change, world.sealer, wanted, [domain], now=now, node=1)
        await world.database.execute(_WRITTEN, job, link.codes, now)
    else:
        link = await service.make(change, world.sealer, wanted, [domain], now=now)
    if "elsewhere" in row:
        link = await service.lead(change, link.id, row["elsewhere"], [domain])
    if "stopped" in row:
        await service.stop(change, link.id, reason=row["stopped"])
    await world.date(_DATED)
    codes, since = link.codes, now
    if sent is not None and sent.call is not None:
        codes, since = await _carried(world, link, sent), sent.call.at
    made.append(Made(link, since, row["clicks"], codes))


async def _carried(world: World, link: ShortLink, sent: Sent) -> int:
    """The messages of a task get their codes; of how many people these are."""
    codes, first = await permutation(world.database, world.sealer), sent.first
    n = len(sent.call.numbers) if sent.call else 0
    personal = link.kind is LinkKind.PERSONAL
    ns = list(range(n)) if personal else [0] * n
    await world.database.execute(
        _CARRY, [first + at for at in range(n)], [link.code(at, codes) for at in ns], SAMPLE, link.id, ns,
        None if not personal else False,
    )  # fmt: skip
    await world.database.execute(_USED, link.id, n if personal else 0, sent.name)
    return n if personal else 1


async def _open(world: World, made: list[Made]) -> None:
    dice, agents, weights = world.dice, [name for name, _ in AGENTS], [n for _, n in AGENTS]
    for one in made:
        link, since, rows = one.link, one.since, []
        for _ in range(one.clicks):
            at = since + (world.at - since) * dice.random() ** 2  # most soon after it went out
            at = at.astimezone(CHINA).replace(hour=dice.choices(range(24), HOURS)[0])
            at = min(max(at, since), world.at - timedelta(seconds=dice.uniform(30, 7200)))
            address = f"{dice.choice(PLACES)}.{dice.randrange(1, 255)}"
            rows.append((at, dice.randrange(one.codes), address, dice.choices(agents, weights)[0]))
        for begin in range(0, len(rows), 1000):
            some = sorted(rows[begin : begin + 1000])
            await world.database.execute(
                _CLICK, link.id, link.version,
                [first_id(at) + (link.id << 12) + n for n, (at, *_) in enumerate(some)], [one[1] for one in some],
                [one[0] for one in some], [one[2] for one in some], [one[3] for one in some],
            )  # fmt: skip
    while await clicks.judge(world.database, world.at, clicks.AT_ONCE):
        pass
    while await VisitorCount(world.database).count():
        pass


async def _segments(world: World, made: list[Made]) -> None:
    """Kept under a name, and counted."""
    links = {one.link.name: one.link.id for one in made}
    change = world.change()
    for row in texts()["segment"]:
        asked = Segment(SegmentKind(row["kind"]), row["days"], link_id=links.get(row.get("link", "")))
        id_ = await saved.add(change, world.senders[row["account"]].id, row["name"], asked, Sharing())
        one = await saved.one(world.database, change.actor, id_)
        if one is not None:
            await saved.count(world.database, change.actor, one)
    await world.date("audience.created_at")
