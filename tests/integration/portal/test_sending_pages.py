"""Approval, tasks and what is scheduled as pages: what is decided there happens, and to what is in scope alone."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from browsing import Browser, shows
from portal_site import Site
from visits import acting, add_role, all_signed_in, boss, clerk, signed_in, submitted

from smsgw.core.actor import ActorLabel, ScopeKind
from smsgw.core.ids import CHINA, first_id
from smsgw.core.keywords import Action, Word, WordFilter
from smsgw.core.model import Origin
from smsgw.core.permissions import Permission
from smsgw.core.states import PartState
from smsgw.core.tasks import Task
from smsgw.core.templates import ContentBook, Review, Template, Variable
from smsgw.platform.policies import service as policies
from smsgw.platform.review import rules
from smsgw.store.config.policies import load_changes
from smsgw.store.messages import tasks

TEXT = "关于贷款贴息的通知，请到窗口办理"
_P = Permission
CODE = "NUMBER_<wbr>INVALID"
"""As a list shows it."""
__all__ = ["boss", "clerk"]
pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    rights = [_P.REVIEW_VIEW, _P.REVIEW_DECIDE, _P.TASK_VIEW, _P.TASK_EDIT, _P.MESSAGE_SEND]
    await add_role(site, "clerk", rights, people={"clerk": "hall"})
    site.review_all()
    return site


async def held(site: Site, account: str, submitter: str = "writer", n: int = 2, text: str = TEXT) -> int:
    """A call that waits for an approval; its batch."""
    numbers = [f"+861380013{at:04}" for at in range(n)]
    ids = await submitted(site, account, *numbers, content=text, origin=Origin.PORTAL, by=submitter)
    return int(await site.db.fetchval("SELECT batch_id FROM message WHERE id = $1", ids[0]))


async def states(site: Site, batch: int) -> set[PartState]:
    found = await site.db.fetch("SELECT p.state FROM part p JOIN message m USING (id) WHERE m.batch_id = $1", batch)
    return {PartState(row["state"]) for row in found}


def go_by(site: Site, **changes: object) -> None:
    """The node's policies, with these changes."""
    site.snapshots.change(policies=replace(site.snapshots.current.policies, _known={}, **changes))


def chosen(*ids: int, **fields: str) -> list[tuple[str, str]]:
    return [*(("id", str(id_)) for id_ in ids), *fields.items()]


def shown(page: str, path: str) -> list[int]:
    return [int(id_) for id_ in dict.fromkeys(re.findall(rf'href="{path}/([0-9]+)"', page))]


async def actions(site: Site, prefix: str) -> list[tuple[str, str, str]]:
    found = await site.db.fetch("SELECT * FROM audit WHERE starts_with(action, $1) ORDER BY id", prefix)
    return [(row["actor"], row["action"], row["object"]) for row in found]


async def test_what_is_passed_is_sent_and_what_is_rejected_never_leaves(site: Site, boss: Browser) -> None:
    first, second, third = [await held(site, "hall") for _ in range(3)]
    before = await site.db.fetchval("SELECT balance FROM account WHERE id = $1", site.accounts["hall"])
    page = await boss.get("/review")
    assert shown(page, "/review") == [first, second, third], "the one that waits longest comes first"
    assert '"sending.review": 3' in await boss.get("/menu/badges")
    asked = await boss.post("/review/-/effect/pass", chosen(first, second))
    assert "将通过 2 件，共 4 个号码：短信 2 件（4 条）、发送任务 0 个" in asked
    assert await states(site, first) == {PartState.HELD}, "only asked"
    await boss.post("/review/-/do/pass", chosen(first, second, reason="材料齐全"))
    for batch in (first, second):
        assert await states(site, batch) == {PartState.QUEUED}
    assert len(await site.carrier_takes()) == 4, "a channel gets them"

    await boss.refused("/review/-/do/reject", {"id": str(third), "reason": " "}, "将驳回 1 件")
    assert await states(site, third) == {PartState.HELD}
    await boss.post("/review/-/do/reject", {"id": str(third), "reason": "缺少主办单位"})
    assert await states(site, third) == {PartState.REJECTED}
    assert await site.carrier_takes() == []
    assert "没有待审批的内容" in await boss.get("/review")

    assert shown(await boss.get("/review/decided"), "/review/decided") == [third, second, first]
    assert shown(await boss.get("/review/decided?status=rejected"), "/review/decided") == [third]
    shows(await boss.get(f"/review/decided/{third}"), "缺少主办单位", "boss")
    after = await site.db.fetchval("SELECT balance FROM account WHERE id = $1", site.accounts["hall"])
    assert after == before + 2, "what was charged for the rejected ones is back"
    decisions = [("boss", "review.pass", f"message/{first}"), ("boss", "review.pass", f"message/{second}"),
                 ("boss", "review.reject", f"message/{third}")]  # fmt: skip
    assert await actions(site, "review.") == decisions
    assert ("boss", "decided.open", f"decided/{third}") in await actions(site, "decided.")
    assert await actions(site, "reviews.search")


