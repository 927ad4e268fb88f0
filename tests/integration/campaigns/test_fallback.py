"""Message fallback: each hop is taken once, and only after what has definitely failed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from changes import by_test
from taskdesk import Desk, desk

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused, Temporary
from smsgw.core.fallback import Follow, chain_of
from smsgw.core.model import MessageType, Origin
from smsgw.core.states import PartState
from smsgw.pipeline.accept.requests import SendItem, SendRequest
from smsgw.platform.accounts import service as accounts
from smsgw.platform.campaigns import service as campaigns
from smsgw.platform.change import Change
from smsgw.platform.fallback import service as fallback
from smsgw.platform.fallback.service import Fallback
from smsgw.platform.messages import resend
from smsgw.platform.policies import service as policies
from smsgw.runtime import failpoints
from smsgw.store.engine.database import Row
from smsgw.store.messages.fallback import Watch

S = PartState
CHAIN: dict[str, Any] = {"hops": [{"content": "第二次通知"}, {"content": "第三次通知"}], "minutes": 600}
# State, code, class, refused by ourselves, sent again by policy before; whether a hop follows.
FATES = (
    (S.UNDELIVERABLE, "MK:0001", "EMPTY_NUMBER", False, 0, True), (S.EXPIRED, "", "", False, 0, True),
    (S.REJECTED, "ID:0076", "CONTENT_BLOCKED", False, 0, True),
    (S.UNDELIVERABLE, "OPERATOR:FAILED", "", False, 0, True),
    (S.REJECTED, "CONTENT_SENSITIVE", "CONTENT_BLOCKED", True, 0, False),
    (S.REJECTED, "REVIEW_REJECTED", "POLICY", True, 0, False), (S.DELIVERED, "DELIVRD", "", False, 0, False),
    (S.SENT, "", "", False, 0, False), (S.SENDING, "", "", False, 0, False), (S.UNKNOWN, "", "", False, 0, False),
    (S.UNCONFIRMED, "", "", False, 0, False), (S.NO_REPORT, "", "", False, 0, False),
    (S.CANCELLED, "", "", True, 0, False), (S.DUPLICATE, "", "", True, 0, False),
    (S.UNDELIVERABLE, "MC:0055", "NETWORK", False, 0, False),
    (S.UNDELIVERABLE, "NOBODY:KNOWS", "UNKNOWN", False, 0, False), (S.EXPIRED, "", "", False, 1, False),
)  # fmt: skip
_FATE = """
UPDATE part SET state = $2, code = $3, class = $4, by_us = $5, resent = $6, final_at = now() WHERE id = $1
"""
_MESSAGES = """
SELECT m.*, p.state FROM message m JOIN part p ON p.id = m.id AND p.part = 1 WHERE m.content LIKE $1 ORDER BY m.id
"""


@pytest_asyncio.fixture
async def a_desk(dsn: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(dsn, tmp_path) as one:
        yield one


def chains(one: Desk) -> Fallback:
    return Fallback(one.database, one.acceptor, one.snapshots, now=one.now)


async def messages(one: Desk, text: str) -> list[Row]:
    return await one.database.fetch(_MESSAGES, f"%{text}%")


async def fail(one: Desk, id_: int, state: PartState = S.UNDELIVERABLE, code: str = "MK:0001") -> None:
    await one.database.execute(_FATE, id_, int(state), code, "", False, 0)


async def taken(one: Desk, *rounds: Fallback) -> None:
    """Everybody looks at what is due, at the same time."""
    one.later(seconds=700)
    await asyncio.gather(*(each.step() for each in rounds or (chains(one),)))


async def test_only_what_has_definitely_failed_is_followed(a_desk: Desk) -> None:
    task = await a_desk.make(len(FATES), "第一次通知", fallback=CHAIN)
    await a_desk.feed()
    first = await messages(a_desk, "第一次")
    for row, (state, code, cls, by_us, resent, _) in zip(first, FATES, strict=True):
        await a_desk.database.execute(_FATE, row["id"], int(state), code, cls, by_us, resent)
    await taken(a_desk)
    await taken(a_desk)
    wanted = [row["number"] for row, fate in zip(first, FATES, strict=True) if fate[-1]]
    second = await messages(a_desk, "第二次")
    assert [row["number"] for row in second] == wanted
    assert {(row["origin"], row["submitter"], row["type"], row["price"]) for row in second} == {
        ("task", "key", "notice", 1)
    }
    links = await a_desk.database.fetch("SELECT * FROM message_resend")
    assert {(row["hop"], row["task_id"], row["run"]) for row in links} == {(1, task, 1)}
    assert sorted(row["again_id"] for row in links) == [row["id"] for row in second]
    # The third follows the second alone, and knows where the chain began.
    await fail(a_desk, second[0]["id"])
    await a_desk.submit()
    await taken(a_desk)
    third = await messages(a_desk, "第三次")
    assert [row["number"] for row in third] == wanted[:1]
    last = await a_desk.database.fetchrow("SELECT * FROM message_resend WHERE hop = 2")
    assert last is not None
    assert (last["message_id"], last["again_id"], last["first_id"]) == (second[0]["id"], third[0]["id"], first[0]["id"])
    # Each was paid for.
    used = await a_desk.database.fetchval("SELECT 100000 - balance FROM account WHERE id = $1", a_desk.account_id)
    assert used == len(FATES) + len(wanted) + 1
    # What was not known is, by a late report: now the hop follows.
    late = next(row for row, fate in zip(first, FATES, strict=True) if fate[0] is S.NO_REPORT)
    await fail(a_desk, late["id"])
    await taken(a_desk)
    assert late["number"] in {row["number"] for row in await messages(a_desk, "第二次")}


@pytest.mark.parametrize("when", ["failed", "expired"])
async def test_a_hop_for_one_cause_does_not_follow_another(a_desk: Desk, when: str) -> None:
    chain = {"hops": [{"content": "第二次通知", "when": when}]}
    await a_desk.make(2, "第一次通知", expire_at=a_desk.now() + timedelta(hours=1), fallback=chain)
    await a_desk.feed()
    failed, expired = await messages(a_desk, "第一次")
    await fail(a_desk, failed["id"])
    await fail(a_desk, expired["id"], S.EXPIRED, "")
    await taken(a_desk)
    assert [row["number"] for row in await messages(a_desk, "第二次")] == [
        {"failed": failed, "expired": expired}[when]["number"]
    ]


async def test_two_nodes_and_a_person_follow_it_once(a_desk: Desk) -> None:
    await a_desk.make(60, "第一次通知", fallback=CHAIN)
    await a_desk.feed()
    first = await messages(a_desk, "第一次")
    for row in first:
        await fail(a_desk, row["id"])
    change = Change(a_desk.database, Actor.system("test"), ids=a_desk.ids.next)

    async def by_hand() -> int:
        done = 0
        for row in reversed(first):
            try:
                await resend.again(change, a_desk.acceptor, a_desk.snapshots.current, row["id"])
                done += 1
            except Exception as exc:
                assert getattr(exc, "code", "") in ("STATE_CONFLICT", "BACKPRESSURE", "RATE_LIMITED"), exc  # noqa: PT017
        return done

    a_desk.later(seconds=700)
    done, *_ = await asyncio.gather(by_hand(), chains(a_desk).step(), chains(a_desk).step())
    await taken(a_desk)
    await taken(a_desk)
    all_ = await a_desk.database.fetch("SELECT number, count(*) AS n FROM message GROUP BY number")
    assert {row["n"] for row in all_} == {2}
    assert len(await messages(a_desk, "第二次")) == len(first) - done


async def test_a_death_after_the_commit_takes_no_hop_twice(a_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await a_desk.make(3, "第一次通知", fallback=CHAIN)
    await a_desk.feed()
    for row in await messages(a_desk, "第一次"):
        await fail(a_desk, row["id"])

    class Died(BaseException):
        """The process is gone."""

    def die(point: str) -> None:
        if point == "fallback.committed":
            raise Died

    with monkeypatch.context() as patched:
        patched.setattr(failpoints, "reach", die)
        with pytest.raises(Died):
            await taken(a_desk)
    assert await messages(a_desk, "第二次")
    await taken(a_desk)
    await taken(a_desk)
    numbers = Counter(row["number"] for row in await messages(a_desk, "第二次"))
    assert len(numbers) == 3
    assert set(numbers.values()) == {1}


async def test_when_its_time_is_over_nothing_follows(a_desk: Desk) -> None:
    await a_desk.make(1, "第一次通知", fallback=CHAIN | {"minutes": 30})
    await a_desk.feed()
    (row,) = await messages(a_desk, "第一次")
    a_desk.later(minutes=31)
    await fail(a_desk, row["id"])
    await taken(a_desk)
    assert not await messages(a_desk, "第二次")
    assert await a_desk.database.fetchval("SELECT count(*) FROM fallback_watch WHERE look_at IS NOT NULL") == 0


async def test_a_task_that_is_paused_or_cancelled_takes_no_hop(a_desk: Desk) -> None:
    task = await a_desk.make(3, "第一次通知", fallback=CHAIN)
    await a_desk.feed()
    first = await messages(a_desk, "第一次")
    change = Change(a_desk.database, Actor.system("test"))
    await fail(a_desk, first[0]["id"])
    await a_desk.submit()
    await taken(a_desk)
    (hop,) = await messages(a_desk, "第二次")
    assert hop["state"] == S.QUEUED
    # Its run is not over: what follows may follow still.
    await a_desk.feed()
    assert (await a_desk.view(task)).task.state == "sent"
    await a_desk.tasks.pause(change, task)
    assert [row["state"] for row in await messages(a_desk, "第二次")] == [S.HELD]
    await fail(a_desk, first[1]["id"])
    await taken(a_desk)
    assert len(await messages(a_desk, "第二次")) == 1
    await a_desk.tasks.resume(change, task)
    assert [row["state"] for row in await messages(a_desk, "第二次")] == [S.QUEUED]
    await a_desk.tasks.cancel(change, task)
    assert [row["state"] for row in await messages(a_desk, "第二次")] == [S.CANCELLED]
    await taken(a_desk)
    assert len(await messages(a_desk, "第二次")) == 1


async def test_a_run_is_over_when_its_hops_are(a_desk: Desk) -> None:
    task = await a_desk.make(1, "第一次通知", fallback=CHAIN)
    await a_desk.feed()
    await fail(a_desk, (await messages(a_desk, "第一次"))[0]["id"])
    await taken(a_desk)
    await a_desk.submit()
    await taken(a_desk)
    a_desk.feeder._counted = float("-inf")
    await a_desk.feed()
    assert (await a_desk.view(task)).task.state == "finished"


async def test_a_hop_waits_for_money_as_long_as_it_has_time(dsn: str, tmp_path: Path) -> None:
    async with desk(dsn, tmp_path, balance=1) as one:
        await one.make(1, "第一次通知", fallback=CHAIN)
        await one.feed()
        (row,) = await messages(one, "第一次")
        await fail(one, row["id"])
        await taken(one)
        assert not await messages(one, "第二次")
        assert await one.database.fetchval("SELECT problem FROM fallback_watch") == "BALANCE_INSUFFICIENT"
        await accounts.top_up(by_test(one.database, one.ids.next), one.account_id, 5, "")
        await taken(one)
        assert len(await messages(one, "第二次")) == 1


async def test_what_the_lists_say_by_then_holds_for_a_hop(a_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await a_desk.make(1, "第一次通知", fallback=CHAIN)
    await a_desk.feed()
    (row,) = await messages(a_desk, "第一次")
    await fail(a_desk, row["id"])
    lists = a_desk.acceptor._checker.lists
    monkeypatch.setattr(type(lists), "refusal", lambda *_: ("NUMBER_OPTED_OUT", {}))
    await taken(a_desk)
    (hop,) = await messages(a_desk, "第二次")
    assert hop["state"] == S.REJECTED
    assert hop["refusal"]
    monkeypatch.undo()
    await taken(a_desk)
    assert not await messages(a_desk, "第三次")  # what we refuse ourselves has not failed on its way


async def test_values_of_a_template_go_into_the_hops(a_desk: Desk) -> None:
    """As a scenario's call by the interface has them."""
    account = a_desk.snapshots.current.account(a_desk.account_id)
    assert account is not None
    chain = chain_of({"hops": [{"content": "{name}您好，第二次通知", "sign": "另一个"}]})
    item = SendItem("13800000001", "张三您好，第一次通知", ext="own")
    request = SendRequest(
        account, (item,), MessageType.NOTICE, Origin.API, "key", follow=Follow(chain, values=({"name": "张三"},))
    )
    await a_desk.acceptor.send(request)
    (row,) = await messages(a_desk, "第一次")
    await fail(a_desk, row["id"])
    await taken(a_desk)
    (hop,) = await messages(a_desk, "第二次")
    assert (hop["content"], hop["sign"], hop["ext"]) == ("【另一个】张三您好，第二次通知", "另一个", "own")


