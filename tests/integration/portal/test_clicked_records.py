"""Who has clicked: told by records, found by it, and left out when the rest is written to again."""

from __future__ import annotations

import asyncio
import csv
import html
import io
import json
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from browsing import Browser, shows
from changes import by_test
from portal_site import LINK_DOMAINS, SEALER, Site
from visits import add_role, boss, fails, page_for, signed_in, taken_away
from wizard_steps import begun, draft_in, imported, looked_at, submitted

from smsgw.core.actor import Actor, ActorKind, ActorLabel, ScopeKind
from smsgw.core.errors import Refused, Temporary
from smsgw.core.ids import first_id
from smsgw.core.model import MessageType, Origin
from smsgw.core.permissions import Permission
from smsgw.core.states import PartState
from smsgw.core.tasks import Task
from smsgw.core.user_agent import hardware_of
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.platform.audience import saved, segments
from smsgw.platform.audience.model import Segment, SegmentKind, Sharing
from smsgw.platform.campaigns import click_counts, outcome, recipients
from smsgw.platform.campaigns.feeder import Feeder
from smsgw.platform.campaigns.model import TaskSpec
from smsgw.platform.campaigns.outcome import Untold
from smsgw.platform.links import clicks, service
from smsgw.platform.links.model import LinkKind, NewLink, ShortLink
from smsgw.platform.links.queries import WantedVisits, visits_of
from smsgw.platform.messages import queries, records
from smsgw.platform.paging import Window
from smsgw.runtime.fair_queue import FairQueue

__all__ = ["boss"]
pytestmark = pytest.mark.staff(boss="super")
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Version/17.4 "
    "Mobile/15E148 Safari/604.1"
)
CURL = "curl/8.5.0"
EVERYBODY = Actor.system("test")
_CLICK = """
INSERT INTO link_click (id, link_id, n, version, at, address, method, agent, referer, purpose, language, accept)
VALUES ($1, $2, $3, 1, now(), $4, 'GET', $5, '', '', 'zh-CN', 'text/html')
"""


async def make(site: Site, kind: LinkKind = LinkKind.PERSONAL) -> ShortLink:
    wanted = NewLink(
        site.accounts["hall"], "春季", "https://www.example.cn/", kind, codes=1000 if kind is LinkKind.PERSONAL else 1
    )
    made = await service.make(by_test(site.db), SEALER, wanted, LINK_DOMAINS, now=datetime.now(UTC))
    await site.db.execute("UPDATE short_link SET made_at = now() - interval '1 hour' WHERE id = $1", made.id)
    return made


async def send(site: Site, numbers: Sequence[str], link: ShortLink | None) -> list[int]:
    """Messages, with a code each where there is a link; their ids."""
    account = site.snapshots.current.account(site.accounts["hall"])
    items = tuple(SendItem(number, "请看通知") for number in numbers)
    if link is not None:
        codes = await site.surveyor.tasks.links.take(account, link.id, len(numbers), datetime.now(UTC))
        items = tuple(
            SendItem(number, f"请看 {codes.at(n).address}", link=codes.at(n)) for n, number in enumerate(numbers)
        )
    result = await site.acceptor.send(SendRequest(account, items, MessageType.NOTICE, Origin.API, ActorLabel("key")))
    return [int(item.message_id or 0) for item in result.items]


async def opened(site: Site, link: ShortLink, *ns: int, agent: str = PHONE, judged: bool = True) -> None:
    """Somebody opens codes; who it was is judged a little later."""
    for n in ns:
        id_ = first_id(datetime.now(UTC) - timedelta(minutes=10)) + site.ids.next() % 4_000_000
        await site.db.execute(_CLICK, id_, link.id, n, f"203.0.113.{n % 250}", agent)
    if judged:
        while await clicks.judge(site.db, datetime.now(UTC), 2000):
            pass


def wanted(**how: Any) -> records.Wanted:
    now = datetime.now(UTC)
    return records.Wanted(now - timedelta(hours=1), now + timedelta(hours=1), **how)


async def found(site: Site, **how: Any) -> list[int]:
    got = await records.search(site.db, EVERYBODY, wanted(**how), Window("time", descending=False))
    return [row.id for row in got.rows]


async def copied(site: Site, fields: Sequence[str], **how: Any) -> list[list[str]]:
    """Rows of an export of today's."""
    written = bytearray()

    async def sink(piece: bytes) -> None:
        written.extend(piece)

    day = (await records.days(site.db, EVERYBODY, wanted()))[0][0]
    await records.copy(site.db, EVERYBODY, wanted(**how), day, fields, sink, descending=False)
    return [line.split("\t") for line in written.decode().splitlines()]


