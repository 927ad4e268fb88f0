"""A signed request takes effect once: at every node, after a restart, and through an outage of the database."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from api_server import BASE, Answer, Api
from changes import by_test
from structlog.testing import capture_logs

from smsgw.core.errors import Refused
from smsgw.pipeline.accept.nonces import NONCES_KEPT
from smsgw.pipeline.upkeep.maintenance import KEYS_KEPT
from smsgw.platform.accounts import service as accounts
from smsgw.runtime import clock
from smsgw.store.messages import replaying, request_keys
from smsgw.store.messages.calls import NewCall, Stored

SEND, BALANCE = f"{BASE}/messages", f"{BASE}/balance"
BODY = json.dumps({"to": ["13800138000"], "content": "您的验证码是 1234", "type": "otp"}).encode()


async def stored(api: Api) -> int:
    return await api.ctx.db.fetchval("SELECT count(*) FROM message")


async def send(api: Api, headers: dict[str, str] | None = None, **how: Any) -> Answer:
    """The call, signed anew unless there are headers."""
    return await api.send("POST", SEND, data=BODY, headers=headers or api.signed("POST", SEND, BODY, **how))


async def look(api: Api, headers: dict[str, str] | None = None, **how: Any) -> Answer:
    """For the balance, so."""
    return await api.send("GET", BALANCE, headers=headers or api.signed("GET", BALANCE, **how))


async def money(api: Api, units: int) -> None:
    await accounts.top_up(by_test(api.ctx.db, api.ctx.ids), api.account_id, units, "")


async def test_a_send_is_signed_with_its_idempotency_key(api: Api) -> None:
    answer = await send(api, idempotency_key="order-1")
    assert answer.code == "OK"
    again = await send(api, idempotency_key="order-1")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.data == answer.data
    assert await stored(api) == 1


@pytest.mark.parametrize("change", [{"Idempotency-Key": "order-2"}, {"Idempotency-Key": ""}])
async def test_another_idempotency_key_is_another_signature(api: Api, change: dict[str, str]) -> None:
    for headers in (
        api.signed("POST", SEND, BODY, idempotency_key="order-1") | change,
        api.signed("POST", SEND, BODY) | {"Idempotency-Key": "order-3"},
    ):
        if not headers["Idempotency-Key"]:
            del headers["Idempotency-Key"]
        answer = await send(api, headers)
        assert (answer.status, answer.code) == (401, "AUTH_SIGNATURE_INVALID")
    assert await stored(api) == 0


async def test_a_signature_of_one_version_is_none_of_the_other(api: Api) -> None:
    for version, other in ((1, "v2="), (2, "v1=")):
        headers = api.signed("POST", SEND, BODY, version=version)
        headers["X-Sms-Signature"] = other + headers["X-Sms-Signature"][3:]
        answer = await send(api, headers)
        assert (answer.status, answer.code) == (401, "AUTH_SIGNATURE_INVALID")


@pytest.mark.parametrize("version", [1, 2])
async def test_a_send_that_comes_again_at_another_node_sends_nothing(api: Api, version: int) -> None:
    headers = api.signed("POST", SEND, BODY, version=version)
    assert (await send(api, headers)).code == "OK"
    async with api.another_node() as other:
        changes = [{}] if version == 2 else [{}, {"Idempotency-Key": "mine"}]  # v1 does not cover it
        for change in changes:
            answer = await send(other, headers | change)
            assert (answer.status, answer.code) == (401, "AUTH_NONCE_REPLAYED")
        assert (await send(other)).code == "OK"
    assert await stored(api) == 2


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("GET", "/balance", b""), ("POST", "/reports/pull", b'{"wait_s": 0}'), ("POST", "/messages/explain", BODY)],
)  # fmt: skip
async def test_any_other_call_that_comes_again_at_another_node_is_refused(
    api: Api, method: str, path: str, body: bytes
) -> None:
    headers = api.signed(method, BASE + path, body)
    assert (await api.send(method, BASE + path, data=body, headers=headers)).code == "OK"
    async with api.another_node() as other:
        answer = await other.send(method, BASE + path, data=body, headers=headers)
        assert (answer.status, answer.code) == (401, "AUTH_NONCE_REPLAYED")


async def test_a_table_is_not_written_to_who_comes_with_it_again(api: Api) -> None:
    task = {"name": "n", "to": ["13800138000"], "content": "您好"}
    made = await api.post("/tasks", task, Idempotency_Key="task-1")
    path = f"{BASE}/tasks/{made.data['task_id']}/report"
    headers = api.signed("GET", path)
    assert (await api.send("GET", path, headers=headers)).headers["Content-Type"].startswith("text/csv")
    async with api.another_node() as other:
        answer = await other.send("GET", path, headers=headers)
        assert (answer.status, answer.code) == (401, "AUTH_NONCE_REPLAYED")


async def test_what_was_refused_cannot_be_sent_later_by_somebody_else(api: Api) -> None:
    """Its caller was told that nothing was sent."""
    await money(api, -10_000)
    headers = api.signed("POST", SEND, BODY)
    assert (await send(api, headers)).code == "BALANCE_INSUFFICIENT"
    await money(api, 10_000)
    await api.ctx.nonces.settled()
    async with api.another_node() as other:
        assert (await send(other, headers)).code == "AUTH_NONCE_REPLAYED"
    assert await stored(api) == 0


async def test_the_same_nonce_of_another_key_is_another(api: Api) -> None:
    key = await api.add_key()
    nonce = "n" * 32
    for one in (api.key, key):
        assert (await send(api, nonce=nonce, key=one)).code == "OK"


async def test_nonces_are_forgotten_before_keys_and_each_in_its_time(api: Api) -> None:
    assert (await send(api, idempotency_key="order-1")).code == "OK"
    kinds = "SELECT string_agg(kind::text, '' ORDER BY kind) FROM request_key"
    async with api.ctx.db.acquire() as connection:
        for sweep, before, left in (
            (request_keys.sweep_nonces, -NONCES_KEPT, "kn"), (request_keys.sweep_nonces, timedelta(seconds=1), "k"),
            (request_keys.sweep, -KEYS_KEPT, "k"), (request_keys.sweep, timedelta(seconds=1), None),
        ):  # fmt: skip
            await sweep(connection, clock.now() + before)
            assert await api.ctx.db.fetchval(kinds) == left


async def _spooled(api: Api, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> NewCall:
    """The call that the headers make, as a spool keeps it and gives it back."""
    caught: list[NewCall] = []

    async def catch(call: NewCall) -> Stored:
        caught.append(replaying.from_bytes(replaying.to_bytes(call)))
        return Stored(call.batch_id)

    with monkeypatch.context() as patched:
        patched.setattr(api.acceptor, "_commit", catch)
        await send(api, headers)
    return caught[0]


async def test_of_two_spools_with_one_request_one_sends(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two nodes have taken it while neither could ask the ledger; what the later one enters is a duplicate."""
    headers = api.signed("POST", SEND, BODY)
    one = await _spooled(api, headers, monkeypatch)
    async with api.another_node() as other:
        two = await _spooled(other, headers, monkeypatch)
    assert one.batch_id != two.batch_id
    writer = api.acceptor._writer
    await writer.put(one)
    with pytest.raises(Refused):
        await writer.put(two)
    found = await api.ctx.db.fetch("SELECT state, code FROM part ORDER BY id")
    assert [(row["state"], row["code"]) for row in found] == [(10, ""), (found[1]["state"], "DUPLICATE")]
    status = await api.get(f"/messages/{two.first}")
    assert status.data["status"] != "queued"


