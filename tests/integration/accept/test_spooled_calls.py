"""Calls that were taken while the database was away, when they are entered: what was refused, what is held, what the
ledger refuses then. Each is put twice, as after a death in the middle of a replay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest_asyncio
from api_server import Api, running
from changes import by_test
from days import noon
from standins import AnyFleet

from smsgw.core.actor import Actor
from smsgw.core.errors import SmsgwError, message_of
from smsgw.core.keywords import Word
from smsgw.core.model import MessageType, Origin
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.platform.change import Change
from smsgw.platform.policies import service as policies
from smsgw.platform.review.service import Reviewing
from smsgw.platform.words import service as words
from smsgw.store.messages import replaying

GOOD, BAD = ("13800138000", "您好"), ("13800138001", "来赌博")
WORD = message_of("CONTENT_SENSITIVE", {"words": "赌博"})
ADDRESS = "https://reports.example.com/"


@pytest_asyncio.fixture
async def api(dsn: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with running(dsn, tmp_path, now=noon) as built:
        await words.put(by_test(built.ctx.db), [Word("赌博")])
        await built.ctx.snapshots.follow()
        yield built


async def spooled(api: Api, *items: tuple[str, str], meanwhile: str = "", **how: Any) -> list[str]:
    """A call as the spool keeps it, entered after what has happened ``meanwhile``; the ids of its recipients."""
    account = api.ctx.snapshots.current.account(api.account_id)
    assert account is not None
    request = SendRequest(
        account, tuple(SendItem(*item) for item in items), MessageType(how.pop("type", "notice")),
        how.pop("origin", Origin.API), "t", callback_url=ADDRESS, **how,
    )  # fmt: skip
    prepared = await api.acceptor._prepare(request)
    assert prepared.call is not None
    body = replaying.to_bytes(prepared.call)
    if meanwhile:
        await api.ctx.db.execute(meanwhile)
    for _ in range(2):
        with suppress(SmsgwError):
            await api.acceptor._writer.put(replaying.from_bytes(body))
    return [str(item.message_id) for item in prepared.outcome.items]


async def ends(api: Api, ids: list[str]) -> list[tuple[str, str, str]]:
    """Status, code and reason of each record; a report of each that has ended says the same, once, to the address."""
    found = []
    for id_ in ids:
        record = (await api.get(f"/messages/{id_}")).data
        end = record["status"], record["carrier_code"], record["description"]
        rows = await api.ctx.db.fetch("SELECT status, code, target FROM customer_event WHERE message_id = $1", int(id_))
        if record["status"] in ("queued", "held"):
            assert rows == []
            end = (record["status"], "", "")
        else:
            assert [tuple(row) for row in rows] == [(*end[:2], ADDRESS)]
            assert record["price"] == 0
        found.append(end)
    return found


async def balance(api: Api) -> int:
    return int((await api.get("/balance")).data["balance"])


REJECTED = ("rejected", "CONTENT_SENSITIVE", WORD)
QUEUED = ("queued", "", "")


async def test_what_was_refused_is_recorded_beside_what_was_not(api: Api) -> None:
    assert await ends(api, await spooled(api, GOOD, BAD)) == [QUEUED, REJECTED]
    other = ("13800138002", BAD[1])
    assert await ends(api, await spooled(api, BAD, other)) == [REJECTED, REJECTED], "as a whole"
    assert await balance(api) == 9_999


async def test_what_the_ledger_refuses_leaves_the_others_their_own_reason(api: Api) -> None:
    gone = "UPDATE account SET balance = 0"
    ids = await spooled(api, GOOD, BAD, meanwhile=gone)
    short = message_of("BALANCE_INSUFFICIENT", {"need": 1, "left": 0})
    assert await ends(api, ids) == [("rejected", "BALANCE_INSUFFICIENT", short), REJECTED]
    stopped = await spooled(api, BAD, GOOD, meanwhile="UPDATE account SET status = 'stopped'")
    why = message_of("ACCOUNT_STOPPED")
    assert await ends(api, stopped) == [REJECTED, ("rejected", "ACCOUNT_STOPPED", why)]
    assert await balance(api) == 0


async def test_too_many_to_a_number_are_found_out_then(api: Api) -> None:
    first = await spooled(api, ("13800138000", "验证码 1"), type="otp")
    second = await spooled(api, ("13800138000", "验证码 2"), BAD, type="otp")
    rule = message_of("NUMBER_FREQ_LIMITED", {"rule": "验证码短信 1 分钟内最多 1 条"})
    assert await ends(api, first + second) == [QUEUED, ("rejected", "NUMBER_FREQ_LIMITED", rule), REJECTED]
    assert await balance(api) == 9_999


async def test_too_many_abroad_are_found_out_then(api: Api) -> None:
    await policies.put(by_test(api.ctx.db), "abroad_hourly", "2")
    await api.ctx.snapshots.follow()
    first = await spooled(api, ("+85261230001", "您好"), BAD)
    second = await spooled(api, ("13800138000", "您好"), ("+85261230002", "您好"), ("+85261230003", "您好"))
    rule = message_of("INTERNATIONAL_LIMITED", {"rule": "1 小时内最多 2 条"})
    late = ("rejected", "INTERNATIONAL_LIMITED", rule)
    assert await ends(api, first + second) == [QUEUED, REJECTED, QUEUED, QUEUED, late]


async def test_a_partner_who_holds_an_answer_is_told_of_the_end(api: Api) -> None:
    await spooled(api, ("13800138000", "验证码 1"), type="otp")
    (late,) = await spooled(api, ("13800138000", "验证码 2"), type="otp", origin=Origin.SMPP)
    told = await api.ctx.db.fetch(
        "SELECT status, code, acknowledged_at FROM customer_event WHERE message_id = $1", int(late)
    )
    assert [tuple(row) for row in told] == [("rejected", "NUMBER_FREQ_LIMITED", None)]


async def test_what_is_held_waits_for_its_reviewer(api: Api) -> None:
    await policies.put(by_test(api.ctx.db), "review", "all")
    await api.ctx.snapshots.follow()
    ids = await spooled(api, GOOD, BAD)
    assert await ends(api, ids) == [("held", "", ""), REJECTED]
    reviewing = Reviewing(api.ctx.db, api.outcomes, api.ctx.snapshots, AnyFleet(), api.ctx.tasks)
    assert await reviewing.decide(Change(api.ctx.db, Actor.operator("root")), int(ids[0]), passes=True) == 1
    assert await ends(api, ids) == [QUEUED, REJECTED]

    ids = await spooled(api, GOOD, BAD, meanwhile="UPDATE account SET balance = 0")
    (held, bad) = await ends(api, ids)
    assert (held[:2], bad) == (("rejected", "BALANCE_INSUFFICIENT"), REJECTED)
    assert await api.ctx.db.fetchval("SELECT count(*) FROM review") == 1, "nobody is asked about it"