async def to(site: Site, task: int) -> list[str]:
    """The last digits of the numbers of a task."""
    rows = await site.db.fetch("SELECT number FROM task_row WHERE task_id = $1 ORDER BY n", task)
    return [row["number"][-1] for row in rows]


async def test_records_tell_and_find_who_has_clicked(site: Site, boss: Browser) -> None:
    link, shared = await make(site), await make(site, LinkKind.SHARED)
    own = await send(site, [f"1380000000{n}" for n in range(5)], link)
    others = [*await send(site, ["13900000000"], shared), *await send(site, ["13900000001"], None)]
    assert await found(site, clicked="false") == own
    await opened(site, link, 1, 1, 3)
    await opened(site, link, 2, agent=CURL)
    await opened(site, shared, 0)
    assert await found(site, clicked="true") == [own[1], own[3]]
    assert await found(site, clicked="false") == [own[0], own[2], own[4]]
    assert await found(site, link=shared.id) == others[:1]
    shown = await records.search(site.db, EVERYBODY, wanted(), Window("time", descending=False))
    assert [row.clicks for row in shown.rows] == [0, 2, 0, 1, 0, None, None]
    assert [row.clicked_at is not None for row in shown.rows] == [False, True, False, True, False, False, False]
    one = await queries.get(site.db, own[1], accounts=None)
    assert one.clicks == 2
    fields = ("number", "clicked", "clicks", "clicked_at", "last_click", "click_device", "link_name", "link_target")
    lines = await copied(site, fields, link=link.id)
    assert [" ".join(line[1:3]) for line in lines] == ["false 0", "true 2", "false 0", "true 1", "false 0"]
    assert lines[1][4] >= lines[1][3] > ""
    assert {(line[6], line[7]) for line in lines} == {("春季", link.target)}
    assert [(row.link_name, row.link_target) for row in shown.rows[-1:]] == [("", "")]
    assert [hardware_of(line[5]) for line in lines] == ["", "iPhone", "", "iPhone", ""]
    latest = [(row.last_click is None, hardware_of(row.click_agent)) for row in shown.rows[:2]]
    assert latest == [(True, ""), (False, "iPhone")]
    # Judged again, it was nobody: then it was not clicked.
    await site.db.execute("UPDATE link_click SET rules = 0, agent = $1 WHERE n = 3", CURL)
    await opened(site, link)
    assert await found(site, clicked="true") == [own[1]]
    shows(html.unescape(await boss.get("/records?time=today&clicked=true")), "138****0001", no="138****0003")
    shows(html.unescape(await boss.get(f"/records/{own[1]}")), "已点击 2 次", "首次点击", "iPhone · ")
    assert "点击不能归到这个号码" in html.unescape(await boss.get(f"/records/{others[0]}"))


async def test_a_visit_names_the_number_of_a_message_that_one_sees(site: Site) -> None:
    link, now = await make(site), datetime.now(UTC)
    (sent,) = await send(site, ["13800000000"], link)
    await site.db.execute(_CLICK, site.ids.next(), link.id, 0, "203.0.113.1", PHONE)

    async def told(*accounts: str) -> list[str]:
        span = WantedVisits(now - timedelta(hours=1), now + timedelta(hours=1))
        seen = [site.accounts[name] for name in accounts] or None
        return [row.number for row in (await visits_of(site.db, span, Window("clicked_at"), accounts=seen)).rows]

    assert await told("hall") == ["8613800000000"]
    # Of an account below it, which may send its links.
    await site.db.execute("UPDATE message SET account_id = $1 WHERE id = $2", site.accounts["clinic"], sent)
    assert await told("hall") == [""]
    assert await told("hall", "clinic") == await told() == ["8613800000000"]


async def numbers(site: Site, kind: SegmentKind, **how: Any) -> list[str]:
    rows = await segments.first(site.db, site.accounts["hall"], Segment(kind, **how), 100)
    assert await segments.count(site.db, site.accounts["hall"], Segment(kind, **how)) == len(rows)
    async with site.db.transaction() as connection:
        paged = [row["number"] async for page in segments.pages(connection, site.accounts["hall"], Segment(kind, **how))
                 for row in page]  # fmt: skip
    assert paged == [row["number"] for row in rows]
    return [row["number"][-1] for row in rows]