async def test_nobody_decides_about_what_is_their_own(site: Site, clerk: Browser) -> None:
    own, other = await held(site, "hall", "clerk"), await held(site, "hall")
    page = await clerk.get("/review")
    assert shown(page, "/review") == [own, other]
    shows(page, "由您本人提交，须由他人审批", no=f'value="{own}"')  # it has neither box nor buttons
    assert "由您本人提交" in await clerk.get(f"/review/{own}")
    assert "其中 1 件由您本人提交" in await clerk.post("/review/-/effect/pass", chosen(own, other))
    await clerk.post("/review/-/do/pass", chosen(own, other))
    assert await states(site, other) == {PartState.QUEUED}
    await clerk.post("/review/-/do/reject", {"id": str(own), "reason": "不发了"})
    assert await states(site, own) == {PartState.HELD}


async def test_sensitive_words_are_marked_where_they_stand(site: Site, boss: Browser) -> None:
    go_by(site, words=WordFilter([Word("贷款", "金融", Action.REVIEW)]))
    batch = await held(site, "hall", text="关于<贷 款>的通知")
    for page in (await boss.get("/review"), await boss.get(f"/review/{batch}")):
        shows(page, '&lt;<mark title="金融" data-why="金融">贷 款</mark>&gt;', "敏感词：贷款")
    await boss.post("/language", {"language": "en", "next": "/"})
    for path in ("/review", f"/review/{batch}"):  # why it waits is told in the reader's language
        shows(await boss.get(path), "words to be seen: 贷款", no="敏感词")


async def test_an_unchanged_queue_is_no_news(site: Site, boss: Browser) -> None:
    await held(site, "hall")
    await boss.get("/review/-/rows", headers={"HX-Request": "true"})
    have = boss.headers["X-Piece"]
    assert await boss.status_of("/review/-/rows", headers={"HX-Request": "true", "X-Have": have}) == 204
    await held(site, "hall")
    assert await boss.status_of("/review/-/rows", headers={"HX-Request": "true", "X-Have": have}) == 200


async def planned(site: Site, account: str, submitter: str = "writer", n: int = 3) -> int:
    """A task whose time is still to come."""
    at = datetime.now(UTC) + timedelta(days=1)
    id_ = site.ids.next()
    task = Task(id_, site.accounts[account], f"通知 {id_}", "scheduled", "portal", ActorLabel(submitter), "notice",
                TEXT, datetime.now(UTC), sign="市政服务", send_at=at, next_at=at)  # fmt: skip
    async with site.db.transaction() as connection:
        assert await tasks.insert(connection, task)
        await tasks.add_rows(connection, [(id_, at, at, f"861380013{at:04}", None, None) for at in range(1, n + 1)], ())
        await tasks.change(connection, id_, valid=n, total=n)
    return id_


