"""Repeats: while the first call is under way, refused by now, and signed once more: at every node, after a restart and
through an outage of the database."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

import asyncpg
import pytest
from api_server import BASE, Answer, Api
from changes import by_test
from structlog.testing import capture_logs

from smsgw.core.errors import Refused
from smsgw.core.permissions import SCOPES
from smsgw.pipeline.accept.nonces import NONCES_KEPT
from smsgw.pipeline.upkeep.maintenance import KEYS_KEPT
from smsgw.platform.accounts import service as accounts
from smsgw.runtime import clock
from smsgw.store.messages import replaying, request_keys
from smsgw.store.messages.calls import NewCall, Stored

ONE = {"to": ["13800138000"], "content": "您的验证码是 1234"}
OTHER = ONE | {"content": "您的验证码是 9999"}


async def post(api: Api, body: dict[str, object] = ONE, key: str = "key-1") -> Answer:
    return await api.post("/messages", body, Idempotency_Key=key)


async def at_last(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Made again for as long as the first one with its key is under way, as it is told to."""
    while (answer := await call()).code == "IDEMPOTENCY_IN_PROGRESS":  # noqa: ASYNC110 - asks, as a customer does
        await asyncio.sleep(float(answer.headers["Retry-After"]))
    return answer


async def stored(api: Api) -> int:
    return await api.ctx.db.fetchval("SELECT count(*) FROM message")


async def test_while_the_first_takes_long_a_repeat_is_told_to_come_again(api: Api, dsn: str) -> None:
    blocker = await asyncpg.connect(dsn)
    try:
        transaction = blocker.transaction()
        await transaction.start()
        await blocker.execute("SELECT FROM account FOR UPDATE")
        async with asyncio.TaskGroup() as group:
            first = group.create_task(post(api))
            again = group.create_task(post(api))
            other = group.create_task(post(api, OTHER))
            for early in (await again, await other):
                assert (early.status, early.code) == (409, "IDEMPOTENCY_IN_PROGRESS")
                assert early.headers["Retry-After"] == "1"
            assert not first.done()
            await transaction.rollback()
        assert first.result().status == 202
    finally:
        await blocker.close()
    late = await post(api)
    assert late.data == first.result().data
    assert late.headers["Idempotent-Replayed"] == "true"
    assert (await post(api, OTHER)).code == "IDEMPOTENCY_MISMATCH"
    assert await stored(api) == 1


async def test_a_hundred_at_once(api: Api) -> None:
    answers = await asyncio.gather(*(at_last(partial(post, api)) for _ in range(100)))
    assert {a.status for a in answers} == {202}
    assert len({a.raw.partition(b'"data"')[2] for a in answers}) == 1
    assert sum("Idempotent-Replayed" not in a.headers for a in answers) == 1
    assert await stored(api) == 1


async def test_a_first_call_that_is_refused_leaves_the_key_to_the_others(api: Api) -> None:
    poor = await accounts.add(by_test(api.ctx.db), "poor", default_sign="测试", credit_floor=-1)
    key = await api.add_key(poor)
    long = ONE | {"content": "长" * 100}
    calls = [partial(api.post, "/messages", body, key=key, Idempotency_Key="k") for body in (long, ONE, long, ONE)]
    answers = await asyncio.gather(*map(at_last, calls))
    assert Counter(a.code for a in answers)["OK"] == 2
    assert {a.code for a in answers} == {"OK", "BALANCE_INSUFFICIENT", "IDEMPOTENCY_MISMATCH"}
    # Where nothing was stored, nothing is remembered.
    bad = ONE | {"to": ["1"]}
    for _ in range(2):
        assert (await post(api, bad, "none")).code == "NUMBER_INVALID"
    assert (await post(api, ONE, "none")).status == 202