async def test_segments_are_who_has_done_what(site: Site) -> None:
    link, other = await make(site), await make(site)
    ids = await send(site, [f"1380000000{n}" for n in range(8)], link)
    await send(site, ["13800000006"], other)
    taken = await site.carrier_takes()
    failed = [(id_, part) for id_, part in taken if id_ == ids[7]]
    await site.carrier_reports([one for one in taken if one not in failed])
    await site.carrier_reports(failed, PartState.UNDELIVERABLE, "MK:0001")
    await opened(site, link, 0, 1)
    await opened(site, other, 0)  # number 6 has clicked the other link
    await site.db.execute(
        "INSERT INTO mo (id, account_id, channel_id, number, to_code, content, in_reply_to, received_at) "
        "VALUES ($1, $2, 1, '8613800000002', '1', '好', $3, now())", site.ids.next(), site.accounts["hall"], ids[2],
    )  # fmt: skip
    assert await numbers(site, SegmentKind.CLICKED) == ["0", "1", "6"]
    assert await numbers(site, SegmentKind.CLICKED, link_id=link.id) == ["0", "1"]
    assert await numbers(site, SegmentKind.NOT_CLICKED, link_id=link.id) == ["2", "3", "4", "5", "6", "7"]
    assert await numbers(site, SegmentKind.REPLIED) == ["2"]
    assert await numbers(site, SegmentKind.UNREACHED) == ["7"]
    assert await numbers(site, SegmentKind.SILENT) == ["3", "4", "5"]
    # Opened a moment ago, and nobody knows yet who it was: not among those who have not clicked.
    await opened(site, link, 4, judged=False)
    assert await numbers(site, SegmentKind.NOT_CLICKED, link_id=link.id) == ["2", "3", "5", "6", "7"]
    # Of another account nothing is there, and what one person has sent is not another's.
    assert await segments.count(site.db, site.accounts["clinic"], Segment(SegmentKind.CLICKED)) == 0
    assert await numbers(site, SegmentKind.CLICKED, submitter=ActorLabel("somebody")) == []
    assert await numbers(site, SegmentKind.CLICKED, submitter=ActorLabel("key")) == ["0", "1", "6"]


async def test_the_rest_of_some_records_is_written_to_again(site: Site, boss: Browser) -> None:
    link = await make(site)
    ids = await send(site, [f"1380000000{n}" for n in range(5)], link)
    await send(site, ["13800000002"], link)  # has code 5, too
    await opened(site, link, 0, 5)
    picked = re.search(r'data-pick-found="([^"]+)"', await boss.get("/records/-/total?time=today&origin=api"))
    asked = html.unescape(await boss.post("/records/-/effect/unclicked", {"selection": picked[1]}))
    shows(asked, "3 个还没有点击", "已点击的 2 个号码不在其中")
    await boss.post("/records/-/do/unclicked", {"selection": picked[1]})
    draft = draft_in(boss.path)
    state = await site.db.fetchval("SELECT state FROM send_draft WHERE id = $1", draft)
    assert "1380000000" not in state, "no whole number stands in a form"
    assert re.findall(r'"(\d{10,})"', state) == [str(ids[n]) for n in (1, 3, 4)]
    assert "选出的 3 条短信" in html.unescape(await boss.get(f"/send/{draft}/audience"))
    # Who clicks until it becomes a task is not among them, also once the step is saved anew.
    await opened(site, link, 1)
    form = {"subject": "再次", "account": str(site.accounts["hall"]), "type": "notice", "content": "请看 {link}"}
    await boss.post(f"/send/{draft}/content", form | {"link": str(link.id)})
    await boss.post(f"/send/{draft}/audience", {"source": "segment", "segment": "not_clicked"})
    assert "有效 2 行" in await looked_at(boss, draft)
    await submitted(boss, draft)
    assert await to(site, await imported(site)) == ["3", "4"]
    # Those who have all clicked leave nobody.
    await opened(site, link, 3, 4)
    assert "没有可再次发送的" in html.unescape(await boss.post("/records/-/effect/unclicked", {"id": str(ids[0])}))


async def test_numbers_that_failed_for_good_are_left_out_unless_they_are_asked_for(site: Site, boss: Browser) -> None:
    link = await make(site)
    ids = await send(site, [f"1380000000{n}" for n in range(4)], link)
    taken = await site.carrier_takes()
    for n, cls in ((1, "EMPTY_NUMBER"), (2, "BLACKLIST_CARRIER"), (3, "POWERED_OFF")):
        mine = [one for one in taken if one[0] == ids[n]]
        await site.carrier_reports(mine, PartState.UNDELIVERABLE, "MK:0001", cls)
    assert await numbers(site, SegmentKind.NOT_CLICKED, link_id=link.id) == ["0", "3"]
    assert await numbers(site, SegmentKind.NOT_CLICKED, messages=tuple(ids)) == ["0", "3"]
    assert await numbers(site, SegmentKind.NOT_CLICKED, link_id=link.id, dead=True) == ["0", "1", "2", "3"]
    assert await numbers(site, SegmentKind.UNREACHED) == ["3"]
    assert await numbers(site, SegmentKind.UNREACHED, dead=True) == ["1", "2", "3"]
    chosen = [("id", str(id_)) for id_ in ids]
    asked = html.unescape(await boss.post("/records/-/effect/unclicked", chosen))
    shows(asked, "2 个还没有点击", "空号或运营商黑名单的 2 个号码默认不在其中")
    for option, kept in ((), [ids[0], ids[3]]), (("option", "1"), ids):
        await boss.post("/records/-/do/unclicked", [*chosen, option] if option else chosen)
        state = json.loads(await site.db.fetchval("SELECT state FROM send_draft WHERE id = $1", draft_in(boss.path)))
        assert sorted(map(int, state["segment_messages"])) == kept
        assert bool(state.get("segment_dead")) == bool(option)