async def test_rows_without_a_message_are_listed_for_who_may_see_their_task(site: Site, clerk: Browser) -> None:
    mine, foreign = await planned(site, "hall"), await planned(site, "clinic")
    async with site.db.transaction() as connection:
        rows = [(id_, 0, at, None, "1390013", "NUMBER_INVALID", "", None) for id_ in (mine, foreign) for at in (7, 8)]
        await tasks.add_rows(connection, (), rows)
    page = await clerk.get(f"/tasks/problems?task={mine}")  # the code is ours, not a carrier's
    shows(page, '<a href="/tasks">发送任务</a>', "错误码", no="原始码")
    for query, n in ((f"task={mine}", 2), (f"task={mine}&line=7", 1), (f"task={foreign}", 0), ("", 0)):
        assert (await clerk.get(f"/tasks/problems?{query}")).count(CODE) == n, query


async def test_a_month_whose_last_week_shows_a_task_is_not_called_empty(site: Site, clerk: Browser) -> None:
    first = datetime.now(CHINA).replace(day=1, hour=12)
    after = (first + timedelta(days=32)).replace(day=1)
    while after.weekday() == 0:  # its first day stands in the calendar of the month before only within a week
        first, after = after, (after + timedelta(days=32)).replace(day=1)
    task = await planned(site, "hall")
    await site.db.execute("UPDATE task SET send_at = $2, next_at = $2 WHERE id = $1", task, after)
    page = await clerk.get(f"/scheduled/calendar?month={first:%Y-%m}")
    shows(page, f'href="/scheduled/{task}"', no="本月没有定时发送")
    assert "本月 0 次" in page, "it is of the month after"
    assert "本月没有定时发送" in await clerk.get(f"/scheduled/calendar?month={first.year - 1}-{first:%m}")
    page = await clerk.get(f"/scheduled/{task}/time")
    shows(page, '<a href="/scheduled">定时短信记录</a>', f'<a href="/scheduled/{task}">通知 {task}</a>')


async def state(site: Site, task: int) -> str:
    return str(await site.db.fetchval("SELECT state FROM task WHERE id = $1", task))


async def test_a_task_is_paused_resumed_moved_and_cancelled_from_its_page(site: Site, boss: Browser) -> None:
    task = await planned(site, "hall")
    assert shown(await boss.get("/tasks"), "/tasks") == [task]
    assert shown(await boss.get("/scheduled"), "/scheduled") == [task]
    assert not shown(await boss.get("/tasks?status=running"), "/tasks")
    assert "待结果" in await boss.get(f"/tasks/{task}")
    assert "将暂停 1 个任务，共有 3 个号码尚无结果" in await boss.post("/tasks/-/effect/pause", {"id": str(task)})
    assert await state(site, task) == "scheduled"
    for turn, becomes in (("pause", "paused"), ("resume", "scheduled")):
        await boss.post(f"/tasks/-/do/{turn}", {"id": str(task)})
        assert await state(site, task) == becomes

    for wrong in ("", "tomorrow", "2020-01-01 09:00"):
        await boss.refused(f"/scheduled/{task}/time", {"planned_at": wrong, "confirmed": "1"})
    later = (datetime.now(CHINA) + timedelta(days=3)).replace(second=0, microsecond=0)
    form = {"planned_at": f"{later:%Y-%m-%d %H:%M}"}
    await boss.confirms(f"/scheduled/{task}/time", form, "3 个号码")
    assert await site.db.fetchval("SELECT next_at FROM task WHERE id = $1", task) == later

    await boss.post("/scheduled/-/do/cancel", {"id": str(task)})
    assert await state(site, task) == "cancelled"
    assert not shown(await boss.get("/scheduled"), "/scheduled")
    assert shown(await boss.get("/scheduled?status=cancelled"), "/scheduled") == [task], "the record of it stays"
    for path in ("/tasks", f"/tasks/{task}"):
        shows(await boss.get(path), 'value="0" aria-label="进度"', "已取消 3")  # nothing was sent
    assert await boss.status_of(f"/scheduled/{task}/time") == 404, "it has no time any more"
    done = [what for _, what, object_ in await actions(site, "task.") if object_ == f"task/{task}"]
    assert done == ["task.pause", "task.resume", "task.change", "task.cancel"]
    assert ("boss", "tasks.open", f"tasks/{task}") in await actions(site, "tasks.")


