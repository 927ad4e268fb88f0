"""What a sending is made of besides the wizard: scenarios, people of the address book, tasks that are edited."""

from __future__ import annotations

import html
import json
import re
from datetime import datetime, timedelta
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from browsing import Browser, shows
from portal_site import Site
from visits import acting, acting_as, actions, all_signed_in, boss, clerk, column
from wizard_steps import begun, draft_in, fields, imported, looked_at, submitted

from smsgw.core.ids import CHINA
from smsgw.core.model import MessageType
from smsgw.core.templates import Review
from smsgw.platform.audience import book, service as audience
from smsgw.platform.audience.model import EntryDraft, Shared, Sharing
from smsgw.platform.content import service as content
from smsgw.platform.content.model import TEMPLATE
from smsgw.platform.scenarios import queries, service
from smsgw.platform.scenarios.model import Terms
from smsgw.runtime import clock

TEXT = "验证码123456，五分钟内有效"
__all__ = ["boss", "clerk"]
pytestmark = pytest.mark.staff(boss="super", clerk=("operator", "hall"))


async def template(site: Site) -> int:
    id_ = await content.add_template(acting(site), site.accounts["hall"], "登录", "otp", TEXT, {})
    await content.review(acting(site), TEMPLATE, id_, Review.APPROVED)
    await site.snapshots.follow()
    site.snapshots.change(policies=site.snapshots._below.current.policies)  # with its template
    return id_


async def test_a_scenario_is_made_changed_copied_and_stopped(site: Site, boss: Browser, clerk: Browser) -> None:
    id_ = await template(site)
    form = {"account": str(site.accounts["hall"]), "name": "登录验证", "type": "otp", "template": str(id_)}
    wrong = form | {"windows1_from": "8", "windows1_days": "1"}
    await boss.refused("/scenarios/-/new", wrong, "每个时段须有开始和结束时刻", 'value="8"')
    await boss.refused("/scenarios/-/new", form | {"windows1_from": "08:00"}, "至少选一天")  # of no day
    await boss.refused("/scenarios/-/new", form | {"type": "notice"}, "的类型是")
    await boss.post("/scenarios/-/new", form | {"valid_minutes": "5", "extend_code": "7"})
    place = urlsplit(boss.path).path
    copy = f"/scenarios/-/new?from={place.removeprefix('/scenarios/')}"
    shows(await boss.get(place), "登录验证", copy)
    assert 'value="登录验证"' in await boss.get(copy)
    await boss.refused("/scenarios/-/new", form, "请换一个名称")
    saturday = {"windows2_from": "08:00", "windows2_to": "20:00", "windows2_days": "6"}
    await boss.post(place + "/edit", form | saturday)
    assert "周六 08:00–20:00" in await boss.get("/scenarios")

    shows(await clerk.get("/scenarios"), "登录验证", no="/scenarios/-/new")  # who sends sees what can be picked
    assert await clerk.status_of("/scenarios/-/new") == 403
    await boss.post("/scenarios/-/do/stop", {"id": place.rpartition("/")[2], "confirmed": "1"})
    assert "已停用" in await boss.get(place)
    assert await actions(site, "scenario.") == ["scenario.add", "scenario.set", "scenario.stop"]


async def test_what_a_scenario_has_is_what_is_sent(site: Site, clerk: Browser) -> None:
    id_ = await template(site)
    terms = Terms("登录验证", MessageType.OTP, "", id_, "7", 30, note="登录用")
    scenario = await service.add(acting(site), site.accounts["hall"], terms)
    page = html.unescape(await clerk.get(f"/send?scenario={scenario}"))
    shows(page, "登录用", f"#{id_} {TEXT}")
    made = fields(site, page, scenario=str(scenario), type="marketing", content="别的内容", template="")
    await clerk.post("/send", made)
    draft = draft_in(clerk.path)
    await clerk.post(f"/send/{draft}/audience", {"source": "typed", "to": "13800138000"})
    await looked_at(clerk, draft)
    shows(html.unescape(await clerk.get(f"/send/{draft}/options")), "由业务场景规定", "业务场景规定最长 30 分钟")
    await clerk.post(f"/send/{draft}/options", {"one_each": "number"})
    await clerk.post(f"/send/{draft}/time", {"when": "now"})
    assert "发送任务已建立" in await submitted(clerk, draft)
    task = await site.db.fetchrow("SELECT * FROM task")
    assert (task["type"], task["content"], task["template_id"], task["extend_code"]) == ("otp", TEXT, id_, "7")
    assert (task["expire_at"] - task["created_at"]).total_seconds() <= 31 * 60