async def test_the_rest_of_a_task_is_written_to_again_never_who_clicked_meanwhile(site: Site, boss: Browser) -> None:
    link = await make(site)
    task = await tasked(site, link, [f"1380000000{n}" for n in range(6)])
    assert len(await found(site, task=task.id)) == 6
    await opened(site, link, 0, 1)
    assert "再次发送给未点击的人" in html.unescape(await boss.get(f"/tasks/{task.id}"))
    asked = html.unescape(await boss.post("/tasks/-/effect/unclicked", {"id": str(task.id)}))
    shows(asked, "4 个还没有点击短链", "已点击的 2 个号码不会再收到", no="只计了数")
    await site.db.execute("UPDATE short_link SET unkept = 3 WHERE id = $1", link.id)
    asked = html.unescape(await boss.post("/tasks/-/effect/unclicked", {"id": str(task.id)}))
    assert "短链另有 3 次访问只计了数" in asked, "who they were is not known, and that is said"
    await boss.post("/tasks/-/do/unclicked", {"id": str(task.id)})
    draft = draft_in(boss.path)
    assert "{link}" in await site.db.fetchval("SELECT state FROM send_draft WHERE id = $1", draft)
    assert "有效 4 行" in await looked_at(boss, draft)
    await boss.post(f"/send/{draft}/options", {"one_each": "number"})
    await boss.post(f"/send/{draft}/time", {"when": "at", "at": "2027-01-02T09:30"})
    await looked_at(boss, draft, "confirm")
    await opened(site, link, 2)  # between the look and the confirmation
    assert "号码" in await submitted(boss, draft)
    assert await site.db.fetchval("SELECT count(*) FROM task") == 1, "they are others than were shown: asked again"
    assert "将向 3 个号码发送" in await looked_at(boss, draft, "confirm")
    await submitted(boss, draft)
    second = await imported(site)
    assert await to(site, second) == ["3", "4", "5"]


OF_CARRIERS = ("13800000000", "13800000001", "13800000002", "13000130003", "13000130004", "13300133005")


async def tasked(site: Site, link: ShortLink | None, to: Sequence[str], **how: Any) -> Task:
    """A task that has been sent."""
    account = site.snapshots.current.account(site.accounts["hall"])
    text = "请到窗口办理" if link is None else "请看 {link} 谢谢"
    link_id = None if link is None else link.id
    spec = TaskSpec(account, "春季活动", text, Origin.PORTAL, ActorLabel("boss"), to=tuple(to), link_id=link_id, **how)
    task, _ = await site.surveyor.tasks.create(by_test(site.db), spec)
    feeder = Feeder(site.db, site.surveyor.tasks, site.acceptor, ids=site.ids, snapshots=site.snapshots)
    for _ in range(5):
        await feeder.step()
    return task


