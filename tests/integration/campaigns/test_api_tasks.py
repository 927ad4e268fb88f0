"""Tasks in steps, how often, by preferred channels, in an emergency: through the API and at the command line;
contacts, audiences and the account's own block list."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import web
from api_server import DEFAULT_SCOPES, Api
from changes import by_test
from click.testing import CliRunner, Result
from taskdesk import Desk

from smsgw.cli import main
from smsgw.core.blocklist import OPT_OUT, Scope
from smsgw.core.permissions import SCOPES
from smsgw.node import control
from smsgw.platform.accounts import service as accounts
from smsgw.platform.lists import queries as list_queries, service as list_changes
from smsgw.runtime import clock
from smsgw.store.engine.states import by_name

pytestmark = pytest.mark.api(scopes=SCOPES)
STEPS = {"shares": [10, 50], "minutes": 45, "failed": 4, "opted_out": 1, "complained": 0.2}
BODY = {"name": "会员日", "content": "您好", "type": "notice", "to": [f"138{n:08d}" for n in range(20)]}


async def test_how_it_is_sent_is_said_when_it_is_made_and_changed_until_it_begins(api: Api) -> None:
    often = {"most": 1, "every": 7, "unit": "day", "tag": "会员"}
    at = (clock.now() + timedelta(hours=3)).isoformat()
    made = await api.post("/tasks", {**BODY, "steps": STEPS, "frequency": often, "send_at": at})
    assert made.status == 201, made.raw
    task = made.data
    assert (task["steps"], task["stage"], task["frequency"], task["version"]) == (STEPS, None, often, 1)
    path = f"/tasks/{task['task_id']}"
    changed = await api.call("PATCH", path, {"content": "会员日您好", "steps": None, "version": 1})
    assert (changed.data["content"], changed.data["steps"], changed.data["version"]) == ("会员日您好", None, 2)
    stale = await api.call("PATCH", path, {"content": "又一个", "version": 1})
    assert (stale.status, stale.code) == (409, "STATE_CONFLICT")
    assert (await api.get(path)).data["content"] == "会员日您好"
    assert (await api.call("PATCH", path, {"content": "{姓名}"})).code == "CONTENT_VARIABLE_UNRESOLVED"
    assert (await api.post(f"{path}/release")).code == "STATE_CONFLICT", "it does not send in steps"
    for wrong, field in (
        ({"steps": {**STEPS, "shares": [50, 10]}}, "steps.shares"), ({"steps": {"shares": []}}, "steps.shares"),
        ({"frequency": {"most": 1, "every": 31, "unit": "day"}}, "frequency.every"), ({"prefer": "x"}, "prefer"),
    ):  # fmt: skip
        answer = await api.post("/tasks", BODY | wrong)
        assert (answer.status, answer.code) == (400, "PARAM_INVALID"), wrong
        assert field in str(answer.body), (wrong, answer.body)


HOP = {"kind": "sms", "when": "failed", "content": "再次通知", "template_id": None, "sign": "", "prefer": ""}


async def test_a_chain_is_said_when_it_is_made_and_changed_until_it_begins(api: Api) -> None:
    at = (clock.now() + timedelta(hours=3)).isoformat()
    asked = {"hops": [{"content": "再次通知", "when": "failed"}], "minutes": 90}
    made = await api.post("/tasks", {**BODY, "fallback": asked, "send_at": at})
    assert made.status == 201, made.raw
    assert made.data["fallback"] == {"hops": [HOP], "minutes": 90}
    path = f"/tasks/{made.data['task_id']}"
    changed = await api.call("PATCH", path, {"fallback": {"hops": [{"content": "另一个"}]}})
    assert changed.data["fallback"] == {"hops": [HOP | {"content": "另一个", "when": "any"}], "minutes": 1440}
    assert (await api.call("PATCH", path, {"fallback": None})).data["fallback"] is None
    wrong = await api.post("/tasks", {**BODY, "fallback": {"hops": [{"content": "{姓名}"}]}})
    assert (wrong.code, wrong.data["field"]) == ("PARAM_INVALID", "fallback.hops[0].content")
    wrong = await api.post("/tasks", {**BODY, "fallback": {"hops": [{"template_id": "77"}]}})
    assert wrong.code == "TEMPLATE_NOT_FOUND"


@pytest.mark.api(scopes=DEFAULT_SCOPES)
async def test_an_emergency_takes_the_scope_of_the_key_and_the_right_of_the_account(api: Api) -> None:
    body = BODY | {"emergency": True}
    assert (await api.post("/tasks", body)).code == "SCOPE_DENIED"
    api.key = await api.add_key(scopes=SCOPES)
    assert (await api.post("/tasks", body)).code == "EMERGENCY_DENIED"
    await accounts.edit(by_test(api.ctx.db), api.account_id, {"emergency": "true"})
    await api.ctx.snapshots.follow()
    made = await api.post("/tasks", body)
    assert (made.data["state"], made.data["emergency"]) == ("review", True)
    assert (await api.post("/tasks", body | {"type": "marketing"})).code == "PARAM_INVALID"


async def test_the_command_line_sends_in_steps(d: Desk, dsn: str, tmp_path: Path) -> None:
    node = SimpleNamespace(database=d.database, snapshots=d.snapshots, tasks=d.tasks, ids=d.ids, reviewing=d.reviewing)
    runner = web.AppRunner(control.application(node))  # type: ignore[arg-type]
    await runner.setup()
    await web.UnixSite(runner, tmp_path / "control.sock").start()
    settings = {"SMSGW_DATABASE_DSN": dsn, "SMSGW_NODE_DATA_DIR": str(tmp_path)}

    async def ctl(*args: str) -> Result:
        return await asyncio.to_thread(CliRunner(env=settings).invoke, main, args)

    to = [word for n in range(20) for word in ("--to", f"138{n:08d}")]
    asked = ("--account", "acme", "--name", "会员日", "--text", "您好", *to)
    try:
        result = await ctl("task", "add", *asked, "--steps", "10,50", "--frequency", "2/12h:club", "--json")
        assert result.exit_code == 0, result.output
        made = json.loads(result.output)
        assert made["steps"] == {"shares": [10, 50], "minutes": 30, "failed": 5, "opted_out": 1, "complained": 0.1}
        assert made["frequency"] == {"most": 2, "every": 12, "unit": "hour", "tag": "club"}
        await d.feed(6)
        assert await d.database.fetchval("SELECT count(*) FROM message") == 2
        shown = await ctl("task", "show", made["task"])
        assert "steps    10 %, 50 %, then all; 30 min each; step 1, up to row 2" in shown.output
        d.feeder.staging.every = 0.0
        released = await ctl("task", "release", made["task"])
        assert released.exit_code == 0, released.output
        await d.feed(6)
        assert await d.database.fetchval("SELECT count(*) FROM message") == 10
        for given in ("1;10", "x"):
            wrong = await ctl("task", "add", *asked, "--steps", given)
            assert (wrong.exit_code, "should be like 1,10" in wrong.output) == (2, True)
        assert (await ctl("task", "add", *asked, "--frequency", "daily")).exit_code == 2
        hops = ("--hop", "failed:再次通知：请到场", "--hop", "any:第三次", "--hop-minutes", "60")
        made = json.loads((await ctl("task", "add", *asked, *hops, "--json")).output)
        second = HOP | {"when": "any", "content": "第三次"}
        assert made["fallback"] == {"hops": [HOP | {"content": "再次通知：请到场"}, second], "minutes": 60}
        assert (await ctl("task", "add", *asked, "--hop", "later:再次通知")).exit_code == 2
        falling = await ctl("task", "add", *asked, "--steps", "50,10")
        assert (falling.exit_code, "PARAM_INVALID" in falling.output) == (1, True)
    finally:
        await runner.cleanup()


A, B = "13800138000", "13900139000"


async def test_contacts_are_made_changed_found_and_forgotten(api: Api) -> None:
    items = [
        {"number": A, "name": "张三", "tags": ["会员", "北京"], "fields": {"city": "北京"}},
        {"number": "+86 " + B, "name": "李_四"}, {"number": "123"}, {"number": "86" + A},
    ]  # fmt: skip
    made = await api.post("/contacts", {"items": items})
    assert (made.status, made.data["created"], made.data["updated"]) == (200, 2, 0)
    assert [r["code"] for r in made.data["rejected"]] == ["NUMBER_INVALID", "NUMBER_DUPLICATE"]
    wrong = await api.post("/contacts", {"items": [{"number": A, "fields": {"1x": "y"}}]})
    assert (wrong.code, wrong.data["field"]) == ("PARAM_INVALID", "items[0].fields")
    changed = await api.post("/contacts", {"items": [{"number": A, "tags": ["老会员"]}]})
    assert (changed.data["created"], changed.data["updated"]) == (0, 1)
    (one,) = (await api.get("/contacts?tag=%E8%80%81%E4%BC%9A%E5%91%98")).data["items"]
    assert (one["number"], one["name"], one["tags"], one["fields"]) == ("86" + A, "张三", ["老会员"], {"city": "北京"})
    assert [c["name"] for c in (await api.get("/contacts?name=_")).data["items"]] == ["李_四"]
    first = await api.get("/contacts?limit=1")
    second = await api.get(f"/contacts?limit=1&cursor={first.data['next_cursor']}")
    assert {c["number"] for c in first.data["items"] + second.data["items"]} == {"86" + A, "86" + B}
    assert (await api.call("DELETE", f"/contacts/{one['id']}")).data == {"removed": 1}
    assert (await api.call("DELETE", f"/contacts/{one['id']}")).code == "NOT_FOUND"


async def test_audiences_hold_contacts(api: Api) -> None:
    made = await api.post("/audiences", {"name": "会员"})
    assert made.status == 201
    audience = made.data["id"]
    assert (await api.post("/audiences", {"name": "会员"})).code == "PARAM_INVALID"
    await api.post("/contacts", {"items": [{"number": A}], "audience_id": audience})
    await api.post("/contacts", {"items": [{"number": B}]})
    moved = await api.post(f"/audiences/{audience}/members", {"add": [B, "13700137000"], "remove": [A]})
    assert moved.data == {"joined": 1, "left": 1}
    (listed,) = (await api.get("/audiences")).data["items"]
    assert listed["members"] == 1
    members = (await api.get(f"/contacts?audience_id={audience}")).data["items"]
    assert [m["number"] for m in members] == ["86" + B]
    assert (await api.call("DELETE", f"/audiences/{audience}")).status == 200
    assert len((await api.get("/contacts")).data["items"]) == 2
    assert (await api.post("/contacts", {"items": [{"number": A}], "audience_id": audience})).code == "NOT_FOUND"


async def test_changes_are_in_the_audit_log_without_numbers_and_names(api: Api) -> None:
    await api.post("/contacts", {"items": [{"number": A, "name": "张三"}]})
    many = [{"number": f"139001390{n:02d}", "name": "李四"} for n in range(30)]
    await api.post("/contacts", {"items": [*many, {"number": A}, {"number": "123"}]})
    await api.post("/contacts", {"items": [{"number": "123"}]})  # changes nothing
    audience = (await api.post("/audiences", {"name": "会员"})).data["id"]
    await api.post("/contacts", {"items": [{"number": A, "tags": ["老会员"]}], "audience_id": audience})
    await api.post(f"/audiences/{audience}/members", {"add": [B], "remove": [A]})
    await api.post(f"/audiences/{audience}/members", {"remove": [A]})  # nothing
    (one,) = (await api.get(f"/contacts?number={A}")).data["items"]
    await api.call("DELETE", f"/contacts/{one['id']}")
    await api.call("DELETE", f"/contacts/{one['id']}")
    await api.call("DELETE", f"/audiences/{audience}")
    rows = await api.ctx.db.fetch(
        "SELECT actor, action, object, before, after FROM audit WHERE action ~ '^(contact|audience)' ORDER BY id"
    )
    account = {"account": api.account_id}
    assert [
        (r["action"], r["object"], json.loads(r["before"] or "{}"), json.loads(r["after"] or "{}")) for r in rows
    ] == [
        ("contact.put", "contacts", {}, account | {"created": 1, "updated": 0, "numbers": ["138****8000"]}),
        ("contact.put", "contacts", {}, account | {"created": 30, "updated": 1}),
        ("audience.add", f"audience/{audience}", {}, account | {"name": "会员"}),
        ("contact.put", "contacts", {},
         account | {"created": 0, "updated": 1, "numbers": ["138****8000"]}
         | {"audience": int(audience), "joined": 1}),
        ("audience.members", f"audience/{audience}", {}, account | {"joined": 1, "left": 1}),
        ("contact.remove", f"contact/{one['id']}", account | {"number": "138****8000"}, {}),
        ("audience.remove", f"audience/{audience}", account | {"name": "会员"}, {}),
    ]  # fmt: skip
    assert {r["actor"] for r in rows} == {api.key.key_id}


async def test_numbers_are_blocked_for_the_account_and_taken_off_again(api: Api) -> None:
    body = {"numbers": [A, B, "12"], "type": "marketing", "reason": "客户要求"}
    done = await api.post("/blocklist", body)
    assert (done.data["changed"], [r["number"] for r in done.data["rejected"]]) == (2, ["12"])
    assert (await api.post("/optouts", {"numbers": [A], "sign": "测试"})).data["changed"] == 1
    listed = (await api.get("/blocklist")).data["items"]
    assert {(e["number"], e["source"], e["type"], e["sign"]) for e in listed} == {
        ("86" + A, "manual", "marketing", ""),
        ("86" + B, "manual", "marketing", ""),
        ("86" + A, "opt_out", "marketing", "测试"),
    }
    assert len((await api.get("/blocklist?source=opt_out")).data["items"]) == 1
    first = await api.get("/blocklist?limit=2")
    rest = await api.get(f"/blocklist?limit=2&cursor={first.data['next_cursor']}")
    assert len(first.data["items"] + rest.data["items"]) == 3
    # what the accept path would follow
    entries = await list_queries.find(api.ctx.db, "86" + A, accounts=None)
    assert {(e.account, e.source) for e in entries} == {("acme", "manual"), ("acme", "opt_out")}
    gone = await api.post("/blocklist/remove", {"numbers": [A, B], "reason": "误加"})
    assert gone.data["changed"] == 2
    (left,) = (await api.get("/blocklist")).data["items"]
    assert left["source"] == "opt_out"  # an opt-out is not lifted by the sender


async def test_opt_outs_are_found_by_number_and_time_page_by_page(api: Api) -> None:
    given = [f"1370013700{n}" for n in range(5)]
    for number in given:
        assert (await api.post("/optouts", {"numbers": [number], "sign": "测试", "reason": "来电"})).status == 200
    await api.post("/blocklist", {"numbers": [B]})
    for account in (0, await accounts.add(by_test(api.ctx.db), "another")):
        scope = Scope(account, "marketing", "")
        await list_changes.block(by_test(api.ctx.db, api.ctx.ids), ["86" + A], scope, OPT_OUT, "")
    moved = "UPDATE block_list SET since = timestamptz '2026-05-01 00:00+08' + $2 * interval '1 day' "
    for day, number in enumerate(given):
        await api.ctx.db.execute(moved + "WHERE number = $1", int("86" + number), day)

    async def found(query: str) -> list[str]:
        items = (await api.get(f"/optouts?{query}")).data["items"]
        assert {(one["source"], one["type"], one["sign"], one["reason"]) for one in items} <= {
            ("opt_out", "marketing", "测试", "来电")
        }
        return [one["number"].removeprefix("86") for one in items]

    newest = given[::-1]
    assert await found("") == newest, "neither what was blocked, nor what holds for others or for all"
    seen, cursor, pages = [], "", 0
    while cursor is not None:
        page = (await api.get(f"/optouts?limit=2{cursor}")).data
        seen += [one["number"].removeprefix("86") for one in page["items"]]
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
        pages += 1
    assert (seen, pages) == (newest, 3)
    assert (await api.get("/optouts?limit=5")).data["next_cursor"] is None, "there is nothing behind it"
    assert await found(f"number={given[1]}") == [given[1]]
    assert await found(f"number={A}") == []
    day = "2026-05-0{}T00:00:00%2B08:00".format
    assert await found(f"from_time={day(2)}&to_time={day(4)}") == [given[2], given[1]]
    assert await found(f"to_time={day(1)}") == []
    assert await found(f"number={given[3]}&from_time={day(5)}") == []
    assert (await api.get("/optouts?number=12")).code == "NUMBER_INVALID"
    ended = "UPDATE block_list SET removed_at = now() WHERE number = $1"
    await api.ctx.db.execute(ended, int("86" + given[0]))
    assert await found("") == newest[:-1], "those that hold"


async def test_a_segment_is_an_audience_that_is_counted_and_written_to(api: Api) -> None:
    wrong = await api.post("/audiences", {"name": "点过", "segment": {"kind": "clicked", "link_id": "77"}})
    assert (wrong.status, wrong.data["field"]) == (400, "link")
    made = await api.post("/audiences", {"name": "没送到的", "segment": {"kind": "unreached", "days": 30}})
    assert made.status == 201
    assert made.data["segment"] == {"kind": "unreached", "days": 30, "task_id": None, "link_id": None}
    assert (made.data["members"], made.data["counted_at"]) == (None, None)
    id_ = made.data["id"]
    task = {"name": "再试", "audience_id": id_, "content": "您好", "sign": "测试"}
    empty = await api.post("/tasks", task)
    assert (empty.status, empty.code) == (400, "TO_EMPTY")
    for number in (A, B):
        await api.post("/messages", {"to": [number], "content": "您好"})
    await api.ctx.db.execute(
        by_name("UPDATE part SET state = :REJECTED WHERE id = (SELECT id FROM message WHERE number = $1)"), "86" + B
    )
    found = await api.get(f"/audiences/{id_}")
    assert found.data["members"] == 1
    assert found.data["counted_at"]
    (listed,) = (await api.get("/audiences")).data["items"]
    assert listed["members"] == 1
    blind = await api.add_key(scopes={*SCOPES} - {"query"})
    seen = (await api.get("/audiences", key=blind)).data["items"] + [
        (await api.get(f"/audiences/{id_}", key=blind)).data
    ]
    assert [(one["members"], one["counted_at"]) for one in seen] == [(None, None)] * 2, "counts are of messages"
    # What a person keeps for themselves is none of the account's keys'.
    await api.ctx.db.execute("UPDATE audience SET shared = 'own' WHERE id = $1", int(id_))
    assert (await api.get("/audiences")).data["items"] == []
    for answer in (
        await api.get(f"/audiences/{id_}"),
        await api.call("DELETE", f"/audiences/{id_}"),
        await api.post("/tasks", task),
    ):
        assert answer.code == "NOT_FOUND"
    await api.ctx.db.execute("UPDATE audience SET shared = 'account' WHERE id = $1", int(id_))
    # Nor does a key send to people by what they have done that may not query it: the answer says how many they are.
    denied = await api.post("/tasks", task, key=blind)
    assert (denied.status, denied.code) == (403, "PERMISSION_DENIED")
    draft = (await api.post("/drafts", task, key=blind)).data["draft_id"]
    assert (await api.post(f"/drafts/{draft}/submit", {}, key=blind)).code == "PERMISSION_DENIED"
    assert await api.ctx.db.fetchval("SELECT count(*) FROM task") == 0
    sent = await api.post("/tasks", task)
    assert sent.status == 201, sent.body
    assert sent.data["audience_id"] == id_
    told = (await api.get(f"/tasks/{sent.data['task_id']}")).data
    assert (told["clicked"], told["unclicked"]) == (None, None), "it carries no link"
    picked = await api.ctx.db.fetchval("SELECT mapping->'picked' FROM task")
    assert json.loads(picked)["segment"]["kind"] == "unreached"
    for path, body in (
        ("/contacts", {"items": [{"number": A}], "audience_id": id_}),
        (f"/audiences/{id_}/members", {"add": [A]}),
    ):
        assert (await api.post(path, body)).code == "STATE_CONFLICT", "nobody is put into it"
    assert (await api.call("DELETE", f"/audiences/{id_}")).data == {"removed": 1}
