"""``/webhooks`` over HTTP, a message's own address, and the events that the gateway itself records."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from aiohttp import web
from api_server import Api
from changes import by_test
from receiver import Receiver, Stage

from smsgw.core import optout
from smsgw.core.blocklist import MANUAL, OPT_OUT, Scope
from smsgw.core.model import Inbound
from smsgw.platform.accounts import service as accounts
from smsgw.platform.channels import service as channels
from smsgw.platform.lists import service as lists
from smsgw.platform.webhooks import service as webhooks
from smsgw.store.config import channels as channels_store
from smsgw.store.messages import account_events, inbound
from smsgw.store.messages.inbound import Arrived


async def test_a_webhook_lives_from_first_secret_to_removal(api: Api, receiver: Receiver) -> None:
    made = await api.call("PUT", "/webhooks/main", {"url": receiver.origin, "options": {"max_items": 10}})
    assert made.status == 200, made.body
    assert made.data["secret"].startswith("whsec_")
    assert made.data["webhook"]["options"] == {"max_items": 10}
    again = await api.call("PUT", "/webhooks/main", {"url": receiver.origin + "/2"})
    assert again.data["secret"] is None
    listed = await api.get("/webhooks")
    assert (listed.data["way"], [w["url"] for w in listed.data["items"]]) == ("webhook", [receiver.origin + "/2"])
    assert "secret" not in listed.data["items"][0]
    rotated = await api.post("/webhooks/main/secret", {"keep_old_hours": 2})
    assert rotated.data["secret"] not in ("", made.data["secret"])
    assert (await api.get("/webhooks/main")).data["old_secret_until"]
    assert (await api.post("/webhooks/main/secret", {})).code == "STATE_CONFLICT", "the former one signs"
    assert (await api.post("/webhooks/main/secret", {"force": True})).data["secret"]

    await api.ctx.pusher._sender.start()
    await api.ctx.pusher._writer.start()
    try:
        tested = await api.post("/webhooks/main/test")
        assert (tested.data["ok"], tested.data["http_status"]) == (True, 200)
        assert tested.data.keys() == {"ok", "http_status", "ms", "problem"}, "nothing of what the receiver said"
        assert receiver.calls[0].json["type"] == "webhook.test"
        receiver.reply = lambda _: web.Response(status=500)
        assert (await api.post("/webhooks/main/test")).data["problem"] == "HTTP 500"
        calls = (await api.get("/webhooks/main/calls")).data["items"]
        assert [c["http_status"] for c in calls] == [500, 200]
    finally:
        await api.ctx.pusher._writer.stop()
        await api.ctx.pusher._sender.stop()
    assert (await api.post("/webhooks/main/disable")).data["status"] == "disabled"
    assert (await api.post("/webhooks/main/enable")).data["status"] == "active"
    assert (await api.call("DELETE", "/webhooks/main")).data["items"] == []
    assert (await api.get("/webhooks/main")).code == "NOT_FOUND"


async def test_what_cannot_be_is_refused_by_field(api: Api) -> None:
    https = {"url": "https://example.org/"}
    for body, field in (
        *(({"url": url}, "url") for url in (
            "ftp://example.org/", "https://user:pw@example.org/", "http://10.0.0.1/", "http://169.254.169.254/latest",
            "http://0x7f000001/", "http://[::ffff:10.1.1.1]/", "https://example.org/{message_id}",
        )),
        (https | {"events": ["message.lost"]}, "events"), (https | {"hosts": ["example.org"]}, "hosts"),
        (https | {"options": {"format": "form", "max_items": 5}}, "max_items"),
        (https | {"options": {"format": "get"}}, "url"), (https | {"options": {"fields": {"a": "x;y"}}}, "fields"),
    ):  # fmt: skip
        answer = await api.call("PUT", "/webhooks/main", body)
        assert (answer.status, answer.code, answer.data["field"]) == (400, "PARAM_INVALID", field), body


async def test_a_type_has_one_endpoint_and_some_need_more_rights(api: Api) -> None:
    url = "https://example.org/"
    assert (await api.call("PUT", "/webhooks/a", {"url": url, "events": ["message.report"]})).status == 200
    taken = await api.call("PUT", "/webhooks/b", {"url": url, "events": ["message.report"]})
    assert taken.data["field"] == "events"
    denied = await api.call("PUT", "/webhooks/c", {"url": url, "events": ["channel.state"]})
    assert (denied.code, denied.data["scope"]) == ("SCOPE_DENIED", "admin")
    no_mo = await api.add_key(scopes=("report",))
    sets = await api.add_key(scopes=("webhook",))
    assert (await api.call("PUT", "/webhooks/d", {"url": url}, key=sets)).data == {"scope": "mo"}
    for reads in (no_mo, await api.add_key(scopes=("report", "mo", "query"))):
        for method, path, body in (
            ("PUT", "/webhooks", {"way": "pull"}), ("PUT", "/webhooks/a", {"url": url}),
            ("DELETE", "/webhooks/a", None),
            ("POST", "/webhooks/a/disable", None), ("POST", "/webhooks/a/enable", None),
            ("POST", "/webhooks/a/secret", {}), ("POST", "/webhooks/a/test", None),
        ):  # fmt: skip
            answer = await api.call(method, path, body, key=reads)
            assert (answer.code, answer.data) == ("SCOPE_DENIED", {"scope": "webhook"}), (method, path)
        assert (await api.get("/webhooks", key=reads)).data["way"] == "webhook"
    only_send = await api.add_key(scopes=("send",))
    assert (await api.get("/webhooks", key=only_send)).code == "SCOPE_DENIED"


async def test_a_message_may_name_an_address_of_the_accounts_list(api: Api) -> None:
    api.acceptor._destinations = api.ctx.pusher.destinations
    body = {"to": ["13800138000"], "content": "x", "callback_url": "https://hooks.example.org/a"}
    refused = await api.post("/messages", body)
    assert (refused.code, refused.data["field"]) == ("PARAM_INVALID", "callback_url")
    await api.call("PUT", "/webhooks/callback", {"hosts": [".example.org"]})
    await api.ctx.snapshots.follow()
    foreign = await api.post("/messages", body | {"callback_url": "https://example.com/"})
    assert foreign.code == "PARAM_INVALID"
    assert (await api.post("/messages", body)).status == 202
    assert await api.ctx.db.fetchval("SELECT callback_url FROM message") == body["callback_url"]
    assert (await api.get("/webhooks")).data["way"] == "pull", "an own address does not change the account's way"


async def test_an_opt_out_is_told(stage: Stage) -> None:
    one = Inbound(1, "mo-1", "8613800138000", "1069", "TD", datetime.now(UTC))
    async with stage.database.transaction() as connection:
        await inbound.commit_inbound(
            connection, [Arrived(one, stage.account_id, "")], stage.ids.next, optout.DEFAULT_WORDS
        )
    kinds = [row["kind"] for row in await stage.rows()]
    assert sorted(kinds) == ["mo", "optout.created"]
    assert '"8613800138000"' in next(r["detail"] for r in await stage.rows() if r["kind"] != "mo")


async def test_opt_outs_that_are_recorded_are_told_once(stage: Stage) -> None:
    numbers = ["8613800138001", "8613800138002"]
    ours, everybodys = Scope(stage.account_id, "marketing", "店"), Scope(0, "marketing", "店")

    async def told(new: list[str], scope: Scope, source: str = OPT_OUT) -> list[str]:
        before = {row["id"] for row in await stage.rows()}
        await lists.block(by_test(stage.database, stage.ids.next), new, scope, source, "来电", tell=True)
        rows = [row for row in await stage.rows() if row["id"] not in before]
        assert {row["kind"] for row in rows} <= {"optout.created"}
        details = [json.loads(row["detail"]) for row in rows]
        assert all((d["sign"], d["content"]) == ("店", "来电") for d in details)
        return sorted(d["number"] for d in details)

    assert await told(numbers[:1] * 2, ours) == numbers[:1]
    assert await told(numbers, ours) == numbers[1:]
    assert await told(numbers, everybodys) == []
    assert await told(numbers, ours, MANUAL) == []
    assert await told(numbers, ours) == [], "no entry by hand has taken their place"
    await lists.unblock(by_test(stage.database), numbers[0], ours, reason="")
    assert await told(numbers, ours) == numbers[:1]


async def test_a_low_balance_is_told_once_until_it_is_filled_up(stage: Stage) -> None:

    async def told() -> int:
        await account_events.tell_low_balances(stage.database, stage.ids.next)
        return await stage.database.fetchval("SELECT count(*) FROM customer_event WHERE kind = 'balance.low'")

    await accounts.top_up(by_test(stage.database, stage.ids.next), stage.account_id, 90, "")
    await webhooks.edit_setting(by_test(stage.database), stage.account_id, way="pull", balance_below=100)
    assert [await told(), await told()] == [1, 1]
    await accounts.top_up(by_test(stage.database, stage.ids.next), stage.account_id, 50, "")
    assert await told() == 1
    await accounts.top_up(by_test(stage.database, stage.ids.next), stage.account_id, -60, "")
    assert await told() == 2


async def test_changes_of_a_channel_are_told_in_order_to_who_asked(stage: Stage) -> None:
    fields = {"protocol": "smpp34", "host": "127.0.0.1", "port": 1, "username": "u", "password": "p",
              "carriers": ["CTCC"]}  # fmt: skip
    channel_id = await channels.add(by_test(stage.database), stage.sealer, "one", fields)

    async def told() -> int:
        return await account_events.tell_channels(stage.database, [stage.account_id], stage.ids.next)

    assert await told() == 0, "the first look tells nothing"
    await channels_store.say(stage.database, 1, [(channel_id, 1, "", False)])
    assert [await told(), await told()] == [1, 0]
    await channels_store.say(stage.database, 1, [(channel_id, 0, "reset by peer", False)])
    assert await told() == 1
    rows = await stage.rows()
    assert [row["message_id"] for row in rows] == [channel_id] * 2
    assert '"state": "up"' in rows[0]["detail"]
    assert "reset by peer" in rows[1]["detail"]