async def test_a_task_says_who_has_clicked_and_each_figure_leads_to_its_records(site: Site) -> None:
    link = await make(site)
    await send(site, ["13800000009"], link)  # the same link, in no task
    task, plain = await tasked(site, link, OF_CARRIERS), await tasked(site, None, OF_CARRIERS[:1])
    await opened(site, link, 0, 1, 2, 5)  # the first code is in the message of no task
    await opened(site, link, 3, agent=CURL)
    async with signed_in(site, "boss") as boss:

        async def counts(page: str, key: str) -> list[int]:
            """How many records the links with these figures find, and that these are the figures."""
            shown = re.findall(rf'href="(/records[?][^"]*clicked={key})">([0-9,]+)</a>', page)
            for to, number in shown:
                rows = await boss.get(html.unescape(to).replace("/records?", "/records/-/total?"))
                assert re.search(rf"\b{number}\b", re.sub("<[^>]+>", " ", rows)), (to, rows)
            return [int(number) for _, number in shown]

        page = await boss.get(f"/tasks/{task.id}")
        assert (await counts(page, "true"), await counts(page, "false")) == ([3], [3])
        assert "未点击" not in await boss.get(f"/tasks/{plain.id}")
        page = await boss.get(f"/tasks/report?task={task.id}")
        assert (await counts(page, "true"), await counts(page, "false")) == ([2, 1], [1, 1, 1])
        drawn = json.loads(html.unescape(re.findall(r'data-options="([^"]*)"', page)[0]))
        (rate,) = [one for one in drawn["series"] if one["name"] == "点击率（%）"]
        assert sorted(round(value) for value in rate["data"]) == [0, 50, 67]
        assert "点击短链 3，未点击 3" in html.unescape(page)
        assert "未点击" not in await boss.get(f"/tasks/report?task={plain.id}")
        assert "未点击" not in await boss.get(f"/tasks/report?task={task.id}&group=reason")
        for group in ("province", "channel", "hop"):
            page = await boss.get(f"/tasks/report?task={task.id}&group={group}")
            assert "点击短链 3，未点击 3" in html.unescape(page), group
        for id_, told in ((task.id, True), (plain.id, False)):
            rows = [row for row in await taken_away(boss, "/tasks/report", f"task={id_}") if row]
            assert ("已点击" in rows[0]) is told
            assert not told or [rows[-2][rows[0].index(name)] for name in ("已点击", "未点击")] == ["3", "3"]
    rights = [Permission.TASK_VIEW, Permission.STATISTICS_EXPORT]
    await add_role(site, "counting", rights, ScopeKind.ALL, ["counting"])
    for path in (f"/tasks/{task.id}", f"/tasks/report?task={task.id}"):
        assert "未点击" not in html.unescape(await page_for(site, "counting", path)), path
    # As a table of its rows, for programs: behind what has become of each.
    assert await outcome.clicks_of(site.db, await task_of(site, task)) == (3, 3)
    pieces = [piece async for piece in recipients.report(site.db, await task_of(site, task), 1, True)]
    head, *rows = csv.reader(io.StringIO(b"".join(pieces).decode("utf-8-sig")))
    assert head[-4:-1] == ["点击", "点击次数", "首次点击"]
    clicked = [row[-4:-1] for row in rows]
    assert [row[:2] for row in clicked] == [["已点击", "1"], ["已点击", "1"], ["未点击", "0"], ["未点击", "0"],
                                            ["已点击", "1"], ["未点击", "0"]]  # fmt: skip
    assert all(bool(row[2]) is (row[0] == "已点击") for row in clicked)
    found_, _ = await recipients.search(site.db, await task_of(site, task), 1, True, status=None, after=0, limit=9)
    assert [one.clicked for one in found_] == [True, True, False, False, True, False]
    pieces = [piece async for piece in recipients.report(site.db, await task_of(site, plain), 1, True)]
    assert "点击" not in b"".join(pieces).decode()


async def test_figures_of_a_task_that_has_come_round_twice_that_day_lead_to_its_latest_run(site: Site) -> None:
    link = await make(site)
    task = await tasked(site, link, OF_CARRIERS)
    again = await send(site, OF_CARRIERS[:2], link)
    await opened(site, link, 0, 1, 6)  # two of the first run, one of the second
    await site.db.execute(
        "INSERT INTO task_chunk (task_id, run, first, size, base_id) VALUES ($1, 2, 1, 2, $2)", task.id, again[0]
    )
    rule = json.dumps({"every": "day", "at": ["09:00", "15:00"]})
    await site.db.execute("UPDATE task SET run = 2, recurring = $2::jsonb WHERE id = $1", task.id, rule)
    assert await found(site, task=task.id, run=2) == again
    assert await found(site, task=task.id, run=2, clicked="true") == again[:1]
    assert len(await found(site, task=task.id, run=1)) == len(OF_CARRIERS)
    assert len(await found(site, task=task.id)) == len(OF_CARRIERS) + 2
    assert await found(site, run=2) == [], "of no task"
    async with signed_in(site, "boss") as boss:
        for page in (f"/tasks/{task.id}", f"/tasks/report?task={task.id}&group=province"):
            shown = html.unescape(await boss.get(page))
            (to,) = re.findall(r'href="(/records[?][^"]*clicked=true)">1</a>', shown)
            assert f"task={task.id}&run=2&" in to
            rows = await boss.get(to.replace("/records?", "/records/-/total?"))
            assert re.search(r"\b1\b", re.sub("<[^>]+>", " ", rows)), rows