async def test_what_no_reviewer_has_passed_in_time_is_not_followed(a_desk: Desk) -> None:
    """A call of two waits for a reviewer, as one number alone, of a hop, would not."""
    await policies.put(by_test(a_desk.database), "review_over", "2")
    await a_desk.snapshots.follow()
    account = a_desk.snapshots.current.account(a_desk.account_id)
    assert account is not None
    for texts, numbers in (("第一次通知", "01 02 03"), ("另一个通知", "04")):
        items = tuple(SendItem(f"138000000{number}", texts) for number in numbers.split())
        follow = Follow(chain_of(CHAIN), values=({},) * len(items))
        await a_desk.acceptor.send(SendRequest(account, items, MessageType.NOTICE, Origin.API, "k", follow=follow))
    held = await messages(a_desk, "第一次")
    assert {row["state"] for row in held} == {S.HELD}
    for row in (*held, *await messages(a_desk, "另一个")):
        await fail(a_desk, row["id"], S.EXPIRED, "EXPIRED")
    await a_desk.database.execute("UPDATE review SET state = 'expired', decided_at = now()")
    await taken(a_desk)
    assert [row["number"] for row in await messages(a_desk, "第二次")] == ["8613800000004"]


async def test_a_chain_that_cannot_be_filled_holds_up_no_other(a_desk: Desk) -> None:
    account = a_desk.snapshots.current.account(a_desk.account_id)
    assert account is not None
    for number, text in (("13800000001", "{new}第二次通知"), ("13800000002", "第二次通知")):
        follow = Follow(chain_of({"hops": [{"content": text}]}), values=({},))
        item = SendItem(number, "第一次通知")
        await a_desk.acceptor.send(SendRequest(account, (item,), MessageType.NOTICE, Origin.API, "k", follow=follow))
    for row in await messages(a_desk, "第一次"):
        await fail(a_desk, row["id"])
    await taken(a_desk)
    assert [row["number"] for row in await messages(a_desk, "第二次")] == ["8613800000002"]
    problems = await a_desk.database.fetch("SELECT problem FROM fallback_watch WHERE look_at IS NOT NULL AND hop = 0")
    assert [row["problem"] for row in problems] == ["CONTENT_VARIABLE_UNRESOLVED"]


