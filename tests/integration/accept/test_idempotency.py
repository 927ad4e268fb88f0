"""Repeats while the first call is under way, and repeats that would be refused today."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import asyncpg
from api_server import Answer, Api
from changes import by_test

from smsgw.core.permissions import SCOPES
from smsgw.platform.accounts import service as accounts

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