async def test_a_task_whose_messages_are_gone_does_not_say_that_nobody_has_clicked(site: Site, boss: Browser) -> None:
    task = await tasked(site, await make(site), OF_CARRIERS[:1])
    long_ago = first_id(datetime.now(UTC) - timedelta(days=400))
    await site.db.execute("UPDATE task_chunk SET base_id = $2 WHERE task_id = $1", task.id, long_ago)
    assert await outcome.clicks_of(site.db, await task_of(site, task)) is Untold.GONE
    assert "已超过保存期限" in html.unescape(await boss.get(f"/tasks/{task.id}"))


async def test_a_dear_count_of_clicks_is_made_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click_counts, "PATIENCE", 0.2)
    link = await make(site)
    task = await task_of(site, await tasked(site, link, OF_CARRIERS))
    await opened(site, link, 0, 1)
    counts = site.surveyor.tasks.clicks
    async with site.db.transaction() as connection:
        await connection.execute("LOCK TABLE message_link IN ACCESS EXCLUSIVE MODE")
        assert await asyncio.gather(*(counts.of(task) for _ in range(5))) == [Untold.UNCOUNTED] * 5
        assert counts.last(task) is Untold.UNCOUNTED
        (counting,) = counts._counting.values()
        await asyncio.sleep(0.8)
    await counting
    ends = counts._known[task.id, task.run].until - time.monotonic()
    assert counts.last(task) == await counts.of(task) == (2, 4)
    assert not counts._counting, "it is known now"
    assert ends > click_counts.KEPT_FOR, "as long as it was dear"


async def test_with_what_a_code_was_clicked_before_it_went_out_again(site: Site) -> None:
    link = await make(site)
    (one,) = await send(site, ["13800000000"], link)
    await opened(site, link, 0)
    now = datetime.now(UTC)
    await site.db.execute("UPDATE short_link SET made_at = $1", now - timedelta(hours=5))
    await site.db.execute("UPDATE link_click SET id = $1", first_id(now - timedelta(hours=4)))
    (row,) = (await records.search(site.db, EVERYBODY, wanted(message=one), Window("time"))).rows
    assert (row.clicks, hardware_of(row.click_agent)) == (1, "iPhone")
    assert hardware_of((await copied(site, ("click_device",)))[0][0]) == "iPhone"


async def task_of(site: Site, task: Task) -> Task:
    """As it stands now."""
    return (await site.surveyor.tasks.get(task.id, accounts=None)).task


async def test_who_sees_no_messages_is_told_of_no_clicks(site: Site) -> None:
    link = await make(site)
    task = await tasked(site, link, OF_CARRIERS[:3])
    await opened(site, link, 0)
    (*_, last) = await found(site, task=task.id)
    rights = [Permission.TASK_VIEW, Permission.MESSAGE_SEND]
    await add_role(site, "blind", rights, ScopeKind.ALL, ["blind"])
    await add_role(site, "seeing", [*rights, Permission.MESSAGE_READ], ScopeKind.ALL, ["seeing"])
    for login, told in (("seeing", True), ("blind", False)):
        async with signed_in(site, login) as clerk:
            page = html.unescape(await clerk.get(f"/tasks/{task.id}"))
            assert ("再次发送给未点击的人" in page) is told
            assert ("/tasks/-/effect/unclicked" in await clerk.get("/tasks")) is told
            for path, id_ in (("/tasks", task.id), ("/records", last)):
                asked = html.unescape(await clerk.post(f"{path}/-/effect/unclicked", {"id": str(id_)}))
                assert ("个号码" in asked) is told, path
                assert ("没有查看这些记录的权限" in asked) is not told
                await clerk.post(f"{path}/-/do/unclicked", {"id": str(id_)})
                assert clerk.path.startswith("/send/") is told or clerk.status == 422
    drafts = await site.db.fetch("SELECT s.login FROM send_draft d JOIN staff s ON s.id = d.owner_id")
    assert {row["login"] for row in drafts} == {"seeing"}


