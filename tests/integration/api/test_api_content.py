"""Scenarios, drafts, phrases, consents and number filters through the API: what is stored, sent and told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from api_server import Answer, Api, running
from changes import by_test

from smsgw.core.ids import CHINA
from smsgw.core.model import MessageType
from smsgw.core.permissions import SCOPES
from smsgw.core.templates import Review
from smsgw.platform.content import service as registry
from smsgw.platform.content.model import TEMPLATE
from smsgw.platform.drafts import queries as drafts
from smsgw.platform.fallback.service import Fallback
from smsgw.platform.jobs.runner import JobRunner
from smsgw.platform.lists.consent_import import ConsentImporter
from smsgw.platform.numbers.filters import settle
from smsgw.platform.org import queries as people, service as org
from smsgw.platform.paging import Window
from smsgw.platform.phrases import PHRASES
from smsgw.platform.sheets.service import Sheets
from smsgw.runtime import clock

A, B, C = "13800138000", "13900139000", "13700137000"
GIVEN = {"source": "web", "proof": "archive 7", "given_at": "2026-01-01T09:00:00+08:00", "wording": "v1"}
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 64


pytestmark = pytest.mark.api(scopes=SCOPES)


async def template(api: Api, text: str, kind: str = "notice") -> str:
    made = await api.post("/templates", {"name": text[:20], "content": text, "type": kind})
    id_ = int(made.data["template_id"])
    await registry.review(by_test(api.ctx.db, api.ctx.ids), TEMPLATE, id_, Review.APPROVED)
    await api.ctx.snapshots.follow()
    return str(id_)


async def upload(api: Api, path: str, name: str, octets: bytes) -> Answer:
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    return await api.post(path, head + octets + b"\r\n--b--\r\n", Content_Type="multipart/form-data; boundary=b")


async def message(api: Api, answer: Answer) -> Any:
    assert answer.status == 202, answer.body
    row = await api.ctx.db.fetchrow(
        "SELECT m.type, m.content, m.extend_code, p.next_at, p.expires_at, p.accepted_at "
        "FROM message m JOIN part p ON p.id = m.id WHERE m.id = $1",
        int(answer.data["items"][0]["message_id"]),
    )
    assert row
    return row


async def test_a_scenario_is_made_changed_stopped_and_taken_into_use_again(api: Api) -> None:
    made = await api.post("/scenarios", {"name": "预约提醒", "type": "notice", "sign": "测试", "valid_minutes": 30})
    assert (made.status, made.data["state"], made.data["valid_minutes"]) == (201, "active", 30)
    at = f"/scenarios/{made.data['scenario_id']}"
    twice = await api.post("/scenarios", {"name": "预约提醒"})
    assert (twice.status, twice.data["field"]) == (400, "name")
    changed = await api.call("PUT", at, {"name": "预约提醒", "window_from": "08:00", "window_to": "20:00"})
    assert (changed.data["window_from"], changed.data["valid_minutes"]) == ("08:00", None)
    assert changed.data["window"] == [{"from": "08:00", "to": "20:00"}]
    office = [{"from": "09:00", "to": "11:30", "days": [1, 2, 3, 4, 5]}, {"from": "14:00", "to": "17:00"}]
    several = await api.call("PUT", at, {"name": "预约提醒", "window": office})
    assert (several.data["window_from"], several.data["window"]) == ("", office)
    both = await api.call("PUT", at, {"name": "x", "window": office, "window_from": "08:00", "window_to": "09:00"})
    assert (both.status, both.data["field"]) == (400, "window_from")
    assert (await api.call("PUT", at, {"name": "x", "window_from": "08:00"})).data["field"] == "window_to"
    assert (await api.call("PUT", at, {"name": "x", "window_from": "8:0", "window_to": "9"})).code == "PARAM_INVALID"
    assert (await api.post(f"{at}/stop")).data["state"] == "stopped"
    assert (await api.post(f"{at}/stop")).code == "STATE_CONFLICT"
    assert (await api.get("/scenarios?state=active")).data["items"] == []
    assert (await api.post(f"{at}/start")).data["state"] == "active"
    (one,) = (await api.get("/scenarios")).data["items"]
    assert one == (await api.get(at)).data
    actions = [r["action"] for r in await api.ctx.db.fetch("SELECT action FROM audit WHERE object = $1 ORDER BY id",
                                                           f"scenario/{one['scenario_id']}")]  # fmt: skip
    assert actions == ["scenario.add", "scenario.set", "scenario.set", "scenario.stop", "scenario.start"]


@pytest_asyncio.fixture
async def ruled(dsn: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with running(dsn, tmp_path, now=clock.now) as made:
        made.key = await made.add_key(scopes=SCOPES)
        yield made


async def test_what_a_scenario_fixes_is_sent_and_nothing_else(ruled: Api) -> None:
    api = ruled
    id_ = await template(api, "验证码{code}", "otp")
    body = {"name": "登录", "type": "otp", "template_id": id_, "extend_code": "7", "valid_minutes": 5}
    scenario = (await api.post("/scenarios", body)).data["scenario_id"]
    sent = {"to": [A], "scenario_id": scenario, "params": {"code": "1234"}}
    row = await message(api, await api.post("/messages", sent))
    assert (row["type"], row["content"], row["extend_code"]) == (MessageType.OTP, "【测试】验证码1234", "7")
    assert row["expires_at"] - row["accepted_at"] <= timedelta(minutes=5)
    for field, value in (("type", "notice"), ("content", "x"), ("template_id", "1"), ("extend_code", "8")):
        refused = await api.post("/messages", sent | {field: value})
        assert (refused.status, refused.data["field"]) == (400, field), refused.body
    batch = {"scenario_id": scenario, "items": [{"to": B, "params": {"code": "5"}}]}
    assert (await message(api, await api.post("/messages/batch", batch)))["content"] == "【测试】验证码5"
    batch["items"].append({"to": C, "content": "x"})  # type: ignore[attr-defined]
    assert (await api.post("/messages/batch", batch)).data["field"] == "items[1].content"
    assert (await api.post("/messages/explain", sent)).status == 200
    # A task says the same in other words.
    for field, value in (("type", "notice"), ("content", "x"), ("template_id", "1"), ("extend_code", "8")):
        task = {"name": "n", "to": [A], "scenario_id": scenario, "params": {"code": "1"}, field: value}
        refused = await api.post("/tasks", task)
        assert (refused.status, refused.data["field"]) == (400, field), refused.body
    # What is empty is left out; an id is a number; no time is reckoned with that is none.
    for field, value in (("content", ""), ("template_id", f"0{id_}"), ("sign", "")):
        answer = await api.post("/messages/explain", sent | {field: value})
        assert answer.status == 200, answer.body
    assert (await api.post("/messages", sent | {"send_at": "9999-12-31T23:59:59Z"})).code == "TIME_INVALID"


async def test_the_chain_of_a_scenario_follows_what_was_sent_with_it(ruled: Api) -> None:
    api = ruled
    id_ = await template(api, "您的编号{code}", "notice")
    chain = {"hops": [{"content": "编号{code}，请来电", "when": "any"}], "minutes": 60}
    wrong = await api.post("/scenarios", {"name": "x", "fallback": chain})
    assert (wrong.code, wrong.data["field"]) == ("PARAM_INVALID", "fallback.hops[0].content")
    late = {"hops": [{"content": "请来电", "when": "expired"}], "minutes": 60}
    assert (await api.post("/scenarios", {"name": "x", "fallback": late})).data["field"] == "fallback.minutes"
    made = await api.post("/scenarios", {"name": "编号", "template_id": id_, "fallback": chain})
    assert made.data["fallback"]["hops"][0]["content"] == "编号{code}，请来电"
    sent = {"to": [A, B], "scenario_id": made.data["scenario_id"], "params": {"code": "12"}}
    first = (await api.post("/messages", sent)).data["items"]
    ids = [int(item["message_id"]) for item in first]
    # What was promised stays, though the scenario has no chain any more.
    await api.call("PUT", f"/scenarios/{made.data['scenario_id']}", {"name": "编号", "template_id": id_})
    await api.ctx.db.execute(
        "UPDATE part SET state = 41, code = 'MK:0001', class = 'EMPTY_NUMBER', final_at = now() WHERE id = $1", ids[0]
    )
    later = clock.now() + timedelta(minutes=2)
    await Fallback(api.ctx.db, api.ctx.acceptor, api.ctx.snapshots, now=lambda: later).step()
    trace = (await api.get(f"/messages/{ids[0]}/trace")).data
    assert (trace["hop"], trace["previous_id"]) == (0, None)
    hop = (await api.get(f"/messages/{trace['next_id']}/trace")).data
    assert (hop["hop"], hop["previous_id"], hop["next_id"]) == (1, str(ids[0]), None)
    assert hop["message"]["content"] == "【测试】编号12，请来电"
    assert (await api.get(f"/messages/{ids[1]}/trace")).data["next_id"] is None


async def test_outside_its_hours_a_scenarios_message_waits(api: Api) -> None:
    now = datetime.now(CHINA)
    opens = (now + timedelta(hours=3)).replace(minute=0, second=0, microsecond=0)
    hours = {"window_from": f"{opens:%H:%M}", "window_to": f"{opens + timedelta(hours=1):%H:%M}"}
    if hours["window_to"] == "00:00":
        hours["window_to"] = "24:00"
    scenario = (await api.post("/scenarios", {"name": "夜间", "valid_minutes": 60} | hours)).data["scenario_id"]
    answer = await api.post("/messages", {"to": [A], "content": "您好", "scenario_id": scenario})
    assert answer.data["items"][0]["status"] == "scheduled"
    row = await message(api, answer)
    assert row["next_at"] == opens
    assert row["expires_at"] == opens + timedelta(hours=1)


async def test_a_repeat_is_answered_though_the_scenario_was_stopped_meanwhile(api: Api) -> None:
    scenario = (await api.post("/scenarios", {"name": "提醒"})).data["scenario_id"]
    body = {"to": [A], "content": "您好", "scenario_id": scenario}
    first = await api.post("/messages", body, Idempotency_Key="k1")
    task = {"name": "n", "to": [B], "content": "您好", "scenario_id": scenario}
    made = await api.post("/tasks", task, Idempotency_Key="k2")
    assert made.status == 201, made.body
    await api.post(f"/scenarios/{scenario}/stop")
    again = await api.post("/messages", body, Idempotency_Key="k1")
    assert (again.status, again.data) == (202, first.data)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await api.post("/tasks", task, Idempotency_Key="k2")).data["task_id"] == made.data["task_id"]
    refused = await api.post("/messages", body, Idempotency_Key="k3")
    assert (refused.status, refused.data["field"]) == (400, "scenario_id")
    assert "已停用" in refused.body["message"]


async def test_a_task_is_as_its_scenario_has_it(api: Api) -> None:
    hours = {"window_from": "09:00", "window_to": "18:00"}
    body = {"name": "活动", "type": "marketing", "sign": "测试", "extend_code": "3"} | hours
    scenario = (await api.post("/scenarios", body)).data["scenario_id"]
    task = {"name": "n", "to": [A], "content": "您好，拒收请回复R", "scenario_id": scenario}
    made = await api.post("/tasks", task)
    assert made.status == 201, made.body
    assert (made.data["type"], made.data["sign"]) == ("marketing", "测试")
    assert made.data["window"] == [{"from": "09:00", "to": "18:00"}]
    refused = await api.post("/tasks", task | {"window": [{"from": "00:00", "to": "24:00"}]})
    assert (refused.status, refused.data["field"]) == (400, "window")


async def test_a_draft_is_kept_replaced_and_becomes_a_task(api: Api) -> None:
    made = await api.post("/drafts", {"name": "提醒", "to": [A, "138"]})
    assert (made.status, made.data["recipients"], made.data["to"]) == (201, "to", [A, "138"])
    at = f"/drafts/{made.data['draft_id']}"
    unfinished = await api.post(f"{at}/submit")
    assert unfinished.code == "CONTENT_EMPTY", unfinished.body
    soon = (datetime.now(CHINA) + timedelta(days=1)).replace(second=0, microsecond=0)
    changed = {"name": "提醒二", "content": "您好", "to": [A, B, A], "rate": 5, "send_at": soon.isoformat()}
    put = await api.call("PUT", at, changed)
    assert (put.data["name"], put.data["rate"], put.data["send_at"]) == ("提醒二", 5, soon.isoformat())
    assert [d["name"] for d in (await api.get("/drafts")).data["items"]] == ["提醒二"]
    task = await api.post(f"{at}/submit", Idempotency_Key="once")
    assert task.status == 201, task.body
    assert (task.data["name"], task.data["valid"], task.data["state"]) == ("提醒二", 2, "scheduled")
    assert (await api.post(f"{at}/submit", Idempotency_Key="once")).data["task_id"] == task.data["task_id"]
    assert (await api.get(at)).code == "NOT_FOUND"
    origin = await api.ctx.db.fetchval("SELECT origin FROM task WHERE id = $1", int(task.data["task_id"]))
    assert origin == "api"


async def test_a_draft_knows_its_hours_and_what_follows_a_failure(api: Api) -> None:
    hours = [{"from": "00:00", "to": "12:00", "days": [1, 2, 3]}, {"from": "00:00", "to": "24:00"}]
    chain = {"hops": [{"content": "请查收", "when": "failed"}, {"content": "请来电"}], "minutes": 600}
    body = {"name": "提醒", "content": "您好", "to": [A], "window": hours, "fallback": chain}
    made = await api.post("/drafts", body)
    assert made.status == 201, made.body
    assert (made.data["window"], made.data["window_from"]) == (hours, "")
    told = [(hop["content"], hop["when"]) for hop in made.data["fallback"]["hops"]]
    assert (told, made.data["fallback"]["minutes"]) == ([("请查收", "failed"), ("请来电", "any")], 600)
    at = f"/drafts/{made.data['draft_id']}"
    assert (await api.get(at)).data["fallback"] == made.data["fallback"]
    wrong = await api.call("PUT", at, body | {"fallback": {"hops": [{"content": ""}]}})
    assert (wrong.status, wrong.code) == (400, "PARAM_INVALID")
    assert (await api.call("PUT", at, {"name": "无"})).data["fallback"] is None
    await api.call("PUT", at, body)
    task = await api.post(f"{at}/submit")
    assert task.status == 201, task.body
    assert (task.data["window"], task.data["fallback"]) == (hours, made.data["fallback"])


async def test_a_draft_asks_for_one_source_and_is_removed(api: Api) -> None:
    refused = await api.post("/drafts", {"to": [A], "audience_id": "1"})
    assert (refused.status, refused.data["field"]) == (400, "audience_id")
    at = f"/drafts/{(await api.post('/drafts', {})).data['draft_id']}"
    assert (await api.get(at)).data["recipients"] is None
    assert (await api.call("DELETE", at)).data == {"removed": 1}
    assert (await api.call("DELETE", at)).code == "NOT_FOUND"


async def test_a_draft_in_a_scenario_is_sent_by_what_it_says_then(api: Api) -> None:
    scenario = (await api.post("/scenarios", {"name": "提醒", "sign": "测试"})).data["scenario_id"]
    draft = (await api.post("/drafts", {"scenario_id": scenario, "content": "您好", "to": [A]})).data["draft_id"]
    await api.call("PUT", f"/scenarios/{scenario}", {"name": "提醒", "type": "otp"})
    task = await api.post(f"/drafts/{draft}/submit")
    assert (task.status, task.data["type"]) == (201, "otp"), task.body
    draft = (await api.post("/drafts", {"scenario_id": scenario, "content": "您好", "to": [A]})).data["draft_id"]
    await api.post(f"/scenarios/{scenario}/stop")
    assert (await api.post(f"/drafts/{draft}/submit")).data["field"] == "scenario_id"


async def test_people_see_nothing_of_the_accounts_drafts(api: Api) -> None:
    draft = (await api.post("/drafts", {"name": "机器的"})).data["draft_id"]
    await org.add_person(by_test(api.ctx.db), "boss", "", ["super"], "x", must_change=False)
    boss = await people.person(api.ctx.db, "boss")
    assert boss
    assert await drafts.one(api.ctx.db, boss.actor(), int(draft)) is None


async def test_phrases_of_a_program_are_the_accounts(api: Api) -> None:
    made = await api.post("/phrases", {"title": "证件", "content": "请携带身份证"})
    assert (made.status, made.data["owner"]) == (201, "")
    at = f"/phrases/{made.data['phrase_id']}"
    assert (await api.call("PUT", at, {"title": "证件", "content": "请携带原件"})).data["content"] == "请携带原件"
    await org.add_person(by_test(api.ctx.db), "boss", "", ["super"], "x", must_change=False)
    boss = await people.person(api.ctx.db, "boss")
    assert boss
    found = await PHRASES.search(api.ctx.db, boss.actor(), None, Window())
    assert [(one.title, one.scope) for one in found.rows] == [("证件", "account")]
    assert [p["title"] for p in (await api.get("/phrases")).data["items"]] == ["证件"]
    assert (await api.call("DELETE", at)).data == {"removed": 1}
    assert (await api.get(at)).code == "NOT_FOUND"


async def imported(api: Api) -> None:
    sheets = Sheets(api.ctx.db, api.ctx.tasks.files.store)
    runner = JobRunner(api.ctx.db, 1, [ConsentImporter(api.ctx.db, sheets).kind()])
    while await runner.claim():
        await runner.settled()


async def test_consents_are_entered_found_and_withdrawn(api: Api) -> None:
    made = await api.post("/consents", {**GIVEN, "numbers": [A, B, "12"]})
    assert (made.data["entered"], made.data["kept_withdrawn"]) == (2, 0)
    assert [r["code"] for r in made.data["rejected"]] == ["NUMBER_INVALID"]
    (one,) = (await api.get(f"/consents?number={A}")).data["items"]
    assert (one["state"], one["proof"], one["wording"], one["has_file"]) == ("given", "archive 7", "v1", False)
    gone = await api.post(f"/consents/{one['consent_id']}/withdraw", {"reason": "本人来电"})
    assert (gone.data["state"], gone.data["withdrawal"]) == ("withdrawn", "本人来电")
    assert (await api.post(f"/consents/{one['consent_id']}/withdraw", {"reason": "再次"})).code == "STATE_CONFLICT"
    again = await api.post("/consents", {**GIVEN, "numbers": [A]})
    assert (again.data["entered"], again.data["kept_withdrawn"]) == (0, 1), "who has withdrawn later has not agreed"
    future = await api.post("/consents", {**GIVEN, "numbers": [A], "given_at": "2080-01-01T00:00:00+08:00"})
    assert future.data["field"] == "given_at"


async def test_a_proof_is_brought_once_for_what_was_entered_together(api: Api) -> None:
    await api.post("/consents", {**GIVEN, "numbers": [A, B]})
    one = (await api.get(f"/consents?number={A}")).data["items"][0]
    at = f"/consents/{one['consent_id']}/proof"
    assert (await api.get(at)).code == "NOT_FOUND"
    assert (await upload(api, at, "page.html", b"<html>")).code == "FILE_INVALID"
    brought = await upload(api, at, "同意书.png", PNG)
    assert (brought.status, brought.data) == (200, {"entries": 2}), brought.body
    assert (await upload(api, at, "other.png", PNG)).code == "STATE_CONFLICT", "a proof is never exchanged"
    assert all(c["has_file"] for c in (await api.get("/consents")).data["items"])
    file = await api.get(at)
    assert (file.status, file.raw, file.headers["Content-Type"]) == (200, PNG, "image/png")
    assert "attachment" in file.headers["Content-Disposition"]
    assert await api.ctx.db.fetchval("SELECT count(*) FROM audit WHERE action = 'consent.proof_read'") == 1
    store = api.ctx.tasks.files.store
    await api.ctx.db.execute("UPDATE file SET expires_at = now() - interval '1 day'")
    await Sheets(api.ctx.db, store).sweep()
    assert (await api.get(at)).status == 200, "what the ledger means is kept"


async def test_a_file_of_consents_is_brought_in_row_by_row(api: Api) -> None:
    await api.post("/consents", {**GIVEN, "numbers": [B]})
    withdrawn = (await api.get(f"/consents?number={B}")).data["items"][0]["consent_id"]
    await api.post("/consents", {**GIVEN, "numbers": [C]})
    await api.post(f"/consents/{withdrawn}/withdraw", {"reason": "来电"})
    table = f"手机号,日期,方式\n{A},2026-02-01,网页勾选\n{A},2026-02-02,网页勾选\n{B},2026-02-01,web\n" \
            f"{C},2026/3/1 09:30,\n12,2026-02-01,\n13600136000,soon,\n"  # fmt: skip
    file = (await upload(api, "/files", "名单.csv", table.encode())).data["file_id"]
    asked = {"file_id": file, "mapping": {"number": "手机号", "given_at": "日期", "source": "C"}}
    missing = await api.post("/consents/import", asked | {"mapping": {"number": "手机号"}})
    assert (missing.code, missing.data["field"]) == ("PARAM_MISSING", "given_at")
    missing = await api.post("/consents/import", asked | {"mapping": {"number": "没有"}})
    assert missing.data["field"] == "mapping.number"
    begun = await api.post("/consents/import", asked | {"proof": "archive 9", "source": "paper"})
    assert (begun.status, begun.data["state"]) == (201, "waiting"), begun.body
    await imported(api)
    done = (await api.get(f"/consents/imports/{begun.data['import_id']}")).data
    counts = {name: done[name] for name in ("state", "total", "created", "updated", "skipped", "wrong")}
    assert counts == {"state": "done", "total": 6, "created": 1, "updated": 1, "skipped": 2, "wrong": 2}, done
    assert {row["line"]: row["number"] for row in done["rows"]} == {3: A, 4: B, 6: "12", 7: "13600136000"}
    (one,) = (await api.get(f"/consents?number={A}&state=given")).data["items"]
    assert (one["source"], one["proof"], one["given_at"][:10]) == ("web", "archive 9", "2026-02-01")
    (one,) = (await api.get(f"/consents?number={C}&state=given")).data["items"]
    assert (one["source"], one["given_at"][:16]) == ("paper", "2026-03-01T09:30")


async def test_an_import_ends_with_the_right_of_its_key(api: Api) -> None:
    file = (await upload(api, "/files", "x.csv", f"手机号\n{A}\n".encode())).data["file_id"]
    asked = {**GIVEN, "file_id": file, "mapping": {"number": "手机号"}}
    begun = (await api.post("/consents/import", asked)).data["import_id"]
    await api.ctx.db.execute("UPDATE api_key SET status = 'stopped' WHERE key_id = $1", api.key.key_id)
    await imported(api)
    ended = await api.ctx.db.fetchval("SELECT state || error FROM job WHERE id = $1", int(begun))
    assert ended == "failedPERMISSION_DENIED"
    assert await api.ctx.db.fetchval("SELECT count(*) FROM consent") == 0


async def test_numbers_are_looked_at_as_a_job(api: Api) -> None:
    made = await api.post("/numbers/filters", {"name": "名单", "numbers": [A, A, B, "12"]})
    assert (made.status, made.data["total"], made.data["duplicates"], made.data["invalid"]) == (201, 2, 1, 1)
    assert (await api.post("/numbers/filters", {"name": "x", "numbers": ["12"]})).code == "NUMBER_INVALID"
    assert (await api.post("/numbers/filters", {"name": "x", "numbers": []})).code == "TO_EMPTY"
    id_ = made.data["filter_id"]
    await settle(api.ctx.db, int(id_), 90)
    found = (await api.get(f"/numbers/filters/{id_}")).data
    assert (found["counts"], found["askable"], found["cost"]) == ({"unknown": 2}, 2, "0.000")
    first = (await api.get(f"/numbers/filters/{id_}/numbers?limit=1")).data
    second = (await api.get(f"/numbers/filters/{id_}/numbers?limit=1&cursor={first['next_cursor']}")).data
    assert [n["number"] for n in first["items"] + second["items"]] == ["86" + A, "86" + B]
    assert second["next_cursor"] is None
    assert (await api.post(f"/numbers/filters/{id_}/ask", {"most": 1})).code == "STATE_CONFLICT", "there is no provider"
    assert (await api.call("DELETE", f"/numbers/filters/{id_}")).data == {"removed": 1}
