"""Tasks in steps, how often, by preferred channels, in an emergency: through the API and at the command line."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

from aiohttp import web
from api_server import Api
from changes import by_test
from click.testing import CliRunner, Result
from taskdesk import Desk

from smsgw.cli import main
from smsgw.core.permissions import SCOPES
from smsgw.node import control
from smsgw.platform.accounts import service as accounts
from smsgw.runtime import clock

STEPS = {"shares": [10, 50], "minutes": 45, "failed": 4, "opted_out": 1, "complained": 0.2}
BODY = {"name": "会员日", "content": "您好", "type": "notice", "to": [f"138{n:08d}" for n in range(20)]}


async def test_how_it_is_sent_is_said_when_it_is_made_and_changed_until_it_begins(api: Api) -> None:
    api.key = await api.add_key(scopes=SCOPES)
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