async def test_a_segment_is_kept_under_a_name_and_chosen_again(site: Site, boss: Browser) -> None:
    link = await make(site)
    await send(site, [f"1380000000{n}" for n in range(5)], link)
    await opened(site, link, 0, 1)
    hall = str(site.accounts["hall"])
    # From the step of the numbers, for oneself.
    draft = await begun(site, boss)
    asked = {"source": "segment", "segment": "not_clicked", "segment_days": "30", "segment_link": str(link.id)}
    assert await boss.status_of(f"/send/{draft}/audience", asked | {"save_segment": "1", "segment_name": " "}) == 422
    kept = {"save_segment": "1", "segment_name": "没点的人"}
    page = html.unescape(await boss.post(f"/send/{draft}/audience", asked | kept))
    row = await site.db.fetchrow("SELECT * FROM audience WHERE segment IS NOT NULL")
    assert (row["name"], row["shared"]) == ("没点的人", "own")
    assert f'<option value="{row["id"]}" selected>没点的人' in page
    chosen = {"source": "segment", "segment": "clicked", "segment_days": "90", "segment_saved": str(row["id"])}
    await boss.post(f"/send/{draft}/audience", chosen)
    assert "有效 3 行" in await looked_at(boss, draft)
    await submitted(boss, draft)
    task = await imported(site)
    assert await site.db.fetchval("SELECT audience_id FROM task WHERE id = $1", task) == row["id"]
    await boss.post(f"/tasks/{task}/copy", {})
    state = await site.db.fetchval("SELECT state FROM send_draft WHERE id = $1", draft_in(boss.path))
    assert f'"segment_saved":"{row["id"]}"' in state.replace(" ", "")
    # On its own page: named, counted, shared, sent to, counted again, changed, deleted.
    form = {"account": hall, "name": "点过的人", "kind": "clicked", "days": "90", "scope": "account"}
    assert "不能使用" in html.unescape(await boss.post("/contacts/segments/-/new", form | {"link": "77"}))
    page = html.unescape(await boss.post("/contacts/segments/-/new", form | {"link": str(link.id)}))
    id_ = int(boss.path.rpartition("/")[2].partition("?")[0])
    assert await counted(site, id_) is None
    assert "还没有计算人数" in page
    assert "人数还没有计算" in html.unescape(await boss.post("/contacts/segments/-/effect/send", {"id": str(id_)}))
    await boss.post("/contacts/segments/-/do/count", {"id": str(id_)})
    assert await counted(site, id_) == 2
    await opened(site, link, 2)
    effect = html.unescape(await boss.post("/contacts/segments/-/effect/send", {"id": str(id_)}))
    assert re.search("在 .{16} 有 2 个号码", effect), "nobody waits for a count to begin a draft"
    await boss.post("/contacts/segments/-/do/send", {"id": str(id_)})
    another = draft_in(boss.path)
    await opened(site, link, 3)
    await boss.post("/contacts/segments/-/do/count", {"id": str(id_)})
    assert await counted(site, id_) == 4
    await boss.post(f"/contacts/segments/{id_}/edit", form | {"kind": "replied"})
    assert await counted(site, id_) is None, "it asks for something else now"
    assert "点过的人" in html.unescape(await boss.get("/contacts/segments?kind=replied"))
    # It is no group: nobody is put into it, and no picker of groups has it.
    assert "点过的人" not in html.unescape(await boss.get("/contacts/groups"))
    assert "点过的人" not in html.unescape(await boss.post(f"/send/{another}/book", {}))
    await boss.post("/contacts/segments/-/do/remove", {"id": str(id_)})
    assert await site.db.fetchval("SELECT count(*) FROM audience") == 1


async def test_what_another_has_counted_is_no_figure_of_one_s_own(site: Site) -> None:
    link = await make(site)
    await send(site, ["13800000000", "13800000001"], link)
    await opened(site, link, 0)
    id_ = await saved.add(by_test(site.db), site.accounts["hall"], "点过的人", Segment(SegmentKind.CLICKED), Sharing())
    everybody = await saved.one(site.db, EVERYBODY, id_)
    assert everybody.counted is None
    assert await saved.count(site.db, EVERYBODY, everybody) == 1
    own = await site.db.fetchval("SELECT id FROM staff")
    await site.db.execute("UPDATE audience SET owner_id = $2 WHERE id = $1", id_, own)
    scope = replace(EVERYBODY.scope, submitter=ActorLabel("somebody"))
    narrow = replace(EVERYBODY, kind=ActorKind.PERSON, id=own, scope=scope)
    seen = await saved.one(site.db, narrow, id_)
    assert (seen.counted, seen.counted_at, await saved.count(site.db, narrow, seen)) == (None, None, 0)
    assert await counted(site, id_) == 0