async def test_what_comes_round_stays_in_the_list_after_its_first_run(site: Site, boss: Browser) -> None:
    task = await planned(site, "hall")
    again = {"every": "week", "at": ["09:30"], "on": [1, 4], "until": "2027-03-01T23:59:00+08:00"}
    await site.db.execute(
        "UPDATE task SET recurring = $2, run = 1, state = 'sent', send_at = NULL WHERE id = $1", task, json.dumps(again)
    )
    page = html.unescape(await boss.get("/scheduled"))
    assert shown(page, "/scheduled") == [task]
    for head in ("周期", "下次", "截止"):
        assert re.search(rf"<th[^>]*>(?:<[^>]*>)*{head}", page), head
    shows(page, "每周", "2027-03-01 23:59")
    page = html.unescape(await boss.get(f"/scheduled/{task}"))
    shows(page, "每周 周一 周四 09:30", "2027-03-01 23:59", no=f"/scheduled/{task}/time")  # it has begun
    await site.db.execute("UPDATE task SET state = 'finished' WHERE id = $1", task)
    assert not shown(await boss.get("/scheduled"), "/scheduled")


async def test_a_scheduled_one_begins_now_when_somebody_says_so(site: Site, boss: Browser) -> None:
    task = await planned(site, "hall")
    assert "立即开始" in await boss.get(f"/scheduled/{task}")
    assert "1 个任务立即开始，共有 3 个号码" in await boss.post("/scheduled/-/effect/now", {"id": str(task)})
    await boss.post("/scheduled/-/do/now", {"id": str(task)})
    row = await site.db.fetchrow("SELECT next_at <= now(), send_at, state FROM task WHERE id = $1", task)
    assert tuple(row) == (True, None, "scheduled")
    await site.db.execute("UPDATE task SET run = 1, state = 'running' WHERE id = $1", task)
    await boss.post("/scheduled/-/do/now", {"id": str(task)})
    assert await state(site, task) == "running"


async def test_who_may_send_begins_where_there_is_nothing_yet(site: Site) -> None:
    button = re.compile(r'<a class="btn btn-primary[^"]*" href="/(send|setup/sign)"')
    for role, more, wanted in (
        ("sender", [_P.MESSAGE_SEND], {"/tasks": ["send"], "/scheduled": ["send"], "/send": []}),
        ("looker", [], {"/tasks": [], "/scheduled": []}),
        # who sees some accounts makes them below one of these alone
        ("maker", [_P.MESSAGE_SEND, _P.ACCOUNT_VIEW, _P.ACCOUNT_EDIT], {"/send": [], "/custom": []}),
    ):
        await add_role(site, role, [_P.TASK_VIEW, *more], people=[f"new-{role}"])
        async with signed_in(site, f"new-{role}") as person:
            assert {path: button.findall(await person.get(path)) for path in wanted} == wanted, role
            if role == "maker":
                page = await person.get("/accounts")
                assert "还没有短信账号" in page
                assert page.count('href="/accounts/-/new"') == 1, "in the head, not as where one begins"


async def test_tasks_of_others_are_not_there(site: Site) -> None:
    mine, foreign = await planned(site, "hall"), await planned(site, "clinic")
    await add_role(site, "writer", [_P.TASK_VIEW, _P.TASK_EDIT], ScopeKind.OWN, people={"hall-own": "hall"})
    own = await planned(site, "hall", "hall-own")
    for login, seen in (("clerk", {mine, own}), ("hall-own", {own})):
        async with signed_in(site, login) as person:
            for path in ("/tasks", "/scheduled"):
                assert set(shown(await person.get(path), path)) == seen, login
                for id_ in {mine, foreign, own} - seen:
                    assert await person.status_of(f"{path}/{id_}") == 404
                    await person.refused(f"{path}/-/do/cancel", {"id": str(id_)})
            for id_ in {mine, foreign, own} - seen:
                assert await person.status_of(f"/scheduled/{id_}/time") == 404
    assert {await state(site, id_) for id_ in (mine, foreign, own)} == {"scheduled"}
    async with signed_in(site, "hall-own") as person:
        await person.post("/tasks/-/do/cancel", {"id": str(own)})
    assert await state(site, own) == "cancelled"


