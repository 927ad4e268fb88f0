"""Message fallback: each hop is taken once, and only after what has definitely failed."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from changes import by_test
from taskdesk import Desk, desk, refusing

from smsgw.core.actor import Actor
from smsgw.core.errors import Temporary
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


def chains(one: Desk) -> Fallback:
    return Fallback(one.database, one.acceptor, one.snapshots, now=one.now)


async def messages(one: Desk, text: str) -> list[Row]:
    return await one.database.fetch(_MESSAGES, f"%{text}%")


async def fail(one: Desk, id_: int, state: PartState = S.UNDELIVERABLE, code: str = "MK:0001") -> None:
    await one.database.execute(_FATE, id_, int(state), code, "", False, 0)


async def failed(d: Desk, n: int) -> list[Row]:
    """Messages of a task with a chain, none of which has arrived."""
    await d.make(n, "第一次通知", fallback=CHAIN)
    await d.feed()
    rows = await messages(d, "第一次")
    for row in rows:
        await fail(d, row["id"])
    return rows


async def taken(one: Desk, *rounds: Fallback) -> None:
    one.later(seconds=700)
    await asyncio.gather(*(each.step() for each in rounds or (chains(one),)))


async def test_only_what_has_definitely_failed_is_followed(d: Desk) -> None:
    task = await d.make(len(FATES), "第一次通知", fallback=CHAIN)
    await d.feed()
    first = await messages(d, "第一次")
    for row, (state, code, cls, by_us, resent, _) in zip(first, FATES, strict=True):
        await d.database.execute(_FATE, row["id"], int(state), code, cls, by_us, resent)
    await taken(d)
    await taken(d)
    wanted = [row["number"] for row, fate in zip(first, FATES, strict=True) if fate[-1]]
    second = await messages(d, "第二次")
    assert [row["number"] for row in second] == wanted
    assert {(row["origin"], row["submitter"], row["type"], row["price"]) for row in second} == {
        ("task", "key", "notice", 1)
    }
    links = await d.database.fetch("SELECT * FROM message_resend")
    assert {(row["hop"], row["task_id"], row["run"]) for row in links} == {(1, task, 1)}
    assert sorted(row["again_id"] for row in links) == [row["id"] for row in second]
    # The third follows the second alone, and knows where the chain began.
    await fail(d, second[0]["id"])
    await d.submit()
    await taken(d)
    third = await messages(d, "第三次")
    assert [row["number"] for row in third] == wanted[:1]
    last = await d.database.fetchrow("SELECT * FROM message_resend WHERE hop = 2")
    assert (last["message_id"], last["again_id"], last["first_id"]) == (second[0]["id"], third[0]["id"], first[0]["id"])
    # Each was paid for.
    used = await d.database.fetchval("SELECT 100000 - balance FROM account WHERE id = $1", d.account_id)
    assert used == len(FATES) + len(wanted) + 1
    # What was not known is, by a late report: now the hop follows.
    late = next(row for row, fate in zip(first, FATES, strict=True) if fate[0] is S.NO_REPORT)
    await fail(d, late["id"])
    await taken(d)
    assert late["number"] in {row["number"] for row in await messages(d, "第二次")}


@pytest.mark.parametrize("when", ["failed", "expired"])
async def test_a_hop_for_one_cause_does_not_follow_another(d: Desk, when: str) -> None:
    chain = {"hops": [{"content": "第二次通知", "when": when}]}
    await d.make(2, "第一次通知", expire_at=d.now() + timedelta(hours=1), fallback=chain)
    await d.feed()
    failed, expired = await messages(d, "第一次")
    await fail(d, failed["id"])
    await fail(d, expired["id"], S.EXPIRED, "")
    await taken(d)
    assert [row["number"] for row in await messages(d, "第二次")] == [
        {"failed": failed, "expired": expired}[when]["number"]
    ]


async def test_two_nodes_and_a_person_follow_it_once(d: Desk) -> None:
    first = await failed(d, 60)
    change = Change(d.database, Actor.system("test"), ids=d.ids.next)

    async def by_hand() -> int:
        done = 0
        for row in reversed(first):
            try:
                await resend.again(change, d.acceptor, d.snapshots.current, row["id"])
                done += 1
            except Exception as exc:
                assert getattr(exc, "code", "") in ("STATE_CONFLICT", "BACKPRESSURE", "RATE_LIMITED"), exc  # noqa: PT017
        return done

    d.later(seconds=700)
    done, *_ = await asyncio.gather(by_hand(), chains(d).step(), chains(d).step())
    await taken(d)
    await taken(d)
    all_ = await d.database.fetch("SELECT number, count(*) AS n FROM message GROUP BY number")
    assert {row["n"] for row in all_} == {2}
    assert len(await messages(d, "第二次")) == len(first) - done


async def test_a_death_after_the_commit_takes_no_hop_twice(d: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await failed(d, 3)

    class Died(BaseException):
        """The process is gone."""

    def die(point: str) -> None:
        if point == "fallback.committed":
            raise Died

    with monkeypatch.context() as patched:
        patched.setattr(failpoints, "reach", die)
        with pytest.raises(Died):
            await taken(d)
    assert await messages(d, "第二次")
    await taken(d)
    await taken(d)
    numbers = Counter(row["number"] for row in await messages(d, "第二次"))
    assert len(numbers) == 3
    assert set(numbers.values()) == {1}


async def test_when_its_time_is_over_nothing_follows(d: Desk) -> None:
    await d.make(1, "第一次通知", fallback=CHAIN | {"minutes": 30})
    await d.feed()
    (row,) = await messages(d, "第一次")
    d.later(minutes=31)
    await fail(d, row["id"])
    await taken(d)
    assert not await messages(d, "第二次")
    assert await d.database.fetchval("SELECT count(*) FROM fallback_watch WHERE look_at IS NOT NULL") == 0


async def test_a_task_that_is_paused_or_cancelled_takes_no_hop(d: Desk) -> None:
    task = await d.make(3, "第一次通知", fallback=CHAIN)
    await d.feed()
    first = await messages(d, "第一次")
    change = Change(d.database, Actor.system("test"))
    await fail(d, first[0]["id"])
    await d.submit()
    await taken(d)
    (hop,) = await messages(d, "第二次")
    assert hop["state"] == S.QUEUED
    # Its run is not over: what follows may follow still.
    assert (await d.fed(task)).task.state == "sent"
    await d.tasks.pause(change, task)
    assert [row["state"] for row in await messages(d, "第二次")] == [S.HELD]
    await fail(d, first[1]["id"])
    await taken(d)
    assert len(await messages(d, "第二次")) == 1
    await d.tasks.resume(change, task)
    assert [row["state"] for row in await messages(d, "第二次")] == [S.QUEUED]
    await d.tasks.cancel(change, task)
    assert [row["state"] for row in await messages(d, "第二次")] == [S.CANCELLED]
    await taken(d)
    assert len(await messages(d, "第二次")) == 1


async def test_a_run_is_over_when_its_hops_are(d: Desk) -> None:
    await failed(d, 1)
    await taken(d)
    await d.submit()
    await taken(d)
    d.feeder._counted = float("-inf")
    await d.feed()
    assert await d.database.fetchval("SELECT state FROM task") == "finished"


async def test_a_hop_waits_for_money_as_long_as_it_has_time(dsn: str, tmp_path: Path) -> None:
    async with desk(dsn, tmp_path, balance=1) as one:
        await failed(one, 1)
        await taken(one)
        assert not await messages(one, "第二次")
        assert await one.database.fetchval("SELECT problem FROM fallback_watch") == "BALANCE_INSUFFICIENT"
        await accounts.top_up(by_test(one.database, one.ids.next), one.account_id, 5, "")
        await taken(one)
        assert len(await messages(one, "第二次")) == 1


async def test_what_the_lists_say_by_then_holds_for_a_hop(d: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await failed(d, 1)
    lists = d.acceptor._checker.lists
    monkeypatch.setattr(type(lists), "refusal", lambda *_: ("NUMBER_OPTED_OUT", {}))
    await taken(d)
    (hop,) = await messages(d, "第二次")
    assert hop["state"] == S.REJECTED
    assert hop["refusal"]
    monkeypatch.undo()
    await taken(d)
    assert not await messages(d, "第三次")  # what we refuse ourselves has not failed on its way


async def test_values_of_a_template_go_into_the_hops(d: Desk) -> None:
    """As a scenario's call by the interface has them."""
    chain = chain_of({"hops": [{"content": "{name}您好，第二次通知", "sign": "另一个"}]})
    item = SendItem("13800000001", "张三您好，第一次通知", ext="own")
    request = SendRequest(
        d.account, (item,), MessageType.NOTICE, Origin.API, "key", follow=Follow(chain, values=({"name": "张三"},))
    )
    await d.acceptor.send(request)
    (row,) = await messages(d, "第一次")
    await fail(d, row["id"])
    await taken(d)
    (hop,) = await messages(d, "第二次")
    assert (hop["content"], hop["sign"], hop["ext"]) == ("【另一个】张三您好，第二次通知", "另一个", "own")


