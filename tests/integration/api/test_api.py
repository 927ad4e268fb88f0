"""The HTTP API as a customer meets it: over the wire, with the real pipeline and a real database behind it."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from api_server import BASE, Answer, Api, running
from changes import by_test
from following import follow
from structlog.testing import capture_logs

from smsgw.api.auth import Authenticator
from smsgw.api.context import asking
from smsgw.api.routes import PUBLIC, ROUTES
from smsgw.core.errors import CODES
from smsgw.core.model import TEST_CHANNEL
from smsgw.core.states import PartState
from smsgw.platform.accounts import queries as account_queries, service as accounts
from smsgw.platform.messages import inbound, queries
from smsgw.platform.messages.model import MessageView
from smsgw.runtime.aio import spawn

ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
TWO = ["13800138001", "13800138002"]
ONE = {"to": ["13800138000"], "content": "您的验证码是 1234", "type": "otp"}


def check(answer: Answer, status: int, code: str) -> dict[str, Any]:
    body = answer.body
    assert (answer.status, body["code"]) == (status, code), body
    assert list(body) == ["code", "message", "message_en", "request_id", "data"]
    assert ULID.fullmatch(body["request_id"])
    assert answer.headers["X-Request-Id"] == body["request_id"]
    assert answer.headers["Content-Type"] == "application/json"
    if code != "OK":
        assert status == CODES[code]
    assert re.search(r"[\u4e00-\u9fff]", body["message"])
    return body["data"]


async def accepted(api: Api, body: Any = ONE, **how: Any) -> str:
    return check(await api.post("/messages", body, **how), 202, "OK")["items"][0]["message_id"]


async def stored(api: Api) -> int:
    return await api.ctx.db.fetchval("SELECT count(*) FROM message")


async def test_one_message_is_accepted_and_found(api: Api) -> None:
    data = check(await api.post("/messages", ONE | {"client_ref": "R1", "ext": "回传"}), 202, "OK")
    assert (data["accepted"], data["rejected"]) == (1, 0)
    item = data["items"][0]
    assert item == {"to": "13800138000", "status": "queued", "parts": 1, "message_id": item["message_id"]}
    assert item["message_id"].isdecimal()
    found = check(await api.get(f"/messages/{item['message_id']}"), 200, "OK")
    assert found["message_id"] == item["message_id"]
    assert found["batch_id"] == data["batch_id"]
    assert (found["to"], found["client_ref"], found["ext"]) == ("8613800138000", "R1", "回传")
    assert (found["content"], found["sign"]) == ("【测试】您的验证码是 1234", "测试")
    assert (found["status"], found["description"]) == ("queued", "排队中")
    assert (found["type"], found["kind"], found["parts"]) == ("otp", "sms", {"total": 1, "ok": 0})
    assert datetime.fromisoformat(found["accepted_at"]).utcoffset() == timedelta(hours=8)
    assert (found["submitted_at"], found["done_at"]) == (None, None)
    trace = check(await api.get(f"/messages/{item['message_id']}/trace"), 200, "OK")
    assert [s["step"] for s in trace["steps"]] == ["accepted", "queued"]
    assert trace["parts"][0]["status"] == "queued"
    assert trace["message"]["message_id"] == item["message_id"]


async def test_many_numbers_fail_one_by_one(api: Api) -> None:
    to = ["13800138000", "+86 139-0000-0000", "1380013800x", "13800138000", ""]
    data = check(await api.post("/messages", ONE | {"to": to}), 202, "OK")
    assert [i["to"] for i in data["items"]] == to
    assert [i.get("code") for i in data["items"]] == [
        None, None, "NUMBER_INVALID", "NUMBER_DUPLICATE", "NUMBER_INVALID",
    ]  # fmt: skip
    assert [("message_id" in i, i["status"]) for i in data["items"]] == [
        (True, "queued"), (True, "queued"), (False, "rejected"), (False, "rejected"), (False, "rejected"),
    ]  # fmt: skip
    assert "号码" in data["items"][2]["message"]
    assert (data["accepted"], data["rejected"]) == (2, 3)
    none = check(await api.post("/messages", ONE | {"to": to[2:3]}), 400, "NUMBER_INVALID")
    assert (none["accepted"], none["rejected"]) == (0, 1)
    assert await stored(api) == 2, "a call without a good number has no effect"


async def test_personalised_texts_with_defaults(api: Api) -> None:
    items = [
        {"to": "13800138000", "content": "甲", "client_ref": "a"},
        {"to": "13800138001", "sign": "别的", "ext": "mine"},
    ]
    body = {"items": items, "content": "众", "ext": "ours", "sign": "我们"}
    data = check(await api.post("/messages/batch", body), 202, "OK")
    assert data["accepted"] == 2
    first, second = [check(await api.get(f"/messages/{i['message_id']}"), 200, "OK") for i in data["items"]]
    assert (first["content"], first["ext"], first["client_ref"]) == ("【我们】甲", "ours", "a")
    assert (second["content"], second["ext"], second["client_ref"]) == ("【别的】众", "mine", "")
    data = check(await api.post("/messages/batch", {"items": [{"to": "13800138000"}]}), 400, "PARAM_MISSING")
    assert data["field"] == "items[0].content"
    check(await api.post("/messages", {"to": TWO, "content": None}), 400, "PARAM_MISSING")


@pytest.mark.parametrize("body", [ONE | {"dry_run": True}, ONE])
async def test_a_dry_run_explains_and_stores_nothing(api: Api, body: dict[str, Any]) -> None:
    path = "/messages" if "dry_run" in body else "/messages/explain"
    data = check(await api.post(path, body), 200, "OK")
    line = data["items"][0]
    assert (line["verdict"], line["parts"], line["carrier"]) == ("accepted", 1, "CMCC")
    assert await stored(api) == 0


async def test_the_edge_of_what_fits(api: Api) -> None:
    numbers = [f"1380013{n:04d}" for n in range(1001)]
    check(await api.post("/messages", ONE | {"to": numbers}), 400, "TO_TOO_MANY")
    data = check(await api.post("/messages", ONE | {"to": numbers[:1000]}), 202, "OK")
    assert data["accepted"] == 1000
    check(await api.post("/messages", ONE | {"to": []}), 400, "TO_EMPTY")
    items = [{"to": n, "content": "x"} for n in numbers]
    check(await api.post("/messages/batch", {"items": items}), 400, "TO_TOO_MANY")
    check(await api.post("/messages/batch", {"items": []}), 400, "TO_EMPTY")
    assert await stored(api) == 1000


async def test_a_test_key_sends_for_nothing_and_sees_its_own_messages_alone(api: Api) -> None:
    key = await api.add_key(test=True)
    line = check(await api.post("/messages/explain", ONE, key=key), 200, "OK")["items"][0]
    assert (line["price"], line["pool"]) == (0, "@test")
    before = await account_queries.balance(api.ctx.db, api.account_id)
    await accounts.edit(by_test(api.ctx.db), api.account_id, {"quota_day": 1})
    await api.ctx.snapshots.follow()
    tried = await accepted(api, ONE | {"to": TWO}, key=key)
    assert await account_queries.quota_used(api.ctx.db, api.account_id) == (0, 0)
    assert await account_queries.balance(api.ctx.db, api.account_id) == before
    meant = await accepted(api)
    for mine, own, other in ((key, tried, meant), (api.key, meant, tried)):
        found = check(await api.get("/messages", key=mine), 200, "OK")["items"]
        assert own in {m["message_id"] for m in found}
        assert {m["test"] for m in found} == {mine is key}
        assert check(await api.get(f"/messages/{own}", key=mine), 200, "OK")["test"] is (mine is key)
        for path in (f"/messages/{other}", f"/messages/{other}/trace"):
            there = (404, "NOT_FOUND") if mine is key else (200, "OK")  # a live key reads either by its id
            check(await api.get(path, key=mine), *there)
    check(await api.post(f"/messages/{meant}/cancel", key=key), 404, "NOT_FOUND")
    for act in ("pause", "resume", "release", "cancel"):
        check(await api.post(f"/tasks/1/{act}", key=key), 409, "STATE_CONFLICT")
    check(await api.call("PATCH", "/tasks/1", {"name": "x"}, key=key), 409, "STATE_CONFLICT")
    assert await api.ctx.db.fetchval("SELECT count(*) FROM stat_minute WHERE metric = 'accepted' AND n > 1") == 0


async def test_a_live_key_has_its_real_messages_and_reports_while_its_account_rehearses(api: Api) -> None:
    real = await accepted(api)
    switch = "UPDATE account SET training = $2 WHERE id = $1"
    await api.ctx.db.execute(switch, api.account_id, True)
    await api.ctx.snapshots.follow()
    tried = await accepted(api)
    for id_, test in ((real, False), (tried, True)):
        assert check(await api.get(f"/messages/{id_}"), 200, "OK")["test"] is test
        check(await api.get(f"/messages/{id_}/trace"), 200, "OK")
    found = check(await api.post("/messages/query", {"ids": [real, tried]}), 200, "OK")["items"]
    assert {m["message_id"] for m in found} == {real, tried}
    assert [m["message_id"] for m in check(await api.get("/messages"), 200, "OK")["items"]] == [tried]
    await api.ctx.db.execute(switch, api.account_id, False)
    await api.ctx.snapshots.follow()
    assert check(await api.get(f"/messages/{tried}"), 200, "OK")["test"] is True, "what was rehearsed stays there"


async def test_the_tables_refuse_a_test_message_on_a_real_channel_or_paid_for(api: Api) -> None:
    key = await api.add_key(test=True)
    sent = await accepted(api, key=key)
    live = await accepted(api)
    for sql, message_id in (
        ("UPDATE part SET channel_id = 1 WHERE id = $1", sent),
        ("UPDATE part SET channel_id = -1 WHERE id = $1", live),
        ("UPDATE message SET price = 1 WHERE id = $1", sent),
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await api.ctx.db.execute(sql, int(message_id))


async def test_a_database_that_is_gone(api: Api) -> None:
    await api.ctx.db.close()
    answer = await api.get("/balance")
    check(answer, 503, "STORAGE_UNAVAILABLE")
    assert int(answer.headers["Retry-After"]) >= 1


async def test_a_stopped_account_may_still_look(api: Api) -> None:
    await accounts.set_status(by_test(api.ctx.db), api.account_id, "stopped")
    await api.ctx.snapshots.follow()
    check(await api.post("/messages", ONE), 403, "ACCOUNT_STOPPED")
    check(await api.get("/balance"), 200, "OK")


async def test_an_emergency_needs_the_right_of_the_key_and_of_the_account(api: Api) -> None:
    urgent = ONE | {"emergency": True}
    assert check(await api.post("/messages", urgent), 403, "SCOPE_DENIED") == {"scope": "emergency"}
    batch = {"items": [{"to": ONE["to"][0], "content": ONE["content"]}], "emergency": True}
    check(await api.post("/messages/batch", batch), 403, "SCOPE_DENIED")
    key = await api.add_key(scopes=("send", "emergency"))
    check(await api.post("/messages", urgent, key=key), 403, "EMERGENCY_DENIED")
    await accounts.edit(by_test(api.ctx.db), api.account_id, {"emergency": "true"})
    await api.ctx.snapshots.follow()
    assert await stored(api) == 0
    data = check(await api.post("/messages", urgent | {"type": "marketing"}, key=key), 400, "PARAM_INVALID")
    assert data["field"] == "type"
    (line,) = check(await api.post("/messages/explain", urgent, key=key), 200, "OK")["items"]
    assert line["lane"] == "emergency"
    for path, body in (("/messages", urgent), ("/messages/batch", batch), ("/messages", ONE | {"emergency": None})):
        check(await api.post(path, body, key=key), 202, "OK")
    lanes = await api.ctx.db.fetch("SELECT lane FROM part ORDER BY id")
    assert [row["lane"] for row in lanes] == [0, 0, 1]
    assert await api.ctx.db.fetchval("SELECT count(*) FROM audit WHERE action = 'message.emergency'") == 2


async def test_signed_calls(api: Api) -> None:
    body = json.dumps(ONE).encode()
    path = f"{BASE}/messages"
    check(await api.send("POST", path, data=body, headers=api.signed("POST", path, body)), 202, "OK")
    path = f"{BASE}/messages?to=%2B8613800138000&limit=1&client_ref=a%20b"
    check(await api.send("GET", path, headers=api.signed("GET", path)), 200, "OK")
    # each part of the request is under the signature
    for method, signed_path, data in (
        ("GET", path + "0", b""), ("GET", f"{BASE}/balance", b""), ("POST", path, b""), ("GET", path, b"x"),
    ):  # fmt: skip
        headers = api.signed(method, signed_path, data)
        check(await api.send("GET", path, headers=headers), 401, "AUTH_SIGNATURE_INVALID")
    answer = await api.send("GET", path)
    check(answer, 401, "AUTH_MISSING")
    assert "WWW-Authenticate" in answer.headers


async def test_source_addresses(api: Api) -> None:
    away = await api.add_key(ip_allow=(ip_network("192.0.2.0/24"),))
    assert check(await api.get("/balance", key=away), 403, "AUTH_IP_DENIED")["ip"] == "127.0.0.1"
    # a header that no trusted proxy wrote proves nothing
    check(await api.get("/balance", key=away, X_Forwarded_For="192.0.2.1"), 403, "AUTH_IP_DENIED")
    here = await api.add_key(ip_allow=(ip_network("127.0.0.0/8"),))
    check(await api.get("/balance", key=here), 200, "OK")


async def test_request_limits(api: Api) -> None:
    answer = await api.get("/balance")
    assert answer.headers["RateLimit-Limit"] == "400"
    assert answer.headers["RateLimit-Remaining"] == "399"
    assert answer.headers["RateLimit-Reset"] == "1"
    slow = await api.add_key(requests_per_second=2)
    answers = await asyncio.gather(api.get("/time"), *(api.get("/balance", key=slow) for _ in range(60)))
    limited = [a for a in answers if a.status == 429]
    check(limited[0], 429, "RATE_LIMITED")
    assert limited[0].headers["Retry-After"] == "1"
    assert limited[0].headers["RateLimit-Remaining"] == "0"
    other = await api.add_key()
    check(await api.get("/balance", key=other), 200, "OK")


async def test_large_bodies(api: Api) -> None:
    fits = json.dumps(ONE).encode()
    fits += b" " * (2 * 1024 * 1024 - len(fits))
    check(await api.post("/messages", fits), 202, "OK")
    answer = await api.post("/messages", fits + b" ")
    check(answer, 413, "BODY_TOO_LARGE")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65536

    async with api.session.post(
        f"{api.origin}{BASE}/messages", data=endless(), headers={"Authorization": f"Bearer {api.key.bearer}"}
    ) as chunked:
        check(Answer(chunked.status, chunked.headers, await chunked.read()), 413, "BODY_TOO_LARGE")


async def test_headers_that_never_end(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, tmp_path, runner_changes={"keepalive_timeout": 0.3}) as api:
        started = time.monotonic()
        assert await api.raw(f"POST {BASE}/messages HTTP/1.1\r\nHost: x\r\nX-Slow: ".encode()) == b""
        assert time.monotonic() - started < 10


async def test_octets_that_are_no_text(api: Api) -> None:
    for line, code in (
        (b"GET /api/v1/messages?to=%ff HTTP/1.1\r\nAuthorization: Bearer " + api.key.bearer.encode(), "PARAM_INVALID"),
        (b"GET /api/v1/balance HTTP/1.1\r\nAuthorization: Bearer \xff", "AUTH_KEY_INVALID"),
        (b"GET /api/v1/balance HTTP/1.1\r\nX-Sms-Key: \xff\r\nX-Sms-Timestamp: \xff\r\nX-Sms-Nonce: \xff\r\n"
         b"X-Sms-Signature: \xff", "AUTH_KEY_INVALID"),
        (b"POST /api/v1/messages HTTP/1.1\r\nIdempotency-Key: \xff\r\nContent-Length: 0\r\nAuthorization: Bearer "
         + api.key.bearer.encode(), "PARAM_MISSING"),
        (b"GET /api/v1/nothing HTTP/1.1\r\nX-Sms-Key: \xff\r\nAccept-Language: \xff", "NOT_FOUND"),
    ):  # fmt: skip
        raw = await api.raw(line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert json.loads(raw.partition(b"\r\n\r\n")[2])["code"] == code, line
    headers = api.signed("GET", f"{BASE}/balance", key=await api.add_key(test=True))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    raw = await api.raw(f"GET {BASE}/balance?a=%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n".encode())
    assert json.loads(raw.partition(b"\r\n\r\n")[2])["data"]["string_to_sign"].split("\n")[3] == "a=%FF"


async def test_paths_and_methods(api: Api) -> None:
    for path in ("", "/", "/nothing", "/messages/", "/messages/1/2/3", "/../x"):
        check(await api.get(path), 404, "NOT_FOUND")
    answer = await api.call("DELETE", "/messages")
    check(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == "GET, POST, HEAD"
    check(await api.call("POST", "/time"), 405, "METHOD_NOT_ALLOWED")
    check(await api.call("OPTIONS", "/balance"), 405, "METHOD_NOT_ALLOWED")
    head = await api.call("HEAD", "/balance")
    assert (head.status, head.raw) == (200, b"")
    # a batch is no message id: the fixed path wins for every method it does not know
    check(await api.get("/messages/batch"), 405, "METHOD_NOT_ALLOWED")
    for message_id in ("0", str(2**63 - 1), str(2**63), "9" * 40, "abc", "-1", "%D9%A3", "1.5"):
        for path in (f"/messages/{message_id}", f"/messages/{message_id}/trace"):
            check(await api.get(path), 404, "NOT_FOUND")


async def test_queries_are_strict(api: Api) -> None:
    assert check(await api.get("/messages?nothing=1"), 400, "PARAM_INVALID")["field"] == "nothing"
    assert check(await api.get("/balance?x=1"), 400, "PARAM_INVALID")["field"] == "x"
    check(await api.get("/messages?limit=501"), 400, "PARAM_INVALID")
    check(await api.get("/messages?to=abc"), 400, "NUMBER_INVALID")


async def test_an_error_inside_is_internal_and_logged(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(request: object) -> list[object]:
        raise RuntimeError("surprise")

    monkeypatch.setattr(api.acceptor, "explain", broken)
    with capture_logs() as logs:
        answer = await api.post("/messages/explain", ONE)
    data = check(answer, 500, "INTERNAL")
    assert data == {"request_id": answer.body["request_id"]}
    assert "surprise" not in answer.raw.decode()
    assert any(entry["event"] == "api.failed" and entry["log_level"] == "error" for entry in logs)


async def test_refusals_are_logged_and_successes_are_not(api: Api) -> None:
    with capture_logs() as logs:
        await api.get("/balance")
        await api.get("/nothing")
    (entry,) = logs
    said = [entry[name] for name in ("event", "code", "status", "ip", "log_level")]
    assert said == ["api.refused", "NOT_FOUND", 404, "127.0.0.1", "info"]


async def test_large_pages_of_an_account_are_made_one_after_the_other(api: Api) -> None:
    await api.ctx.reads.take(api.account_id)
    waiting = spawn(api.get("/messages?limit=500"), name="large")
    check(await api.get("/messages?limit=100"), 200, "OK")
    other = await accounts.add(by_test(api.ctx.db), "other")
    key = await api.add_key(other)
    check(await api.get("/messages?limit=500", key=key), 200, "OK")
    assert not waiting.done()
    api.ctx.reads.give(api.account_id)
    check(await waiting, 200, "OK")
    assert api.ctx.reads.taken == 0


async def test_a_large_page_is_made_in_slices_at_the_accounts_pace(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    to = [f"1380013{n:04d}" for n in range(210)]
    check(await api.post("/messages", ONE | {"to": to}), 202, "OK")
    made: list[int] = []
    in_a_row: list[int] = []
    paid: list[float] = []
    view = queries._view

    def counted(row: Any, *whole: bool) -> MessageView:
        if not made:
            asyncio.get_running_loop().call_soon(lambda: (in_a_row.append(len(made)), made.clear()))
        made.append(row["id"])
        return view(row, *whole)

    async def pay(owner: object, n: float) -> None:
        assert owner == api.account_id
        paid.append(n)

    monkeypatch.setattr(queries, "_view", counted)
    monkeypatch.setattr(api.ctx.read_pace, "pay", pay)
    assert len((await api.get("/messages?limit=500")).data["items"]) == 210
    assert sum(in_a_row) == 210
    assert max(in_a_row) <= queries.SLICE, "the event loop turned in between"
    assert len((await api.get("/messages?limit=100")).data["items"]) == 100
    check(await api.get("/messages?limit=500&to=13800130001"), 200, "OK")
    assert paid == [210], "pages that are small cost nothing, and those that turn out to be"


async def test_pages_of_messages(api: Api) -> None:
    to = [f"1380013{n:04d}" for n in range(7)]
    batch = check(await api.post("/messages", ONE | {"to": to, "client_ref": "many"}), 202, "OK")
    await api.post("/messages", ONE)
    seen: list[str] = []
    cursor = ""
    while True:
        page = check(await api.get(f"/messages?batch_id={batch['batch_id']}&limit=3{cursor}"), 200, "OK")
        seen += [m["message_id"] for m in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [i["message_id"] for i in reversed(batch["items"])]
    for query, count in (
        ("client_ref=many", 7), ("to=13800130003", 1), ("to=%2B8613800130003", 1), ("status=queued", 8),
        ("status=delivered", 0), ("batch_id=9999999999999999999", 0), ("cursor=9999999999999999999", 8),
        ("from_time=2020-01-01T00:00:00Z&to_time=9999-12-31T23:59:59Z", 8),
        ("from_time=9999-12-31T23:59:59-14:00", 0), ("to_time=0001-01-01T00:00:00%2B14:00", 0), ("", 8),
    ):  # fmt: skip
        page = check(await api.get(f"/messages?{query}"), 200, "OK")
        assert len(page["items"]) == count, query


async def test_balance(api: Api) -> None:
    await api.post("/messages", ONE)
    data = check(await api.get("/balance"), 200, "OK")
    assert data == {
        "account": "acme", "billing": "prepaid", "balance": 9999, "credit_floor": 0, "available": 9999,
        "quota_day": None, "used_day": 1, "quota_month": None, "used_month": 1,
    }  # fmt: skip


async def deliver(api: Api, message_ids: list[str]) -> None:
    """Make the messages final, as the pipeline does when their reports come."""
    async with api.ctx.db.transaction() as connection:
        rows = await connection.fetch(
            "UPDATE part SET state = $2, claimed_at = now(), answered_at = now(), final_at = now(), code = 'DELIVRD'"
            " WHERE id = ANY($1::bigint[]) RETURNING *",
            [int(i) for i in message_ids],
            int(PartState.DELIVERED),
        )
        told = await follow(connection, rows, api.ctx.ids)
    api.ctx.hub.notify(told, "report")


async def test_reports_are_pulled_and_acknowledged(api: Api) -> None:
    assert check(await api.post("/reports/pull"), 200, "OK") == {"batch": None, "items": [], "more": False}
    sent = check(await api.post("/messages", ONE | {"client_ref": "R", "ext": "E"}), 202, "OK")["items"][0]
    await deliver(api, [sent["message_id"]])
    pulled = check(await api.post("/reports/pull", {"limit": 10}), 200, "OK")
    item = pulled["items"][0]
    assert pulled["batch"].isdecimal()
    assert (item["message_id"], item["client_ref"], item["ext"]) == (sent["message_id"], "R", "E")
    assert (item["status"], item["parts"], item["carrier_code"]) == ("delivered", {"total": 1, "ok": 1}, "DELIVRD")
    assert datetime.fromisoformat(item["done_at"]).utcoffset() == timedelta(hours=8)
    # held for this caller
    assert check(await api.post("/reports/pull", b""), 200, "OK")["batch"] is None
    other = await api.add_key(await accounts.add(by_test(api.ctx.db), "other"))
    ack = {"batch": pulled["batch"]}
    assert check(await api.post("/reports/ack", ack, key=other), 200, "OK") == {"acknowledged": 0}
    assert check(await api.post("/mo/ack", ack), 200, "OK") == {"acknowledged": 0}
    assert check(await api.post("/reports/ack", ack), 200, "OK") == {"acknowledged": 1}
    assert check(await api.post("/reports/ack", ack), 200, "OK") == {"acknowledged": 0}
    assert check(await api.post("/reports/ack", {"batch": "9" * 19}), 200, "OK") == {"acknowledged": 0}


async def test_a_long_poll_ends_with_the_event(api: Api) -> None:
    ids = [await accepted(api)]
    started = time.monotonic()
    poll = spawn(api.post("/reports/pull", {"wait_s": 20}), name="poll")
    while not api.ctx.waiting:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await deliver(api, ids)
    pulled = check(await poll, 200, "OK")
    assert [i["message_id"] for i in pulled["items"]] == ids
    assert time.monotonic() - started < 10
    assert api.ctx.waiting == {}


async def test_a_long_poll_ends_with_its_time(api: Api) -> None:
    started = time.monotonic()
    assert check(await api.post("/mo/pull", {"wait_s": 1}), 200, "OK")["batch"] is None
    assert 0.9 <= time.monotonic() - started < 10
    for wrong in ({"wait_s": 21}, {"wait_s": -1}, {"limit": 0}, {"limit": 501}, {"limit": "5"}):
        check(await api.post("/mo/pull", wrong), 400, "PARAM_INVALID")


async def test_a_long_poll_does_not_hold_up_the_end(api: Api) -> None:
    poll = spawn(api.post("/reports/pull", {"wait_s": 20}), name="poll")
    while not api.ctx.waiting:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    started = time.monotonic()
    await api.runner.cleanup()
    assert time.monotonic() - started < 10
    assert check(await poll, 200, "OK")["batch"] is None


async def test_replies_are_pulled(api: Api) -> None:
    mo_id, event_id = api.ctx.ids(), api.ctx.ids()
    await api.ctx.db.execute(
        "INSERT INTO mo (id, account_id, channel_id, number, to_code, content, received_at)"
        " VALUES ($1, $2, 1, '8613800138000', '1069000088', '回复 🙂', now())",
        mo_id,
        api.account_id,
    )
    await api.ctx.db.execute(
        "INSERT INTO customer_event (id, account_id, kind, message_id) VALUES ($1, $2, 'mo', $3)",
        event_id, api.account_id, mo_id,
    )  # fmt: skip
    pulled = check(await api.post("/mo/pull", {}), 200, "OK")
    item = pulled["items"][0]
    assert (item["event_id"], item["mo_id"]) == (str(event_id), str(mo_id))
    assert (item["from"], item["to_code"], item["content"]) == ("8613800138000", "1069000088", "回复 🙂")
    assert check(await api.post("/mo/ack", {"batch": pulled["batch"]}), 200, "OK") == {"acknowledged": 1}


async def test_replies_are_looked_up(api: Api) -> None:
    """One's own alone, newest first, page by page. Those of real phones are not a test key's; a live key finds either
    by its id, and is told which it is."""
    stored = (
        "INSERT INTO mo (id, account_id, channel_id, number, to_code, extend_code, content, received_at)"
        " VALUES ($1, $2, $3, $4, '1069000088', '88', $5, now())"
    )
    other = await accounts.add(by_test(api.ctx.db), "another")
    rows = [
        (api.account_id, 1, "8613800138000", "几点开门"), (api.account_id, 1, "8613800138001", "好的"),
        (other, 1, "8613800138000", "别人的"), (api.account_id, TEST_CHANNEL, "8613800138000", "测试"),
    ]  # fmt: skip
    ids = [api.ctx.ids() for _ in rows]
    for id_, row in zip(ids, rows, strict=True):
        await api.ctx.db.execute(stored, id_, *row)
    first, second, foreign, test = map(str, ids)
    page = check(await api.get("/mo?limit=1"), 200, "OK")
    assert ([one["mo_id"] for one in page["items"]], page["next_cursor"]) == ([second], second)
    page = check(await api.get(f"/mo?limit=1&cursor={second}"), 200, "OK")
    assert ([one["mo_id"] for one in page["items"]], page["next_cursor"]) == ([first], None)
    for query, found in (("phone=13800138000", [first]), ("content=%E5%A5%BD", [second]), ("code=95588", [])):
        page = check(await api.get(f"/mo?{query}"), 200, "OK")
        assert [one["mo_id"] for one in page["items"]] == found, query
    one = check(await api.get(f"/mo/{first}"), 200, "OK")
    assert (one["from"], one["to_code"], one["extend_code"], one["content"], one["in_reply_to"]) == (
        "8613800138000", "1069000088", "88", "几点开门", None,
    )  # fmt: skip
    check(await api.get(f"/mo/{foreign}"), 404, "NOT_FOUND")
    assert (one["test"], check(await api.get(f"/mo/{test}"), 200, "OK")["test"]) == (False, True)
    key = await api.add_key(api.account_id, test=True)
    assert [o["mo_id"] for o in check(await api.get("/mo", key=key), 200, "OK")["items"]] == [test]
    check(await api.get(f"/mo/{first}", key=key), 404, "NOT_FOUND")


async def test_time_and_health(api: Api) -> None:
    data = check(await api.send("GET", f"{BASE}/time"), 200, "OK")
    assert abs(data["unix"] - time.time()) < 5
    assert check(await api.send("GET", "/health"), 200, "OK")["status"] == "ok"
    assert check(await api.send("GET", "/ready"), 200, "OK")["status"] == "ok"
    api.checks["database"] = "away"
    data = check(await api.send("GET", "/ready"), 503, "NOT_READY")
    assert data == {"status": "not_ready", "checks": {"database": "away"}}
    assert check(await api.send("GET", "/health"), 200, "OK")["status"] == "ok"


@pytest.mark.usefixtures("hurried")
async def test_every_route_is_in_the_document_and_answers(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Authenticator, "failed", lambda *_: None)  # every route is asked without a key
    document = json.loads((await api.send("GET", f"{BASE}/openapi.json")).raw)
    assert document["openapi"] == "3.1.0"
    documented = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    expected = {(r.method, BASE + r.path) for r in ROUTES}
    expected |= {("GET", p.path if p.root else BASE + p.path) for p in PUBLIC}
    assert documented == expected
    for method, path in documented:
        answer = await api.send(method, path.replace("{id}", "1").replace("{name}", "x"))
        assert answer.status in (200, 401), (method, path)
    for route in ROUTES:
        operation = document["paths"][BASE + route.path][route.method.lower()]
        assert all(str(CODES[code]) in operation["responses"] for code in route.errors)
        assert str(route.status) in operation["responses"]


async def test_an_account_asks_a_few_things_at_a_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question may have a connection for half a minute: others have their turn, and so have its own messages."""
    enough, full, under_way = asyncio.Event(), asyncio.Event(), 0

    async def search(*_: Any) -> Any:
        nonlocal under_way
        under_way += 1
        if under_way == api.ctx.asked.own:
            full.set()
        await enough.wait()
        return SimpleNamespace(rows=[], more=False)

    monkeypatch.setattr(inbound, "search", search)
    asked = [spawn(api.get("/mo"), name="asked") for _ in range(20)]
    await full.wait()
    other = await api.add_key(await accounts.add(by_test(api.ctx.db), "other", default_sign="测试"))
    check(await api.get("/balance", key=other), 200, "OK")
    check(await api.post("/messages", ONE), 202, "OK")
    assert under_way == api.ctx.asked.own < 10
    enough.set()
    for answer in await asyncio.gather(*asked):
        check(answer, 200, "OK")
    assert (under_way, api.ctx.asked.taken) == (20, 0)


@pytest.mark.parametrize(("connections", "of_one", "of_all"), [(2, 1, 2), (3, 1, 2), (10, 4, 8), (200, 80, 198)])
def test_places_for_questions_leave_some_for_pages(connections: int, of_one: int, of_all: int) -> None:
    places = asking(connections)
    assert (places.own, places.total) == (of_one, of_all)