async def test_a_look_that_breaks_holds_up_no_other(a_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("第一次通知", "另一个通知"):
        await a_desk.make(1, text, fallback=CHAIN)
    await a_desk.feed()
    rows = [*await messages(a_desk, "第一次"), *await messages(a_desk, "另一个")]
    for row in rows:
        await fail(a_desk, row["id"])
    one, look = chains(a_desk), Fallback._look

    async def breaks(self: Fallback, watch: Watch) -> None:
        if watch.base_id == rows[0]["id"]:
            raise RuntimeError("a mistake of ours")
        await look(self, watch)

    monkeypatch.setattr(Fallback, "_look", breaks)
    await taken(a_desk, one)
    assert [row["number"] for row in await messages(a_desk, "第二次")] == [rows[1]["number"]]


async def test_a_number_that_has_no_way_holds_up_no_other(a_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "AT_ONCE", 1)
    await a_desk.make(3, "第一次通知", fallback=CHAIN)
    await a_desk.feed()
    first = await messages(a_desk, "第一次")
    for row in first:
        await fail(a_desk, row["id"])
    send = a_desk.acceptor.send

    async def refuses(request: SendRequest) -> object:
        if request.items[0].to.endswith(first[0]["number"]):
            raise Temporary("NO_ROUTE")
        return await send(request)

    monkeypatch.setattr(a_desk.acceptor, "send", refuses)
    await taken(a_desk)
    assert [row["number"] for row in await messages(a_desk, "第二次")] == [row["number"] for row in first[1:]]


@pytest.mark.parametrize("end", ["pause", "cancel"])
async def test_all_hops_that_wait_stop_with_their_task(
    a_desk: Desk, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(campaigns, "HOPS_AT_ONCE", 2)
    task = await a_desk.make(7, "第一次通知", fallback=CHAIN)
    await a_desk.feed()
    for row in await messages(a_desk, "第一次"):
        await fail(a_desk, row["id"])
    await taken(a_desk)
    await taken(a_desk)
    change = Change(a_desk.database, Actor.system("test"))
    await (a_desk.tasks.pause if end == "pause" else a_desk.tasks.cancel)(change, task)
    states = [row["state"] for row in await messages(a_desk, "第二次")]
    assert states == [S.HELD if end == "pause" else S.CANCELLED] * 7


@pytest.mark.parametrize(
    ("chain", "code", "field"),
    [
        ({"hops": [{"content": "{name}您好"}]}, "PARAM_INVALID", "fallback.hops[0].content"),
        ({"hops": [{"template_id": 99}]}, "TEMPLATE_NOT_FOUND", "fallback.hops[0].template_id"),
        ({"hops": [{"content": "好", "prefer": "nowhere"}]}, "PARAM_INVALID", "fallback.hops[0].prefer"),
        ({"hops": [{"content": "好", "when": "expired"}], "minutes": 60}, "PARAM_INVALID", "fallback.minutes"),
    ],
)
async def test_a_chain_that_could_not_be_sent_is_refused(
    a_desk: Desk, chain: dict[str, Any], code: str, field: str
) -> None:
    with pytest.raises((Invalid, Refused)) as refused:
        await a_desk.make(1, "第一次通知", fallback=chain)
    assert refused.value.code == code
    assert refused.value.detail["field"] == field