async def test_what_no_reviewer_has_passed_in_time_is_not_followed(d: Desk) -> None:
    """A call of two waits for a reviewer, as one number alone, of a hop, would not."""
    await policies.put(by_test(d.database), "review_over", "2")
    await d.snapshots.follow()
    for texts, numbers in (("第一次通知", "01 02 03"), ("另一个通知", "04")):
        items = tuple(SendItem(f"138000000{number}", texts) for number in numbers.split())
        follow = Follow(chain_of(CHAIN), values=({},) * len(items))
        await d.acceptor.send(SendRequest(d.account, items, MessageType.NOTICE, Origin.API, "k", follow=follow))
    held = await messages(d, "第一次")
    assert {row["state"] for row in held} == {S.HELD}
    for row in (*held, *await messages(d, "另一个")):
        await fail(d, row["id"], S.EXPIRED, "EXPIRED")
    await d.database.execute("UPDATE review SET state = 'expired', decided_at = now()")
    await taken(d)
    assert [row["number"] for row in await messages(d, "第二次")] == ["8613800000004"]


async def test_a_chain_that_cannot_be_filled_holds_up_no_other(d: Desk) -> None:
    for number, text in (("13800000001", "{new}第二次通知"), ("13800000002", "第二次通知")):
        follow = Follow(chain_of({"hops": [{"content": text}]}), values=({},))
        item = SendItem(number, "第一次通知")
        await d.acceptor.send(SendRequest(d.account, (item,), MessageType.NOTICE, Origin.API, "k", follow=follow))
    for row in await messages(d, "第一次"):
        await fail(d, row["id"])
    await taken(d)
    assert [row["number"] for row in await messages(d, "第二次")] == ["8613800000002"]
    problems = await d.database.fetch("SELECT problem FROM fallback_watch WHERE look_at IS NOT NULL AND hop = 0")
    assert [row["problem"] for row in problems] == ["CONTENT_VARIABLE_UNRESOLVED"]