async def test_a_draft_whose_segment_is_gone_is_to_nobody_else(site: Site, boss: Browser) -> None:
    """Neither for a browser that posts what the page offers, nor for a program that knows of no such id."""
    link = await make(site)
    await send(site, ["13800000000", "13800000001"], link)
    await opened(site, link, 0)
    id_ = await saved.add(by_test(site.db), site.accounts["hall"], "点过的人", Segment(SegmentKind.CLICKED), Sharing())
    draft = await begun(site, boss)
    form = {"source": "segment", "segment": "not_clicked", "segment_days": "90", "segment_saved": str(id_)}
    await boss.post(f"/send/{draft}/audience", form)
    state = (await site.db.fetchval("SELECT state FROM send_draft WHERE id = $1", draft)).replace(" ", "")
    shows(state, f'"segment_saved":"{id_}"', '"segment":""')  # older programs refuse that
    await saved.remove(by_test(site.db), id_)
    page = html.unescape(await boss.get(f"/send/{draft}/audience"))
    assert f'<option value="{id_}" selected>#{id_}（不存在或不可见' in page
    assert 'id="segment_saved-problem"' in await boss.refusal(f"/send/{draft}/audience", form)
    await boss.post(f"/send/{draft}/audience", {"source": "segment", "segment_days": "90", "segment_saved": ""})
    assert boss.status == 422, "no condition was chosen instead"
    assert await boss.status_of(f"/send/{draft}/audience", form | {"segment_saved": ""}) == 200
    # Nor is one that no form offers, or that nobody is in.
    for kind, days in (("nonsense", "90"), ("", "90"), ("clicked", "9999"), ("replied", "9")):
        form = {"source": "segment", "segment": kind, "segment_days": days}
        assert await boss.status_of(f"/send/{draft}/audience", form) == 422, form


async def test_a_segment_that_is_changed_after_the_look_is_looked_at_again(site: Site, boss: Browser) -> None:
    link = await make(site)
    await send(site, ["13800000000", "13800000001"], link)
    await opened(site, link, 0)
    asked = Segment(SegmentKind.CLICKED, 30)
    id_ = await saved.add(by_test(site.db), site.accounts["hall"], "看过的人", asked, Sharing())
    draft = await begun(site, boss)
    await boss.post(f"/send/{draft}/audience", {"source": "segment", "segment_saved": str(id_)})
    page = await looked_at(boss, draft, "confirm")
    shows(page, "看过的人", "已点击短链 · 最近 30 天的短信")
    of = re.search(r'name="of" value="([^"]+)"', page)
    # As many as before, who are others.
    await saved.put(by_test(site.db), id_, "看过的人", Segment(SegmentKind.NOT_CLICKED, 30), Sharing())
    assert "号码有变化" in html.unescape(await boss.post(f"/send/{draft}/confirm", {"of": of[1]}))
    assert await site.db.fetchval("SELECT count(*) FROM task") == 0
    assert "未点击短链 · 最近 30 天的短信" in await looked_at(boss, draft, "confirm")
    await submitted(boss, draft)
    assert await to(site, await imported(site)) == ["1"]


async def test_few_segments_are_counted_at_a_time(site: Site, monkeypatch: pytest.MonkeyPatch, boss: Browser) -> None:
    hall = site.accounts["hall"]
    many = [
        await saved.add(by_test(site.db), hall, f"人群 {n}", Segment(SegmentKind.REPLIED), Sharing()) for n in range(4)
    ]
    page = await boss.post("/contacts/segments/-/do/count", [("id", str(id_)) for id_ in many])
    assert "一次最多重新计算 3 个人群" in html.unescape(page)
    assert await counted(site, many[0]) is None
    # All of a node's turns are taken by other accounts: who comes holds no connection while waiting, and not for long.
    turns = FairQueue(segments.AT_ONCE, 1, patience=0.05)
    monkeypatch.setattr(segments, "_turns", turns)
    await turns.take(-1)
    await turns.take(-2)
    one = await saved.one(site.db, EVERYBODY, many[0])
    await fails(Temporary, saved.count(site.db, EVERYBODY, one), code="BACKPRESSURE")
    turns.give(-1)
    assert (await saved.count(site.db, EVERYBODY, one), turns.taken) == (0, 1)
    # Who sees no messages is told no counts, and the account's keys see none that somebody keeps to himself.
    blind = replace(EVERYBODY, permissions=EVERYBODY.permissions - {Permission.MESSAGE_VIEW})
    seen = await saved.one(site.db, blind, many[0])
    assert (seen.counted, seen.counted_at) == (None, None)
    await fails(Refused, saved.count(site.db, blind, one), code="PERMISSION_DENIED")


async def test_the_database_puts_nobody_into_a_segment(site: Site) -> None:
    hall = site.accounts["hall"]
    id_ = await saved.add(by_test(site.db), hall, "人群", Segment(SegmentKind.REPLIED), Sharing())
    contact = await site.db.fetchval("INSERT INTO contact (account_id, number) VALUES ($1, '8613') RETURNING id", hall)
    with pytest.raises(asyncpg.CheckViolationError):
        await site.db.execute("INSERT INTO audience_member (audience_id, contact_id) VALUES ($1, $2)", id_, contact)
    with pytest.raises(asyncpg.CheckViolationError):
        await site.db.execute("INSERT INTO audience (account_id, name, parent_id) VALUES ($1, '下级', $2)", hall, id_)


async def counted(site: Site, id_: int) -> int | None:
    return await site.db.fetchval("SELECT counted FROM audience WHERE id = $1", id_)
