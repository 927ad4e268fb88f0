"""Tasks that have not begun, and those that come round, are edited on a page: what follows is told, and happens."""

from __future__ import annotations

import html
import json
import re
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from browsing import Browser
from portal_site import Site
from visits import signed_in
from wizard_steps import begun, looked_at, submitted

from smsgw.core.ids import CHINA
from smsgw.runtime import clock

pytestmark = pytest.mark.staff(boss="super")


async def planned(site: Site, browser: Browser, **time: str) -> int:
    """A task to one number that waits for its time."""
    draft = await begun(site, browser)
    await browser.post(f"/send/{draft}/audience", {"source": "typed", "to": "13800138000"})
    await browser.post(f"/send/{draft}/time", time)
    await looked_at(browser, draft)
    await submitted(browser, draft)
    task: int = await site.db.fetchval("SELECT max(id) FROM task")
    return task


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


async def test_the_chain_of_a_task_is_edited_on_its_page(site: Site) -> None:
    at = clock.now().astimezone(CHINA) + timedelta(days=2)
    async with signed_in(site, "boss") as boss:
        task = await planned(site, boss, when="at", at=f"{at:%Y-%m-%dT%H:%M}")
        path = f"/scheduled/{task}/edit"

        async def chain() -> dict[str, Any] | None:
            kept = await site.db.fetchval("SELECT fallback FROM task WHERE id = $1", task)
            return json.loads(kept) if kept else None

        form = shown(await boss.get(path))
        assert (form["subject"], form["hop1_when"], form["hop1_content"]) == ("预约提醒", "any", "")
        hop = {"hop2_content": "请查收通知", "hop2_when": "failed", "fallback_minutes": "120"}
        asked = html.unescape(await boss.post(path, form | hop))
        assert 'name="confirmed"' in asked
        assert await chain() is None, "only asked"
        await boss.post(path, form | hop | {"confirmed": "1"})
        kept = await chain()
        assert [(one["content"], one["when"]) for one in kept["hops"]] == [("请查收通知", "failed")]
        assert kept["minutes"] == 120
        form = shown(await boss.get(path))
        assert (form["hop1_content"], form["hop1_when"], form["fallback_minutes"]) == ("请查收通知", "failed", "120")
        wrong = html.unescape(await boss.post(path, form | {"hop1_content": "{姓名}请查收", "confirmed": "1"}))
        assert boss.status == 422
        field = re.search(r'id="field-hop1_content".*?</div>\s*</div>', wrong, re.S)
        assert "姓名" in re.sub(r"<textarea.*?</textarea>", "", field[0], flags=re.S), "told at the hop's text"
        version = await site.db.fetchval("SELECT version FROM task WHERE id = $1", task)
        await boss.post(path, form | {"confirmed": "1"})
        assert await site.db.fetchval("SELECT version FROM task WHERE id = $1", task) == version, "nothing has changed"
        await boss.post(path, form | {"hop1_content": "", "fallback_minutes": "", "confirmed": "1"})
        assert await chain() is None


async def test_a_task_that_comes_round_is_edited_and_its_next_runs_are_told(site: Site) -> None:
    async with signed_in(site, "boss") as boss:
        task = await planned(site, boss, when="again", every="day", every_at="09:00")
        await site.db.execute(
            "INSERT INTO task_run (task_id, run, due_at, rows, started_at, missed, fed, finished_at, content, sign) "
            "VALUES ($1, 1, '2026-01-02 01:00Z', 1, now(), false, 1, now(), '上一版', '')", task,
        )  # fmt: skip
        await site.db.execute("UPDATE task SET run = 1 WHERE id = $1", task)
        page = html.unescape(await boss.get(f"/tasks/{task}"))
        assert "第 1 次 · 2026-01-02 09:00 · 1 个号码 · 内容：上一版" in page, "a run keeps what it has said"
        path = f"/scheduled/round/{task}"
        assert path in page
        assert await boss.status_of(f"/scheduled/{task}/edit") == 404, "that is for what is sent once"
        form = shown(await boss.get(path))
        assert (form["every"], form["every_at"], form["comes_until"]) == ("day", "09:00", "")
        until = clock.now().astimezone(CHINA).date() + timedelta(days=20)
        new = form | {"every": "week", "every_at": "10:00, 16:30", "on_week": "1", "comes_until": f"{until}",
                      "content": "请按时到场", "windows1_from": "09:00", "windows1_to": "18:00", "windows1_days": "1"}
        asked = html.unescape(await boss.post(path, new))
        told = re.search(r"之后将在 (.*?) 发送（最多列出 5 次）", asked)
        times = [datetime.strptime(text, "%Y-%m-%d %H:%M") for text in told[1].split("、")]
        assert len(times) == 5
        assert {(at.weekday(), f"{at:%H:%M}") for at in times} == {(0, "10:00"), (0, "16:30")}
        assert all(at.date() <= until for at in times)
        assert "已开始过的 1 次不受影响" in asked
        assert await site.db.fetchval("SELECT version FROM task WHERE id = $1", task) == 1, "only asked"
        await boss.post(path, new | {"confirmed": "1"})
        row = await site.db.fetchrow("SELECT * FROM task WHERE id = $1", task)
        kept = json.loads(row["recurring"])
        assert (kept["every"], kept["at"], kept["on"]) == ("week", ["10:00", "16:30"], [1])
        assert row["content"] == "请按时到场"
        assert f"{row['next_at'].astimezone(CHINA):%Y-%m-%d %H:%M}" == f"{times[0]:%Y-%m-%d %H:%M}"
        assert json.loads(row["windows"]) == [{"from": "09:00", "to": "18:00", "days": [1]}]
        for wrong, field in (({"every_at": "25:00"}, "every_at"), ({"every": "month"}, "on_month"),
                             ({"comes_until": "2020-01-01"}, "comes_until")):  # fmt: skip
            page = await boss.post(path, new | {"version": "2", **wrong})
            assert boss.status == 422, wrong
            assert f'id="{field}-problem"' in page, wrong


async def test_what_the_page_has_no_room_for_is_kept(site: Site) -> None:
    at = clock.now().astimezone(CHINA) + timedelta(days=2)
    async with signed_in(site, "boss") as boss:
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