async def test_a_look_that_breaks_holds_up_no_other(d: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("第一次通知", "另一个通知"):
        await d.make(1, text, fallback=CHAIN)
    await d.feed()
    rows = [*await messages(d, "第一次"), *await messages(d, "另一个")]
    for row in rows:
        await fail(d, row["id"])
    one, look = chains(d), Fallback._look

    async def breaks(self: Fallback, watch: Watch) -> None:
        if watch.base_id == rows[0]["id"]:
            raise RuntimeError("a mistake of ours")
        await look(self, watch)

    monkeypatch.setattr(Fallback, "_look", breaks)
    await taken(d, one)
    assert [row["number"] for row in await messages(d, "第二次")] == [rows[1]["number"]]


async def test_a_number_that_has_no_way_holds_up_no_other(d: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "AT_ONCE", 1)
    first = await failed(d, 3)
    send = d.acceptor.send

    async def refuses(request: SendRequest) -> object:
        if request.items[0].to.endswith(first[0]["number"]):
            raise Temporary("NO_ROUTE")
        return await send(request)

    monkeypatch.setattr(d.acceptor, "send", refuses)
    await taken(d)
    assert [row["number"] for row in await messages(d, "第二次")] == [row["number"] for row in first[1:]]


@pytest.mark.parametrize("end", ["pause", "cancel"])
async def test_all_hops_that_wait_stop_with_their_task(d: Desk, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    monkeypatch.setattr(campaigns, "HOPS_AT_ONCE", 2)
    await failed(d, 7)
    await taken(d)
    await taken(d)
    task = await d.database.fetchval("SELECT id FROM task")
    change = Change(d.database, Actor.system("test"))
    await (d.tasks.pause if end == "pause" else d.tasks.cancel)(change, task)
    states = [row["state"] for row in await messages(d, "第二次")]
    assert states == [S.HELD if end == "pause" else S.CANCELLED] * 7


async def test_a_chain_that_could_not_be_sent_is_refused(d: Desk) -> None:
    for chain, code, field in (
        ({"hops": [{"content": "{name}您好"}]}, "PARAM_INVALID", "hops[0].content"),
        ({"hops": [{"template_id": 99}]}, "TEMPLATE_NOT_FOUND", "hops[0].template_id"),
        ({"hops": [{"content": "好", "prefer": "nowhere"}]}, "PARAM_INVALID", "hops[0].prefer"),
        ({"hops": [{"content": "好", "when": "expired"}], "minutes": 60}, "PARAM_INVALID", "minutes"),
    ):
        with refusing(code, field=f"fallback.{field}"):
            await d.make(1, "第一次通知", fallback=chain)
