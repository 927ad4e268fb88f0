"""Inbound messages on the real ledger: joined in any order, tied to what they answer, opt-outs on the list at once."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio
from changes import by_test
from ledger import Ledger
from snapshots import FixedSnapshots, snapshot_of
from structlog.testing import capture_logs

from smsgw.core.model import Account, Inbound, MessageType
from smsgw.core.settings import Settings
from smsgw.pipeline.accept.number_lists import NumberLists
from smsgw.platform.accounts import service as accounts
from smsgw.platform.lists import queries as list_queries
from smsgw.store.config.codes import AccessCode
from smsgw.store.engine import partitions
from smsgw.store.messages import inbound as inbound_store

PHONE = "8613800138000"
_numbers = itertools.count()


@pytest_asyncio.fixture
async def ledger(ledger: Ledger) -> Ledger:
    """The channels have access codes. Messages are put there without their price."""
    ledger.balanced = False
    for name, code in (("a", "10690001"), ("b", "10690002")):
        await ledger.database.execute("UPDATE channel SET access_code = $2 WHERE name = $1", name, code)
    return ledger


def owned(ledger: Ledger, *others: Account, extend_code: str = "") -> None:
    """Who has which extension; without more there is one account, which owns everything."""
    people = [Account(ledger.account_id, "shop", "active", extend_code=extend_code), *others]
    codes = [AccessCode(ledger.channels["a"], "10690001"), AccessCode(ledger.channels["b"], "10690002")]
    ledger.snapshots.current = snapshot_of(people, {"CMCC": 1}, codes)


async def sent(
    ledger: Ledger, *, channel: str = "a", ext: str = "", sign: str = "店", account_id: int | None = None,
    age: timedelta = timedelta(),
) -> int:  # fmt: skip
    call = ledger.call(account_id=account_id, units=0)
    id_ = call.batch_id - (int(age.total_seconds() * 1000) << 22)
    row = call.messages[0]._replace(id=id_, batch_id=id_, sign=sign, extend_code=ext)
    part = call.parts[0]._replace(id=id_)
    call = type(call)(call.account_id, id_, [row], [part], 0, (), b"")
    assert [type(r).__name__ for r in await ledger.store(call)] == ["Stored"]
    await ledger.database.execute(
        "UPDATE part SET channel_id = $2, claimed_at = now() WHERE id = $1", id_, ledger.channels[channel]
    )
    return id_


async def reply(ledger: Ledger, to: str, text: str = "好的", *, channel: str = "a", number: str = PHONE) -> dict:  # type: ignore[type-arg]
    inbound = Inbound(ledger.channels[channel], f"mo{next(_numbers)}", number, to, text, ledger.clock)
    await ledger.outcomes.inbound(inbound)
    return dict(await ledger.connection.fetchrow("SELECT * FROM mo ORDER BY id DESC LIMIT 1"))


async def other_account(ledger: Ledger, extend_code: str = "") -> Account:
    id_ = await accounts.add(by_test(ledger.database), "bank", extend_code=extend_code)
    return Account(id_, "bank", "active", extend_code=extend_code)


@pytest.mark.parametrize("total", range(2, 11))
async def test_parts_in_any_order_with_repeats_over_two_channels(ledger: Ledger, total: int) -> None:
    """Shuffled, some delivered twice, some by the other connection's channel: one message, once, in order."""
    dice = random.Random(total)  # noqa: S311
    wanted = []
    inbound = []
    for ref in range(6):
        texts = [f"<{ref}.{n}>" for n in range(1, total + 1)]
        wanted.append("".join(texts))
        for n, text in enumerate(texts, 1):
            channel = ledger.channels[dice.choice("ab")]
            part = Inbound(channel, f"{ref}-{n}", PHONE, "1069000155", text, ledger.clock, ref, total, n)
            inbound += [part] * dice.choice((1, 1, 2, 3))
    dice.shuffle(inbound)
    while inbound:
        size = dice.randint(1, 5)
        for part in inbound[:size]:
            ledger.outcomes.inbound(part)
        del inbound[:size]
        await ledger.outcomes.drain()
    rows = await ledger.connection.fetch("SELECT content, parts, complete FROM mo")
    assert sorted(r["content"] for r in rows) == sorted(wanted)
    assert {(r["parts"], r["complete"]) for r in rows} == {(total, True)}
    assert await ledger.connection.fetchval("SELECT count(*) FROM customer_event WHERE kind = 'mo'") == 6