async def test_a_chain_is_part_of_a_scenario_and_of_what_is_sent(site: Site, boss: Browser) -> None:
    form = {"account": str(site.accounts["hall"]), "name": "通知", "type": "notice", "hop2_content": "第二次",
            "hop2_when": "failed", "fallback_minutes": "90"}  # fmt: skip
    wrong = form | {"hop2_content": "{姓名}您好"}
    await boss.refused("/scenarios/-/new", wrong, "变量 姓名 没有取值", "hop2_content-problem")
    await boss.post("/scenarios/-/new", form)
    place = urlsplit(boss.path).path
    scenario = place.rpartition("/")[2]
    assert "第 1 跳（仅失败）：第二次" in html.unescape(await boss.get(place))
    assert "第二次" in await boss.get(place + "/edit")
    page = await boss.get(f"/send?scenario={scenario}")
    await boss.post("/send", fields(site, page, scenario=scenario))
    draft = draft_in(boss.path)
    await boss.post(f"/send/{draft}/audience", {"source": "typed", "to": "13800138000"})
    await looked_at(boss, draft)
    shows(html.unescape(await boss.get(f"/send/{draft}/options")), 'id="scene-hops"', "第 1 跳（仅失败）：第二次")
    await boss.post(f"/send/{draft}/options", {"one_each": "number"})
    await boss.post(f"/send/{draft}/time", {"when": "now"})
    assert "第 1 跳（仅失败）：第二次" in await looked_at(boss, draft, "confirm")
    assert "发送任务已建立" in await submitted(boss, draft)
    assert await site.db.fetchval("SELECT fallback ->> 'minutes' FROM task") == "90"


async def test_a_draft_whose_scenario_was_stopped_is_not_sent(site: Site, clerk: Browser) -> None:
    scenario = await service.add(acting(site), site.accounts["hall"], Terms("通知", MessageType.NOTICE))
    page = await clerk.get(f"/send?scenario={scenario}")
    await clerk.post("/send", fields(site, page, scenario=str(scenario)))
    draft = draft_in(clerk.path)
    await service.stop(acting(site), scenario)
    await clerk.refused(f"/send/{draft}/audience", {"source": "typed", "to": "13800138000"}, "已停用")
    assert "业务场景" in html.unescape(await clerk.get(f"/send/{draft}/content"))
    await clerk.refused(f"/send/{draft}/content", fields(site, page, scenario=str(scenario)), "请重新选择")
    await clerk.post(f"/send/{draft}/content", fields(site, page, scenario=""))
    assert clerk.path.endswith("/audience")


async def test_picking_one_fills_the_form_and_another_departments_is_none(site: Site, clerk: Browser) -> None:
    terms = Terms("通知", MessageType.MARKETING, "测试")
    own = await service.add(acting(site), site.accounts["hall"], terms)
    foreign = await service.add(acting(site), site.accounts["clinic"], Terms("诊所", MessageType.NOTICE))
    page = await clerk.get("/send")
    assert "诊所" not in page
    picked = await clerk.post("/send", fields(site, page, scenario=str(own)) | {"pick": "1"})
    shows(html.unescape(picked), 'name="type" value="marketing"', 'name="sign" value="测试"')
    assert await site.db.fetchval("SELECT count(*) FROM send_draft") == 0
    await clerk.refused("/send", fields(site, page, scenario=str(foreign)) | {"pick": "1"}, no="诊所")