async def test_what_was_accepted_is_answered_so_whatever_has_happened_since(api: Api) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=1.5)).isoformat()
    short = ONE | {"expire_at": soon}
    first, brief = await post(api), await post(api, short, "brief")
    assert first.status == brief.status == 202
    referred = await api.post("/messages", ONE | {"client_ref": "R-1"})

    async def again() -> set[int]:
        repeats = [await post(api), await api.post("/messages", ONE | {"client_ref": "R-1"})]
        assert [r.data for r in repeats] == [first.data, referred.data]
        return {r.status for r in repeats}

    api.blocked.add("CMCC")
    assert (await post(api, ONE, "new")).code == "NO_ROUTE"
    assert await again() == {202}
    api.blocked.clear()
    await accounts.edit(by_test(api.ctx.db), api.account_id, {"rate": 1})
    await api.ctx.snapshots.follow()
    many = await asyncio.gather(*(post(api, ONE, f"new-{n}") for n in range(20)))
    assert "RATE_LIMITED" in {a.code for a in many}
    assert await again() == {202}
    await accounts.set_status(by_test(api.ctx.db), api.account_id, "stopped")
    await api.ctx.snapshots.follow()
    assert (await post(api, ONE, "new")).code == "ACCOUNT_STOPPED"
    assert (await post(api, OTHER)).code == "ACCOUNT_STOPPED"  # another request: what it is refused for counts
    assert await again() == {202}
    while datetime.now(UTC).isoformat() < soon:  # noqa: ASYNC110 - its time must really pass
        await asyncio.sleep(0.1)
    late = await post(api, short, "brief")
    assert (late.status, late.data) == (202, brief.data)


TEMPLATE = {"name": "验证码", "content": "您的验证码是{code}", "type": "otp"}


async def made(api: Api, key: str, body: dict[str, object] = TEMPLATE) -> Answer:
    return await api.post("/templates", body, Idempotency_Key=key)


async def test_calls_that_change_something_are_made_once_for_a_key(api: Api) -> None:
    api.key = await api.add_key(scopes=SCOPES)
    first, *others = await asyncio.gather(*(at_last(partial(made, api, "t-1")) for _ in range(20)))
    assert {a.code for a in (first, *others)} == {"OK"}
    assert {answer.data["template_id"] for answer in others} == {first.data["template_id"]}
    assert sum(answer.headers.get("Idempotent-Replayed") == "true" for answer in (first, *others)) == 19
    assert len((await api.get("/templates")).data["items"]) == 1
    assert (await made(api, "t-1", TEMPLATE | {"name": "别的"})).code == "IDEMPOTENCY_MISMATCH"
    assert (await post(api, ONE, "t-1")).code == "IDEMPOTENCY_MISMATCH", "a key is for one call, whatever it was"
    # A refused call has changed nothing: its key is free.
    assert (await made(api, "t-2", TEMPLATE | {"content": "{"})).status == 400
    assert (await made(api, "t-2", TEMPLATE | {"name": "验证码二"})).status == 200


async def test_a_secret_is_not_made_twice_and_not_kept_in_clear(api: Api) -> None:
    api.key = await api.add_key(scopes=SCOPES)
    await api.call("PUT", "/webhooks/main", {"url": "https://127.0.0.1:1/hook"})
    first = await api.post("/webhooks/main/secret", {}, Idempotency_Key="s-1")
    again = await api.post("/webhooks/main/secret", {}, Idempotency_Key="s-1")
    assert again.data == first.data
    kept = await api.ctx.db.fetchval("SELECT answer FROM request_key WHERE key = 's-1'")
    assert kept
    assert first.data["secret"].encode() not in kept


async def test_a_call_that_died_is_made_again_after_a_while(api: Api) -> None:
    api.key = await api.add_key(scopes=SCOPES)
    db = api.ctx.db

    async def block() -> Answer:
        return await api.post("/blocklist", {"numbers": ["13800138000"]}, Idempotency_Key="d-1")

    first = await block()
    assert first.status == 200
    # As a node leaves it that dies between the call and its answer, and as another node finds it.
    await db.execute("UPDATE request_key SET answer = '' WHERE key = 'd-1'")
    early = await block()
    assert (early.status, early.code) == (409, "IDEMPOTENCY_IN_PROGRESS")
    await db.execute("UPDATE request_key SET created_at = now() - interval '3 minutes' WHERE key = 'd-1'")
    late, again = await block(), await block()
    assert late.status == 200
    assert "Idempotent-Replayed" not in late.headers
    assert again.data == late.data
    assert again.headers["Idempotent-Replayed"] == "true"


SEND, BALANCE = f"{BASE}/messages", f"{BASE}/balance"
BODY = json.dumps({"to": ["13800138000"], "content": "您的验证码是 1234", "type": "otp"}).encode()


async def send(api: Api, headers: dict[str, str] | None = None, **how: Any) -> Answer:
    return await api.send("POST", SEND, data=BODY, headers=headers or api.signed("POST", SEND, BODY, **how))


async def look(api: Api, headers: dict[str, str] | None = None, **how: Any) -> Answer:
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
)
async def test_any_other_repeat_at_another_node_is_refused(api: Api, method: str, path: str, body: bytes) -> None:
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