async def arrive(ledger: Ledger, *parts: Inbound, together: bool = False) -> None:
    for part in parts:
        future = ledger.outcomes.inbound(part)
        if not together:
            await future
    await ledger.outcomes.drain()


async def give_up(ledger: Ledger, after: timedelta = timedelta(minutes=10)) -> int:
    """What the job of time does; how many sets it has given up."""
    async with ledger.connection.transaction():
        rows = await inbound_store.stale_parts(ledger.connection, ledger.clock + timedelta(seconds=1) - after)
        for row in rows:
            await inbound_store.give_up_joining(ledger.connection, row, ledger.account_id, "", ledger.ids.next)
    return len(rows)


async def inbox(ledger: Ledger) -> list[tuple[str, bool]]:
    rows = await ledger.connection.fetch("SELECT content, complete FROM mo ORDER BY id")
    return [(row["content"], row["complete"]) for row in rows]


def single(ledger: Ledger, id_: str, text: str, number: str = PHONE, to: str = "10690001") -> Inbound:
    return Inbound(ledger.channels["a"], id_, number, to, text, ledger.clock)


def long_part(ledger: Ledger, n: int, total: int, *, text: str = "", ref: int = 1, id_: str = "") -> Inbound:
    return Inbound(
        ledger.channels["a"], id_ or f"{ref}/{n}", PHONE, "10690001", text or f"<{ref}.{n}>", ledger.clock,
        ref, total, n,
    )  # fmt: skip


@pytest.mark.parametrize("together", [True, False])
async def test_a_used_id_with_other_content_is_another_message(ledger: Ledger, together: bool) -> None:
    """What differs may be the text, the phone or the code that it has written to."""
    one = single(ledger, "7", "好")
    others = [
        single(ledger, "7", "不好"),
        single(ledger, "7", "好", "8613900000000"),
        single(ledger, "7", "好", to="10690002"),
    ]
    await arrive(ledger, one, one, *others, one, others[0], together=together)
    assert await inbox(ledger) == [("好", True), ("不好", True), ("好", True), ("好", True)]
    assert await ledger.connection.fetchval("SELECT sum(n) FROM stat_minute WHERE metric = 'mo'") == 4
    left = await ledger.connection.fetchval("SELECT count(*) FROM mo_part WHERE mo_id IS NULL")
    assert left == 0


async def test_parts_of_two_messages_under_one_id_become_two(ledger: Ledger) -> None:
    """The gateway gives all of them one id, and the next message the same one."""
    first = [long_part(ledger, n, 3, ref=1, id_=f"7/{n}") for n in (2, 1, 3)]
    second = [long_part(ledger, n, 3, ref=2, id_=f"7/{n}") for n in (3, 2, 1)]
    await arrive(ledger, *[part for pair in zip(first, second, strict=True) for part in pair])
    assert sorted(await inbox(ledger)) == [("<1.1><1.2><1.3>", True), ("<2.1><2.2><2.3>", True)]
    await arrive(ledger, *first, *second)
    assert len(await inbox(ledger)) == 2


async def test_parts_that_come_together_are_one_commit(ledger: Ledger) -> None:
    """The first of them finds the message whole; its siblings have nothing left to do."""
    parts = [long_part(ledger, n, 3) for n in (2, 3, 1)]
    await arrive(ledger, *parts, single(ledger, "7", "好"))
    with capture_logs() as logs:
        await arrive(
            ledger, *(long_part(ledger, n, 3, ref=ref) for ref in (2, 3) for n in (2, 3, 1)),
            long_part(ledger, 1, 2, ref=4), parts[0], together=True,
        )  # fmt: skip
    assert [one for one in logs if one["log_level"] in ("warning", "error")] == [], "all in the first attempt"
    assert await inbox(ledger) == [
        ("<1.1><1.2><1.3>", True), ("好", True), ("<2.1><2.2><2.3>", True), ("<3.1><3.2><3.3>", True)
    ]  # fmt: skip
    assert await ledger.connection.fetchval("SELECT count(*) FROM mo_part WHERE mo_id IS NULL") == 1