async def test_what_was_accepted_is_sent_though_another_node_refused_it_when_it_came_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = api.signed("POST", SEND, BODY)
    async with api.another_node() as other:
        spooled = [await _spooled(node, headers, monkeypatch) for node in (api, other)]
    await money(api, -10_000)
    async with api.another_node() as other:
        assert (await send(other, headers)).code == "BALANCE_INSUFFICIENT"
        await other.ctx.nonces.settled()
    await money(api, 10_000)
    results = await asyncio.gather(*(api.acceptor._writer.put(call) for call in spooled), return_exceptions=True)
    assert [type(result) for result in results] == [Stored, Refused], "and once"
    async with api.another_node() as other:
        assert (await send(other, headers)).code == "AUTH_NONCE_REPLAYED"
    codes = await api.ctx.db.fetch("SELECT code FROM part ORDER BY id")
    assert [row["code"] for row in codes] == ["", "DUPLICATE"]


async def test_without_the_database_nobody_honest_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nonces are remembered by the node alone then; what is read fails, or does not, by itself."""
    writer = api.ctx.nonces._writer
    monkeypatch.setattr(writer, "_dsn", "postgresql://nobody@127.0.0.1:1/none")
    writer._drop_connection()
    for _ in range(3):
        headers = api.signed("GET", BALANCE)
        began = clock.time()
        assert (await look(api, headers)).code == "OK"
        assert clock.time() - began < 3
        assert (await look(api, headers)).code == "AUTH_NONCE_REPLAYED"
    monkeypatch.undo()
    await asyncio.wait_for(api.ctx.nonces.settled(), 20)  # and entered afterwards
    async with api.another_node() as other:
        assert (await look(other, headers)).code == "AUTH_NONCE_REPLAYED"


async def test_version_1_says_until_when_it_is_good(api: Api) -> None:
    async with api.another_node(signature_v1_until=date(2099, 12, 31)) as other:
        with capture_logs() as logs:
            for _ in range(3):
                answer = await look(other, version=1)
                assert answer.code == "OK"
                end = parsedate_to_datetime(answer.headers["Sunset"])
                assert end == datetime(2099, 12, 31, 16, tzinfo=UTC)
                assert answer.headers["Deprecation"].startswith("@")
            assert "Sunset" not in (await look(other)).headers
        told = [line for line in logs if line["event"] == "api.signature_v1"]
        assert [(line["key"], line["until"]) for line in told] == [(api.key.key_id, "2099-12-31")]


@pytest.mark.parametrize("until", [None, date(2020, 1, 1)])
async def test_version_1_has_an_end(api: Api, until: date | None) -> None:
    async with api.another_node(signature_v1_until=until) as other:
        answer = await look(other, version=1)
        assert (answer.status, answer.code) == (401, "AUTH_SIGNATURE_OUTDATED")
        assert (await look(other)).code == "OK"