async def test_a_draft_and_a_task_become_a_scenario_for_who_may_make_one(site: Site) -> None:
    assert await service.add(acting(site), site.accounts["clinic"], Terms("诊所", MessageType.NOTICE))
    async with all_signed_in(site, "boss", "clerk") as (boss, clerk):
        page = await boss.get("/send")
        await boss.post("/send", fields(site, page, subject="窗口提醒", sign="测试"))
        draft = draft_in(boss.path)
        await boss.post(f"/send/{draft}/audience", {"source": "typed", "to": "13800138000"})
        chain = {"fallback": "1", "hop1_content": "请来电", "hop1_when": "failed", "fallback_minutes": "90"}
        await boss.post(f"/send/{draft}/options", {"one_each": "number", "hours": "6", "extend_code": "7", **chain})
        at = (clock.now().astimezone(CHINA) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
        time = {"when": "at", "at": at, "windows1_from": "08:00", "windows1_to": "20:00", "windows1_days": "6"}
        await boss.post(f"/send/{draft}/time", time)
        assert f'href="/scenarios/-/new?draft={draft}"' in await looked_at(boss, draft, "confirm")

        told = [*(f'value="{of}"' for of in ("窗口提醒", "测试", "360", "7", "08:00", "20:00", "90")), "请来电",
                f'value="{site.accounts["hall"]}" selected', 'value="notice" selected']  # fmt: skip
        shows(html.unescape(await boss.get(f"/scenarios/-/new?draft={draft}")), *told)
        await submitted(boss, draft)
        task = await site.db.fetchval("SELECT id FROM task")
        assert f"/scenarios/-/new?task={task}" in await boss.get(f"/tasks/{task}")
        shows(html.unescape(await boss.get(f"/scenarios/-/new?task={task}")), *told)
        form = {
            "account": str(site.accounts["hall"]),
            "name": "窗口提醒",
            "type": "notice",
            "sign": "测试",
            "valid_minutes": "360",
            "extend_code": "7",
            "windows1_from": "08:00",
            "windows1_to": "20:00",
            "windows1_days": "6",
            "hop1_content": "请来电",
            "hop1_when": "failed",
            "fallback_minutes": "90",
        }
        await boss.post("/scenarios/-/new", form)
        row = await site.db.fetchrow("SELECT * FROM scenario WHERE name = '窗口提醒'")
        assert (row["windows"], row["valid_minutes"], row["sign"]) == ("sat 08:00-20:00", 360, "测试")
        assert json.loads(row["fallback"])["hops"][0]["content"] == "请来电"

        assert "/scenarios/-/new" not in await clerk.get(f"/tasks/{task}"), "for who may make scenarios"
        assert await clerk.status_of(f"/scenarios/-/new?task={task}") == 403
        await clerk.post("/send", fields(site, await clerk.get("/send"), subject="我的草稿"))
        own = draft_in(clerk.path)
        assert "我的草稿" not in await boss.get(f"/scenarios/-/new?draft={own}"), "a draft is its owner's"


async def test_spans_are_the_same_for_nodes_of_the_version_before(site: Site) -> None:
    hall, kept = site.accounts["hall"], "SELECT window_from, window_to FROM scenario WHERE id = $1"

    async def said(id_: int) -> str:
        return (await queries.one(site.db, id_, accounts=None)).terms.windows

    by_new = await service.add(acting(site), hall, Terms("新节点", MessageType.NOTICE, windows="08:30-20:00"))
    assert tuple(await site.db.fetchrow(kept, by_new)) == ("08:30", "20:00")
    by_old = await site.db.fetchval("INSERT INTO scenario (account_id, created_by, name, type, window_from, window_to)"
                                    " VALUES ($1, 'old', '旧节点', 'notice', '09:00', '18:00') RETURNING id",
                                    hall)  # fmt: skip
    assert await said(by_old) == "09:00-18:00"
    await site.db.execute("UPDATE scenario SET window_from = '10:00', window_to = '24:00' WHERE id = $1", by_new)
    assert await said(by_new) == "10:00-24:00", "an old node has changed it"
    several = "mon-fri 09:00-11:30 14:00-17:00"
    for id_, windows in ((by_old, several), (by_new, "")):
        await service.put(acting(site), id_, Terms(f"改过{id_}", MessageType.NOTICE, windows=windows))
        assert await said(id_) == windows
        assert tuple(await site.db.fetchrow(kept, id_)) == ("", "")


@pytest_asyncio.fixture
async def ids(site: Site) -> dict[str, str]:
    """Groups and contacts of hall, by their names."""
    await site.add_staff("other", "operator", "hall")
    hall, change = site.accounts["hall"], acting(site)
    made = {name: (await audience.add_audience(change, hall, name)).id for name in ("家长", "教师")}
    for n, (name, groups, tags) in enumerate((("甲", ["家长"], ["一年级"]), ("乙", ["家长", "教师"], []),
                                              ("丙", ["教师"], []), ("丁", [], ["一年级"]),
                                              ("戊", [], ["二年级"]), ("己", [], []))):  # fmt: skip
        draft = EntryDraft(
            hall, f"861380013800{n}", name, tuple(tags), {}, tuple(made[one] for one in groups), Sharing(Shared.ACCOUNT)
        )
        made[name] = await book.add(change, draft)
    draft = EntryDraft(hall, "8613800138009", "别人的", ("一年级",), {}, (), Sharing(Shared.OWN))
    made["别人的"] = await book.add(await acting_as(site, "other"), draft)
    return {name: str(id_) for name, id_ in made.items()}


async def to(site: Site) -> list[str]:
    """The numbers of the newest task."""
    return await column(site, "SELECT number FROM task_row WHERE task_id = $1 ORDER BY number", await imported(site))


async def test_each_person_gets_it_once(site: Site, clerk: Browser, ids: dict[str, str]) -> None:
    async def chosen(draft: int) -> list[tuple[str, str]]:
        page = html.unescape(await clerk.get(f"/send/{draft}/audience"))
        return sorted(re.findall(r'name="(groups|tags|contacts)" value="([^"]+)" checked', page))

    draft = await begun(site, clerk, content="{姓名}您好")
    form = [("source", "audience"), ("groups", ids["家长"]), ("groups", ids["教师"]),
            ("tags", "一年级"), ("contacts", ids["己"]), ("contacts", ids["甲"])]  # fmt: skip
    assert "共 5 位联系人" in html.unescape(await clerk.post(f"/send/{draft}/book", form)), "of others' own nothing"
    assert urlsplit(await clerk.led_to(f"/send/{draft}/audience", form)).path == f"/send/{draft}/clean"
    assert "共 5 行，有效 5 行" in await looked_at(clerk, draft)
    assert await chosen(draft) == sorted(form[1:])
    await submitted(clerk, draft)
    assert await to(site) == [f"861380013800{n}" for n in (0, 1, 2, 3, 5)]
    assert await column(site, "SELECT vals[1] FROM task_row ORDER BY number") == ["甲", "乙", "丙", "丁", "己"]
    await clerk.post(f"/tasks/{await imported(site)}/copy", {})
    assert await chosen(draft_in(clerk.path)) == sorted(form[1:]), "copied, it is the same people"


async def test_they_are_found_by_a_part_of_the_name(site: Site, clerk: Browser, ids: dict[str, str]) -> None:
    draft = await begun(site, clerk)

    async def found(part: str) -> list[tuple[str, str]]:
        piece = await clerk.post(f"/send/{draft}/book", {"source": "audience", "book_part": part})
        return re.findall(r'name="(groups|tags|contacts)" value="([^"]+)"', html.unescape(piece))

    groups = [("groups", ids["家长"]), ("groups", ids["教师"])]
    assert await found("") == [*groups, ("tags", "一年级"), ("tags", "二年级")]
    for part, *there in (("教", ("groups", ids["教师"])), ("二", ("tags", "二年级")), ("丙", ("contacts", ids["丙"])),
                         ("138 0013 8004", ("contacts", ids["戊"])), ("别人的",), ("%",)):  # fmt: skip
        assert await found(part) == there, part
    for nobody in ({}, {"contacts": ids["别人的"]}, {"groups": "999999"}):
        await clerk.refused(f"/send/{draft}/audience", {"source": "audience"} | nobody)


async def test_more_groups_than_are_listed_are_found(site: Site, clerk: Browser, ids: dict[str, str]) -> None:
    await site.db.execute("INSERT INTO audience (account_id, name) "
                          "SELECT $1, '班级' || lpad(n::text, 3, '0') FROM generate_series(1, 300) n",
                          site.accounts["hall"])  # fmt: skip
    draft = await begun(site, clerk)
    shows(html.unescape(await clerk.get(f"/send/{draft}/audience")), "还有更多未列出，请输入名称查找", no="班级300")
    assert "班级300" in html.unescape(await clerk.post(f"/send/{draft}/book", {"book_part": "级300"}))


async def test_a_message_to_contacts_begins_on_their_page(site: Site, clerk: Browser, ids: dict[str, str]) -> None:
    chosen = [("id", ids["甲"]), ("id", ids["丁"])]
    assert "将为 2 个联系人" in html.unescape(await clerk.post("/contacts/-/effect/send", chosen))
    page = await clerk.post("/contacts/-/do/send", chosen)
    draft = draft_in(clerk.path)
    assert urlsplit(clerk.path).path == f"/send/{draft}/content"
    await clerk.post(f"/send/{draft}/content", fields(site, page))
    assert "共 2 位联系人" in html.unescape(await clerk.get(f"/send/{draft}/audience"))
    assert urlsplit(await clerk.led_to(f"/drafts/{draft}")).path == f"/send/{draft}/audience"
    await clerk.post(f"/send/{draft}/audience", [("source", "audience"), *(("contacts", v) for _, v in chosen)])
    await submitted(clerk, draft)
    assert await to(site) == ["8613800138000", "8613800138003"]


async def planned(site: Site, browser: Browser, **time: str) -> int:
    """A task to one number that waits for its time."""
    draft = await begun(site, browser)
    await browser.post(f"/send/{draft}/audience", {"source": "typed", "to": "13800138000"})
    await browser.post(f"/send/{draft}/time", time)
    await looked_at(browser, draft)
    await submitted(browser, draft)
    return int(await site.db.fetchval("SELECT max(id) FROM task"))


class _Form(HTMLParser):
    """The fields of one text and the choices of the pages' form."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self._in = self._name = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._in = given.get("class", "")
        elif self._in != "kit-form" or given.get("type") == "checkbox":
            return
        elif tag in ("input", "textarea", "select"):
            self._name = given.get("name", "")
            self.values[self._name] = given.get("value", "")
        elif tag == "option" and "selected" in given:
            self.values[self._name] = given["value"]

    def handle_data(self, data: str) -> None:
        if self._in == "kit-form" and self.lasttag == "textarea":
            self.values[self._name] += data

    def handle_endtag(self, tag: str) -> None:
        self.lasttag = ""


def shown(page: str) -> dict[str, str]:
    """What stands in the form of a page, but for its boxes."""
    form = _Form()
    form.feed(page)
    assert form.values, page
    return {name: value for name, value in form.values.items() if name != "csrf"}


async def test_the_chain_of_a_task_is_edited_on_its_page(site: Site, boss: Browser) -> None:
    at = clock.now().astimezone(CHINA) + timedelta(days=2)
    task = await planned(site, boss, when="at", at=f"{at:%Y-%m-%dT%H:%M}")
    path = f"/scheduled/{task}/edit"

    kept = "SELECT fallback FROM task WHERE id = $1"
    form = shown(await boss.get(path))
    assert (form["subject"], form["hop1_when"], form["hop1_content"]) == ("预约提醒", "any", "")
    hop = {"hop2_content": "请查收通知", "hop2_when": "failed", "fallback_minutes": "120"}
    assert 'name="confirmed"' in html.unescape(await boss.post(path, form | hop))
    assert await site.db.fetchval(kept, task) is None, "only asked"
    await boss.post(path, form | hop | {"confirmed": "1"})
    chain = json.loads(await site.db.fetchval(kept, task))
    (one,) = chain["hops"]
    assert (one["content"], one["when"], chain["minutes"]) == ("请查收通知", "failed", 120)
    form = shown(await boss.get(path))
    assert (form["hop1_content"], form["hop1_when"], form["fallback_minutes"]) == ("请查收通知", "failed", "120")
    wrong = await boss.refused(path, form | {"hop1_content": "{姓名}请查收", "confirmed": "1"})
    field = re.search(r'id="field-hop1_content".*?</div>\s*</div>', wrong, re.S)
    assert "姓名" in re.sub(r"<textarea.*?</textarea>", "", field[0], flags=re.S), "told at the hop's text"
    version = await site.db.fetchval("SELECT version FROM task WHERE id = $1", task)
    await boss.post(path, form | {"confirmed": "1"})
    assert await site.db.fetchval("SELECT version FROM task WHERE id = $1", task) == version, "nothing has changed"
    await boss.post(path, form | {"hop1_content": "", "fallback_minutes": "", "confirmed": "1"})
    assert await site.db.fetchval(kept, task) is None


async def test_a_task_that_comes_round_is_edited_and_its_next_runs_are_told(site: Site, boss: Browser) -> None:
    task = await planned(site, boss, when="again", every="day", every_at="09:00")
    await site.db.execute(
        "INSERT INTO task_run (task_id, run, due_at, rows, started_at, missed, fed, finished_at, content, sign) "
        "VALUES ($1, 1, '2026-01-02 01:00Z', 1, now(), false, 1, now(), '上一版', '')",
        task,
    )
    await site.db.execute("UPDATE task SET run = 1 WHERE id = $1", task)
    path = f"/scheduled/round/{task}"  # a run keeps what it has said
    shows(html.unescape(await boss.get(f"/tasks/{task}")), "第 1 次 · 2026-01-02 09:00 · 1 个号码 · 内容：上一版", path)
    assert await boss.status_of(f"/scheduled/{task}/edit") == 404, "that is for what is sent once"
    form = shown(await boss.get(path))
    assert (form["every"], form["every_at"], form["comes_until"]) == ("day", "09:00", "")
    today = clock.now().astimezone(CHINA).date()
    first, until = today + timedelta(days=3), today + timedelta(days=12)  # never today: the hour does not count
    new = form | {
        "every": "week",
        "every_at": "10:00, 16:30",
        "on_week": f"{first.isoweekday()}",
        "comes_until": f"{until}",
        "content": "请按时到场",
        "windows1_from": "09:00",
        "windows1_to": "18:00",
        "windows1_days": f"{first.isoweekday()}",
    }
    asked = html.unescape(await boss.post(path, new))
    told = re.search(r"之后将在 (.*?) 发送（最多列出 5 次）", asked)
    times = [datetime.strptime(text, "%Y-%m-%d %H:%M") for text in told[1].split("、")]
    days = (first, first + timedelta(days=7))
    assert [(at.date(), f"{at:%H:%M}") for at in times] == [(day, at) for day in days for at in ("10:00", "16:30")]
    assert "已开始过的 1 次不受影响" in asked
    assert await site.db.fetchval("SELECT version FROM task WHERE id = $1", task) == 1, "only asked"
    await boss.post(path, new | {"confirmed": "1"})
    row = await site.db.fetchrow("SELECT * FROM task WHERE id = $1", task)
    again = json.loads(row["recurring"])
    assert (again["every"], again["at"], again["on"]) == ("week", ["10:00", "16:30"], [first.isoweekday()])
    assert row["content"] == "请按时到场"
    assert f"{row['next_at'].astimezone(CHINA):%Y-%m-%d %H:%M}" == f"{times[0]:%Y-%m-%d %H:%M}"
    assert json.loads(row["windows"]) == [{"from": "09:00", "to": "18:00", "days": [first.isoweekday()]}]
    for wrong, field in (({"every_at": "25:00"}, "every_at"), ({"every": "month"}, "on_month"),
                         ({"comes_until": "2020-01-01"}, "comes_until")):  # fmt: skip
        await boss.refused(path, new | {"version": "2", **wrong}, f'id="{field}-problem"')


async def test_what_the_page_has_no_room_for_is_kept(site: Site, boss: Browser) -> None:
    at = clock.now().astimezone(CHINA) + timedelta(days=2)
    task = await planned(site, boss, when="at", at=f"{at:%Y-%m-%dT%H:%M}")
    spans = [{"from": "09:00:30", "to": "18:00:15"}]
    form = shown(await boss.get(f"/scheduled/{task}/edit"))
    hop = {"hop1_content": "请查收通知", "fallback_minutes": "120"}
    await boss.post(f"/scheduled/{task}/edit", form | hop | {"confirmed": "1"})
    await site.db.execute(
        "UPDATE task SET windows = $2, fallback = jsonb_set(fallback #- '{hops,0,content}', '{hops,0,template_id}',"
        " '4711') WHERE id = $1", task, json.dumps(spans),
    )  # fmt: skip
    page = await boss.get(f"/scheduled/{task}/edit")
    assert '<option value="4711" selected' in page, "not among those that may be chosen today"
    values = shown(page)
    days = [("windows1_days", str(day)) for day in range(1, 8)]
    data = {**values, "subject": "新名称", "hop1_template": "", "fallback_minutes": "", "confirmed": "1"}
    assert await boss.status_of(f"/scheduled/{task}/edit", [*data.items(), *days]) == 200
    row = await site.db.fetchrow("SELECT name, windows FROM task WHERE id = $1", task)
    assert (row["name"], json.loads(row["windows"])) == ("新名称", spans)