async def test_255_parts_shuffled_and_repeated(ledger: Ledger) -> None:
    dice = random.Random(1)  # noqa: S311
    parts = [long_part(ledger, n, 255) for n in range(1, 256)]
    parts += dice.sample(parts, 40)
    dice.shuffle(parts)
    await arrive(ledger, *parts, together=True)
    assert await inbox(ledger) == [("".join(f"<1.{n}>" for n in range(1, 256)), True)]
    assert await ledger.connection.fetchval("SELECT parts FROM mo") == 255


async def test_what_stays_away_is_given_up_in_time_with_all_that_came(ledger: Ledger) -> None:
    """254 of 255; nothing is given up before its time, and the last part is then a message of its own."""
    parts = [long_part(ledger, n, 255) for n in range(1, 256)]
    await arrive(ledger, *parts[:99], *parts[100:], together=True)
    assert await give_up(ledger) == 0
    ledger.later(minutes=10)
    assert await give_up(ledger) == 1
    assert await give_up(ledger) == 0
    assert await inbox(ledger) == [("".join(f"<1.{n}>" if n != 100 else "…" for n in range(1, 256)), False)]
    assert await ledger.connection.fetchval("SELECT count(*) FROM customer_event WHERE kind = 'mo'") == 1
    await arrive(ledger, replace(parts[99], received_at=ledger.clock))
    ledger.later(minutes=10)
    assert await give_up(ledger) == 1
    assert [content.strip("…") for content, _ in await inbox(ledger)][1:] == ["<1.100>"]


async def test_a_reference_that_is_used_again_costs_no_part(ledger: Ledger) -> None:
    """Of the first message a part has stayed away; the second one, under the same reference, is whole."""
    await arrive(ledger, long_part(ledger, 1, 2, text="old", id_="1"))
    ledger.later(minutes=2)
    await arrive(ledger, long_part(ledger, 1, 2, text="new", id_="2"))
    await arrive(ledger, long_part(ledger, 1, 2, text="new", id_="3"))  # a copy under another id
    await arrive(ledger, long_part(ledger, 2, 2, text="end", id_="4"))
    assert await inbox(ledger) == [("newend", True)]
    ledger.later(minutes=10)
    await give_up(ledger)
    assert await inbox(ledger) == [("newend", True), ("old…", False)]


async def test_all_texts_of_a_part_are_told_when_its_siblings_stay_away(ledger: Ledger) -> None:
    for n, text in enumerate(("one", "two", "one")):
        await arrive(ledger, long_part(ledger, 1, 2, text=text, id_=str(n)))
    ledger.later(minutes=10)
    assert await give_up(ledger) == 1
    assert await inbox(ledger) == [("one…", False), ("two…", False)]
    assert await ledger.connection.fetchval("SELECT count(*) FROM mo_part WHERE mo_id IS NULL") == 0


async def test_a_reply_answers_the_message_from_the_number_it_was_sent_to(ledger: Ledger) -> None:
    owned(ledger)
    await ledger.accept()
    assert (await reply(ledger, "10690001"))["in_reply_to"] is None, "it was never written"
    by_a = await sent(ledger)
    with_ext = await sent(ledger, ext="7")
    by_b = await sent(ledger, channel="b")
    assert (await reply(ledger, "10690001"))["in_reply_to"] == by_a
    assert (await reply(ledger, "106900017"))["in_reply_to"] == with_ext
    assert (await reply(ledger, "1069000179"))["in_reply_to"] == with_ext, "the phone's user has added a digit"
    assert (await reply(ledger, "106900018"))["in_reply_to"] == by_a
    assert (await reply(ledger, "10690002", channel="b"))["in_reply_to"] == by_b
    assert (await reply(ledger, "10690009"))["in_reply_to"] is None
    assert (await reply(ledger, "10690001", number="8613900000000"))["in_reply_to"] is None


async def test_of_several_the_newest_within_three_days(ledger: Ledger) -> None:
    owned(ledger)
    await partitions.ensure(ledger.connection, (ledger.clock - timedelta(days=4)).date())
    await sent(ledger, age=timedelta(hours=73))
    assert (await reply(ledger, "10690001"))["in_reply_to"] is None
    await sent(ledger, age=timedelta(hours=71))
    newer = await sent(ledger, age=timedelta(hours=1))
    assert (await reply(ledger, "10690001"))["in_reply_to"] == newer


