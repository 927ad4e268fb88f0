"""Inbound messages on the real ledger: joined in any order, tied to what they answer, opt-outs on the list at once."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from ledger import Ledger

from smsgw.core.model import Account, Inbound, MessageType
from smsgw.core.settings import Settings
from smsgw.pipeline.lists import Lists
from smsgw.store import accounts, blocklist, partitions
from smsgw.store.codes import AccessCode

PHONE = "8613800138000"
_numbers = itertools.count()


@pytest_asyncio.fixture
async def ledger(dsn: str, tmp_path: Path) -> AsyncIterator[Ledger]:
    one = Ledger(dsn, tmp_path)
    await one.open()
    for name, code in (("a", "10690001"), ("b", "10690002")):
        await one.database.execute("UPDATE channel SET access_code = $2 WHERE name = $1", name, code)
    yield one
    await one.close()


def owned(ledger: Ledger, *others: Account, extend_code: str = "") -> None:
    """Who has which extension; without more there is one account, which owns everything."""
    people = [Account(ledger.account_id, "shop", "active", extend_code=extend_code), *others]
    codes = [AccessCode(ledger.channels["a"], "10690001"), AccessCode(ledger.channels["b"], "10690002")]
    ledger.outcomes._directory._load(people, (), {"CMCC": 1}, codes)


async def sent(
    ledger: Ledger, *, channel: str = "a", ext: str = "", sign: str = "店", account_id: int | None = None,
    age: timedelta = timedelta(),
) -> int:  # fmt: skip
    """A message that a channel has written to the phone some time ago; its id."""
    call = ledger.call(account_id=account_id, units=0)
    id_ = call.batch_id - (int(age.total_seconds() * 1000) << 22)
    row = list(call.messages[0])
    row[0], row[1], row[9], row[16] = id_, id_, sign, ext
    part = (id_, *call.parts[0][1:])
    call = type(call)(call.account_id, id_, [tuple(row)], [part], 0, (), b"")
    assert [type(r).__name__ for r in await ledger.store(call)] == ["Stored"]
    await ledger.database.execute(
        "UPDATE part SET channel_id = $2, claimed_at = now() WHERE id = $1", id_, ledger.channels[channel]
    )
    return id_


async def reply(
    ledger: Ledger, to: str, text: str = "好的", *, channel: str = "a", number: str = PHONE
) -> dict:  # type: ignore[type-arg]
    """A phone answers; the message as it was stored."""
    inbound = Inbound(
        ledger.channels[channel],
        f"mo{next(_numbers)}",
        number,
        to,
        text,
        ledger.clock,
    )
    await ledger.outcomes.inbound(inbound)
    return dict(await ledger.connection.fetchrow("SELECT * FROM mo ORDER BY id DESC LIMIT 1"))


async def other_account(ledger: Ledger, extend_code: str = "") -> Account:
    id_ = await accounts.add_account(ledger.database, "bank", actor="t", extend_code=extend_code)
    return Account(id_, "bank", "active", extend_code=extend_code)


# --- joining ---------------------------------------------------------------------------------------------------------


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


# --- what is answered ------------------------------------------------------------------------------------------------


async def test_a_reply_answers_the_message_from_the_number_it_was_sent_to(ledger: Ledger) -> None:
    owned(ledger)
    by_a = await sent(ledger)
    with_ext = await sent(ledger, ext="7")
    by_b = await sent(ledger, channel="b")
    assert (await reply(ledger, "10690001"))["in_reply_to"] == by_a
    assert (await reply(ledger, "106900017"))["in_reply_to"] == with_ext
    assert (await reply(ledger, "1069000179"))[
        "in_reply_to"
    ] == with_ext  # the phone's user has added a digit
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


async def test_what_was_never_written_is_not_answered(ledger: Ledger) -> None:
    owned(ledger)
    await ledger.accept()
    assert (await reply(ledger, "10690001"))["in_reply_to"] is None


async def test_where_two_accounts_share_a_number_the_answered_message_decides(ledger: Ledger) -> None:
    bank = await other_account(ledger)
    owned(ledger, bank)
    stored = await reply(ledger, "10690001")
    assert (stored["account_id"], stored["in_reply_to"]) == (None, None)
    theirs = await sent(ledger, account_id=bank.id)
    stored = await reply(ledger, "10690001")
    assert (stored["account_id"], stored["in_reply_to"]) == (bank.id, theirs)
    told = await ledger.connection.fetchval(
        "SELECT account_id FROM customer_event WHERE message_id = $1", stored["id"]
    )
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
    await ledger.database.execute("UPDATE old_code SET until = $1", ledger.clock)
    assert (await reply(ledger, "10690001"))["in_reply_to"] is None


async def test_a_channel_without_an_access_code(ledger: Ledger) -> None:
    await ledger.database.execute("UPDATE channel SET access_code = '' WHERE name = 'a'")
    owned(ledger)
    message = await sent(ledger)
    assert (await reply(ledger, "95588"))["in_reply_to"] == message
    assert (await reply(ledger, "95588", channel="b"))["in_reply_to"] is None


# --- opt-outs --------------------------------------------------------------------------------------------------------


async def lists(ledger: Ledger) -> Lists:
    found = Lists(Settings)
    await found.load(ledger.database)
    return found


async def blocked(
    ledger: Ledger, account_id: int, sign: str, kind: MessageType = MessageType.MARKETING
) -> bool:
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


async def test_an_opt_out_that_answers_nothing_is_for_all_marketing_of_the_owner(ledger: Ledger) -> None:
    owned(ledger)
    await reply(ledger, "10690001", "退订")
    assert await blocked(ledger, ledger.account_id, "店")
    assert not await blocked(ledger, ledger.account_id + 1, "店")


async def test_an_opt_out_that_is_nobodys_is_for_all_marketing(ledger: Ledger) -> None:
    owned(ledger, await other_account(ledger))
    await reply(ledger, "10690001", "TD")
    assert await blocked(ledger, ledger.account_id, "店")
    assert await blocked(ledger, 999, "别家")
    assert not await blocked(ledger, 999, "别家", MessageType.NOTICE)


async def test_other_words_and_edited_words(ledger: Ledger) -> None:
    owned(ledger)
    await reply(ledger, "10690001", "T恤多少钱")
    assert await blocklist.count(ledger.database) == {}
    ledger.outcomes._directory.settings = Settings(optout_words=("不要",))
    await reply(ledger, "10690001", "R")
    assert await blocklist.count(ledger.database) == {}
    await reply(ledger, "10690001", "不要!")
    await reply(ledger, "10690001", "不要")
    assert await blocklist.count(ledger.database) == {"opt_out": 1}