async def test_rules_say_what_they_would_have_held_and_then_hold_it(site: Site) -> None:
    await policies.clear(acting(site), "review")
    hall = site.accounts["hall"]
    go_by(site, changes=await load_changes(site.db))

    async def send(text: str) -> str:
        (id_,) = await submitted(site, "hall", "+8613800130001", content=text, by="k")
        return {PartState.HELD: "held", PartState.QUEUED: "queued"}[(await states(site, id_)).pop()]

    for n in range(3):
        assert await send(f"第 {n} 件已办好，见 https://new.example.cn/a") == "queued"
    assert await send("第 9 件已办好") == "queued"

    async def outcome(account: int, kind: str, wanted: dict[str, str]) -> tuple[int, int, int, bool]:
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        found = await rules.outcome(site.db, site.snapshots.current, rules.Place(account, kind), wanted, tomorrow)
        return found.messages, found.held, found.held_now, found.whole

    assert await outcome(hall, "notice", {"review_new_link": "true"}) == (4, 3, 0, True)
    assert (await outcome(hall, "otp", {"review_new_link": "true"}))[:2] == (0, 0), "another type"
    await held(site, "hall", text="两个号码")
    assert (await outcome(0, "", {"review_over": "1"}))[:2] == (6, 2)

    async with all_signed_in(site, "boss", "clerk") as (boss, clerk):
        assert 'href="/review/rules"' in await boss.get("/review")
        assert f'href="/review/rules/{hall}/notice"' in html.unescape(await boss.get("/review/rules"))
        path = f"/review/rules/{hall}/notice"
        form = {"review": "", "review_over": "", "review_new_link": "true"}
        assert "0 条短信中会有 0 条须审批（现行规则为 0 条）" in html.unescape(await boss.post(path, form))
        assert await site.db.fetchval("SELECT count(*) FROM policy WHERE account_id > 0") == 0, "only asked"
        await boss.post(path, form | {"confirmed": "1"})
        row = await site.db.fetchrow("SELECT account_id, type, name, value FROM policy WHERE account_id > 0")
        assert tuple(row) == (hall, "notice", "review_new_link", "true")
        assert ("boss", "policy.set", "policy/review_new_link") in await actions(site, "policy.")
        go_by(site, changes=await load_changes(site.db))
        assert await send("第 7 件已办好，见 https://new.example.cn/a") == "held"
        assert await send("第 8 件已办好") == "queued"
        assert "新链接：https://new.example.cn/a" in html.unescape(await boss.get("/review"))
        await boss.post(path, form | {"review_new_link": "", "confirmed": "1"})
        assert await site.db.fetchval("SELECT count(*) FROM policy WHERE account_id > 0") == 0, "empty: as above"

        await boss.refused(path, {"review_over": "x"})
        page = await boss.post("/review/rules/times", {"review_remind_minutes": "5", "review_expire_hours": "24"})
        assert "现在等待的 1 件中有 0 件" in page
        assert [await clerk.status_of(one) for one in ("/review/rules", path)] == [403, 403]