async def test_where_two_accounts_share_a_number_the_answered_message_decides(ledger: Ledger) -> None:
    bank = await other_account(ledger)
    owned(ledger, bank)
    stored = await reply(ledger, "10690001")
    assert (stored["account_id"], stored["in_reply_to"]) == (None, None)
    theirs = await sent(ledger, account_id=bank.id)
    stored = await reply(ledger, "10690001")
    assert (stored["account_id"], stored["in_reply_to"]) == (bank.id, theirs)
    told = await ledger.connection.fetchval("SELECT account_id FROM customer_event WHERE message_id = $1", stored["id"])
    assert told == bank.id


async def test_an_extension_is_never_answered_with_another_accounts_message(ledger: Ledger) -> None:
    bank = await other_account(ledger, "55")
    owned(ledger, bank)
    await sent(ledger)
    stored = await reply(ledger, "1069000155")
    assert (stored["account_id"], stored["in_reply_to"]) == (bank.id, None)


async def test_replies_to_a_former_access_code_find_their_message(ledger: Ledger) -> None:
    owned(ledger)
    message = await sent(ledger)
    await ledger.database.execute(
        "INSERT INTO old_code (channel_id, code, until) SELECT id, access_code, now() + interval '30 days' "
        "FROM channel WHERE name = 'a'"
    )
    await ledger.database.execute("UPDATE channel SET access_code = '10690077' WHERE name = 'a'")
    assert (await reply(ledger, "10690001"))["in_reply_to"] == message
    await ledger.change(f"UPDATE old_code SET until = '{ledger.clock}'")  # noqa: S608
    assert (await reply(ledger, "10690001"))["in_reply_to"] is None


async def test_a_channel_without_an_access_code(ledger: Ledger) -> None:
    await ledger.database.execute("UPDATE channel SET access_code = '' WHERE name = 'a'")
    owned(ledger)
    message = await sent(ledger)
    assert (await reply(ledger, "95588"))["in_reply_to"] == message
    assert (await reply(ledger, "95588", channel="b"))["in_reply_to"] is None


async def lists(ledger: Ledger) -> NumberLists:
    found = NumberLists(ledger.database, FixedSnapshots())
    await found.load()
    return found


async def blocked(ledger: Ledger, account_id: int, sign: str, kind: MessageType = MessageType.MARKETING) -> bool:
    refusal = (await lists(ledger)).refusal(PHONE, account_id, kind, sign)
    assert refusal is None or refusal[0] == "NUMBER_OPTED_OUT"
    return refusal is not None


async def test_an_opt_out_is_on_the_list_for_what_it_answers(ledger: Ledger) -> None:
    owned(ledger)
    await sent(ledger, sign="店")
    await reply(ledger, "10690001", " ｒ ")
    assert await blocked(ledger, ledger.account_id, "店")
    assert not await blocked(ledger, ledger.account_id, "别家")
    assert not await blocked(ledger, ledger.account_id + 1, "店")
    assert not await blocked(ledger, ledger.account_id, "店", MessageType.OTP)


async def test_an_opt_out_that_answers_nothing_is_for_all_marketing_of_the_owner_or_of_all(ledger: Ledger) -> None:
    owned(ledger)
    await reply(ledger, "10690001", "退订")
    assert await blocked(ledger, ledger.account_id, "店")
    assert not await blocked(ledger, ledger.account_id + 1, "店")
    owned(ledger, await other_account(ledger))
    await reply(ledger, "10690001", "TD")
    assert await blocked(ledger, ledger.account_id, "店")
    assert await blocked(ledger, 999, "别家")
    assert not await blocked(ledger, 999, "别家", MessageType.NOTICE)


async def test_other_words_and_edited_words(ledger: Ledger) -> None:
    owned(ledger)
    await reply(ledger, "10690001", "T恤多少钱")
    assert await list_queries.count(ledger.database) == {}
    ledger.snapshots.change(settings=Settings(optout_words=("不要",)))
    await reply(ledger, "10690001", "R")
    assert await list_queries.count(ledger.database) == {}
    await reply(ledger, "10690001", "不要!")
    await reply(ledger, "10690001", "不要")
    assert await list_queries.count(ledger.database) == {"opt_out": 1}