async def test_a_kind_is_sent_in_several_spans_of_its_days(site: Site) -> None:
    hall = site.accounts["hall"]
    path = f"/review/rules/{hall}/notice/hours"
    spans = [("windows1_from", "09:00"), ("windows1_to", "11:30"), ("windows2_from", "14:00"), ("windows2_to", "17:00"),
             *((f"windows{n}_days", str(day)) for n in (1, 2) for day in range(1, 6))]  # fmt: skip

    async def sent(browser: Browser, **more: str) -> str:
        return html.unescape(await browser.post(path, [*spans, *more.items()]))

    async def put() -> dict[str, str]:
        return dict(map(tuple, await site.db.fetch("SELECT type, value FROM policy WHERE account_id > 0")))

    batch = await held(site, "hall", n=3)
    night = (datetime.now(CHINA) - timedelta(days=1)).replace(hour=23)
    by = first_id(datetime.now(UTC)) - first_id(night)
    of_batch = "SELECT id FROM message WHERE batch_id = $2"
    await site.db.execute(f"UPDATE part SET id = id - $1 WHERE id IN ({of_batch})", by, batch)  # noqa: S608
    await site.db.execute("UPDATE message SET id = id - $1 WHERE batch_id = $2", by, batch)
    async with all_signed_in(site, "boss", "clerk") as (boss, clerk):
        await boss.get(path)
        shows(await sent(boss), "按昨日全天抽取的 3 条短信计算（每 5 分钟从最早的 500 条中取至多 20 条）",
              "在时段外的有：任务的 0 条（须等待）、", "接口和协议提交的 3 条（会被拒绝）；现行时段共 0")  # fmt: skip
        await site.db.execute("UPDATE message SET origin = 'task' WHERE batch_id = $1", batch)
        assert "任务的 3 条（须等待）、接口和协议提交的 0 条" in await sent(boss)
        assert await put() == {}, "only asked"
        await sent(boss, confirmed="1")
        assert await put() == {"notice": "mon-fri 09:00-11:30 14:00-17:00"}
        go_by(site, changes=await load_changes(site.db))
        assert "周一至周五 09:00–11:30、14:00–17:00" in html.unescape(await boss.get("/review/rules"))
        assert 'value="14:00"' in await boss.get(path)
        await boss.refused(path, {"windows1_from": "09:00", "windows1_to": "09:00", "windows1_days": "1"}, "不能相同")
        await boss.post(path, {"confirmed": "1"})
        assert await put() == {}, "empty: as above"
        assert await clerk.status_of(path) == 403


async def test_how_long_somebody_waits_is_told_and_red_when_it_is_too_long(site: Site, boss: Browser) -> None:
    _, old = await held(site, "hall"), await held(site, "hall")
    await site.db.execute("UPDATE review SET created_at = now() - interval '31 minutes' WHERE batch_id = $1", old)
    page = await boss.get("/review")
    since = re.findall(r'class="waits-since([^"]*)"[^>]*>([^<]*)<', page)
    assert since == [(" quiet", "已等 0 分钟"), (" late", "已等 31 分钟")]
    await boss.post("/review/-/do/pass", {"id": str(old)})
    await boss.post("/review/decided/-/layout", {"columns": "waited"})
    assert "31 分" in await boss.get("/review/decided"), "how long it took"


async def test_a_reviewer_sees_the_nearest_template_and_the_risks(site: Site, boss: Browser) -> None:
    text = "关于{事项}的通知，请到{地点}窗口办理"
    forms = {"事项": Variable(), "地点": Variable()}
    template = Template(7, site.accounts["hall"], "notice", text, forms, state=Review.APPROVED)
    go_by(site, book=ContentBook(templates=[template]))
    batch = await held(site, "hall", text="关于贷款的通知，请立即点击 t.cn/x 到二楼窗口办理")
    page = html.unescape(await boss.get(f"/review/{batch}"))
    assert "模板 #7" in page
    near = page[page.index('id="nearest"') :]
    assert re.search(r'<mark title="不同"[^>]*>立即点击 t.cn/x </mark>', near), near[:900]
    shows(page, "含新链接：t.cn/x", "抽查 2 个号码，100% 该账号从未发过", "抽查 2 个号码，100% 状态未知")
    shows(page, "提交人 writer 首次发送", "签名【市政服务】没有审核记录")
