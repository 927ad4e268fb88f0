"""Routes and failover with real processes: what is explained is what carriers receive, and nothing is lost or doubled
when channels come, go, change and die under load."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from changes import by_test
from harness import CHANNELS, Client, Site, opened, site, until
from trials import another_channel, deaths, die, hot_plug, loaded

from smsgw.core.blocklist import MANUAL, OPT_OUT, Scope
from smsgw.platform.accounts import queries as account_queries
from smsgw.platform.lists import complaints, service as lists
from smsgw.platform.routing import prefix_imports
from smsgw.platform.settings import service as settings
from smsgw.runtime import aio
from smsgw.simulator import Delay

MESSAGES = int(os.environ.get("TEST_EXPLAIN_MESSAGES", "400"))

TABLE = """
[[pool]]
name = "codes"
channels = ["smpp34"]

[[pool]]
name = "paper"
channels = ["cmpp20"]

[[rule]]
name = "codes of shop1"
account = ["shop1"]
type = ["otp"]
pool = "codes"

[[rule]]
name = "bills"
keyword = ["账单", "bill"]
prefix = ["13800", "8613300"]
pool = "paper"

[[rule]]
name = "water in two provinces"
sign = ["水务集团"]
province = ["广东", "北京"]
pool = "codes"

[[rule]]
name = "marketing of shop2"
account = "shop2"
type = "marketing"
carrier = ["CMCC", "CUCC"]
pool = "CTCC"
"""

WORDS = ["账单", "bill", "您好", "code 1234", "请缴费。", "€[]{}", "😀", "ABC", "尊敬的用户,", "x" * 60, "长" * 40]


MEMBERS = {"codes": "smpp34", "paper": "cmpp20", "CMCC": "cmpp30", "CBN": "cmpp30", "CUCC": "cmpp20",
           "CTCC": "smpp34", "INTL": "smpp34"}  # fmt: skip
PREFIXES = ["1380", "1300", "1330", "1920", "+4477", "861330", "00861380"]
SIGNS = ["", "", "水务集团", "电力", "罚单"]
EXTENSIONS = {"acme": "", "shop1": "11", "shop2": "22", "strict": "33"}
REACHED = {"OK", "NUMBER_INVALID", "NUMBER_BLACKLISTED", "NUMBER_OPTED_OUT", "COMPLAINT_CEILING", "CONTENT_EMPTY",
           "CONTENT_TOO_LONG", "SIGN_MISSING", "PARAM_INVALID", "TIME_INVALID",
           "EXTEND_CODE_INVALID", "ACCOUNT_STOPPED", "TO_TOO_MANY", "TO_EMPTY"}  # fmt: skip
"""What a caller can be told before anything is stored, by its number, text, time or account."""


async def furnish(built: Site, dsn: str, dice: random.Random) -> dict[str, Client]:
    """Accounts with signatures and extensions, ported numbers, block list, opt-outs, complaints; a client for each."""
    ctl = built.node.ctl
    for name, options in (
        ("shop1", ("--sign", "一号店")), ("shop2", ("--no-sign",)), ("strict", ()), ("gone", ("--no-sign",)),
    ):  # fmt: skip
        extension = ("--extend-code", EXTENSIONS[name]) if EXTENSIONS.get(name) else ()
        await ctl("account", "add", name, *options, *extension, "--balance", "100000")
    keys = {"acme": built.client.key}
    for name in ("shop1", "shop2", "strict", "gone"):
        keys[name] = (await ctl("key", "add", name, "--json")).data
    await ctl("account", "stop", "gone")
    async with opened(dsn) as database:
        ids = {row.account.name: row.account.id for row in await account_queries.accounts(database)}
        listed = [f"86{p}{n:07d}" for p in PREFIXES[:4] for n in range(MESSAGES) if n % 10 == 0]
        scopes = [
            Scope(), Scope(ids["shop1"]), Scope(0, "marketing"), Scope(0, "", "电力"),
            Scope(ids["shop2"], "marketing", "电力"),
        ]  # fmt: skip
        for number in listed:
            source = dice.choice([MANUAL, OPT_OUT])
            await lists.block(by_test(database), [number], dice.choice(scopes), source, "")
        await complaints.enter(by_test(database), "8613999999999", sign="罚单", channel="", note="", block_number=False)
        await settings.put(by_test(database), "complaint_minimum", 1)
        ported = [f"{p}{n:07d}" for p in PREFIXES[:3] for n in range(MESSAGES) if n % 10 == 5]
        carriers = {number: (dice.choice(["CMCC", "CUCC", "CTCC"]), "") for number in ported}
        await prefix_imports.bring_in(by_test(database), "ported.csv", carriers)
    return {name: Client(built.node, key) for name, key in keys.items()}


def any_call(dice: random.Random, n: int) -> tuple[str, dict[str, Any]]:
    """An account, and what it asks to send."""
    rare = dice.random()
    text = "".join(dice.choice(WORDS) for _ in range(dice.randint(1, 9))) + f"#t{n:x}#"
    if dice.random() < 0.2:
        text = dice.choice(["【水务集团】", "【电力】", "【 】"]) + text
    body: dict[str, Any] = {
        "to": [dice.choice(PREFIXES) + f"{n:07d}"], "content": text, "sign": dice.choice(SIGNS),
        "type": dice.choice(["otp", "notice", "marketing"]), "extend_code": dice.choice(["", "", "7", "123"]),
    }  # fmt: skip
    if rare < 0.02:
        body["content"] = "字" * 1001
    elif rare < 0.03:
        body["content"] = "  "
    elif rare < 0.04:
        body["expire_at"] = "2026-01-01T00:00:00+08:00"
    elif rare < 0.05:
        body["extend_code"] = "7a"
    elif rare < 0.055:
        body["to"] = []
    elif rare < 0.06:
        body["to"] = ["13800138000"] * 1001
    elif rare < 0.1:
        body["to"] = [f"13x{n:08d}"]
    elif rare < 0.12:
        body["sign"] = dice.choice(["一", "一" * 21, "电【力"])
    name = dice.choice(
        ["acme", "shop1", "shop1", "shop2", "shop2", "strict", "gone"] if dice.random() < 0.5 else ["acme"]
    )
    return name, body


@pytest.mark.slow
async def test_what_is_explained_is_what_the_carriers_receive(dsn: str, data_dir: Path, tmp_path: Path) -> None:
    """Channel, number, parts, content, or the reason of refusal: compared with the simulators' logs."""
    seed = int(os.environ.get("TEST_SEED", time.time_ns() % 1_000_000))
    dice = random.Random(seed)  # noqa: S311 - cases, not secrets
    (tmp_path / "routes.toml").write_text(TABLE)
    async with contextlib.AsyncExitStack() as stack:
        built = await stack.enter_async_context(site(data_dir, dsn=dsn))
        clients = await furnish(built, dsn, dice)
        for client in clients.values():
            await stack.enter_async_context(client)
        await built.node.furnish("route", "publish", str(tmp_path / "routes.toml"), "--note", "test")
        # The signature that people have complained about must have sent something for its ceiling to be judged.
        first = {"to": ["13999999999"], "content": "罚单通知", "sign": "罚单"}
        assert (await clients["acme"].post("/messages", first)).status == 202
        await built.node.reload()

        async def told(client: Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
            answer = await client.surely("POST", path, body)
            items = (answer.data or {}).get("items") if isinstance(answer.data, dict) else None
            return {"code": answer.code, **({k: v for k, v in items[0].items() if v is not None} if items else {})}

        cases = []
        for n in range(MESSAGES):
            name, body = any_call(dice, n)
            explained = await told(clients[name], "/messages/explain", body)
            sent = await told(clients[name], "/messages", body)
            cases.append({"mark": f"#t{n:x}#", "account": name, "body": body, "explained": explained, "sent": sent})
        accepted = [c for c in cases if c["sent"]["code"] == "OK" and c["sent"]["status"] != "rejected"]
        await until(
            lambda: sum(len(c.messages) for c in built.carriers.values()) > len(accepted), within=60, what="all"
        )
        arrived = {m.text[m.text.rfind("#t") :]: m for c in built.carriers.values() for m in c.messages}

        codes = Counter(c["explained"]["code"] for c in cases)
        print(f"TEST_SEED={seed}, {MESSAGES} cases, {len(accepted)} accepted: {dict(codes.most_common())}")
        assert len(accepted) > MESSAGES / 4
        pools = set()
        for case in cases:
            explained, sent = case["explained"], case["sent"]
            if case not in accepted:
                assert explained["code"] == sent["code"], (seed, case)
                assert case["mark"] not in arrived, case
                continue
            assert explained["code"] == "OK", (seed, case)
            message = arrived[case["mark"]]
            pools.add(explained["pool"])
            channel = MEMBERS[explained["pool"]]
            assert message.channel == channel, (seed, case)
            assert message.source == CHANNELS[channel][2] + EXTENSIONS[case["account"]] + case["body"]["extend_code"]
            assert message.destination.removeprefix("86") == explained["number"].removeprefix("86")
            assert message.parts == explained["parts"] == sent["parts"], case
            assert message.text == explained["content"], case
            assert explained["rules"][-1]["pool"] == explained["pool"]
        assert pools >= MEMBERS.keys() - {"CBN"}
        assert sum(c.counts.submits for c in built.carriers.values()) == 1 + sum(
            c["explained"]["parts"] for c in accepted
        )
        assert set(codes) <= REACHED
        if MESSAGES >= 2000:
            assert set(codes) == REACHED, REACHED - set(codes)


async def test_routes_are_rolled_back_with_one_command(dsn: str, data_dir: Path, tmp_path: Path) -> None:
    async with site(data_dir, dsn=dsn) as built:
        (tmp_path / "a.toml").write_text('[[rule]]\nname = "all to telecom"\npool = "CTCC"\n')
        (tmp_path / "b.toml").write_text('[[rule]]\nname = "x"\npool = "nowhere"\n')
        await built.customer.send("cmpp30")
        simulated = await built.node.ctl("route", "simulate", str(tmp_path / "a.toml"), "--json")
        assert simulated.data == [{"now": "CMCC", "planned": "CTCC", "messages": 1}]
        refused = await built.node.ctl("route", "publish", str(tmp_path / "b.toml"), "--note", "n", check=False)
        assert refused.code == 1
        assert "nowhere" in refused.err
        await built.node.furnish("route", "publish", str(tmp_path / "a.toml"), "--note", "one")
        await built.customer.send("cmpp30")
        await until(lambda: built.carriers["smpp34"].messages, what="the message at the other carrier")
        (tmp_path / "empty.toml").write_text("")
        await built.node.furnish("route", "publish", str(tmp_path / "empty.toml"), "--note", "none")
        await built.node.ctl("route", "rollback", "1", "--seen", "2")
        await built.customer.send("cmpp30")
        await until(lambda: len(built.carriers["smpp34"].messages) == 2, what="version 1 is in force again")
        versions = (await built.node.ctl("route", "versions", "--json")).data
        assert [(v["version"], v["note"]) for v in versions] == [(3, "rollback to version 1"), (2, "none"), (1, "one")]
        await built.clean()


async def test_an_account_moves_to_another_channel_with_one_command(dsn: str, data_dir: Path) -> None:
    """And back; a reply to the number that was used before still finds the account."""
    async with (
        site(data_dir, dsn=dsn, channels=["cmpp30"]) as built,
        another_channel(built, "cmpp30b", "--access-code", "10699999") as second,
    ):
        ctl, first = built.node.ctl, built.carriers["cmpp30"]
        await ctl("account", "set", "acme", "extend_code=11")
        await ctl("route", "move", "--account", "acme", "--to", "cmpp30")
        asked = await built.customer.send("cmpp30")
        await built.customer.reaches(asked.message_id, "delivered")
        await ctl("route", "move", "--account", "acme", "--to", "cmpp30b")
        for _ in range(5):
            await built.customer.send("cmpp30")
        await until(lambda: len(second.messages) == 5, what="they go the new way")
        assert len(first.messages) == 1
        first.send_mo(asked.to, first.messages[0].source, "TD")
        (reply,) = await built.customer.replies(1)
        assert reply["in_reply_to"]["message_id"] == asked.message_id
        await ctl("route", "rollback", "1", "--seen", "2")
        await built.customer.send("cmpp30")
        await until(lambda: len(first.messages) == 2, what="it goes the old way again")
        refused = await ctl("route", "move", "--sign", "x", "--to", "nowhere", check=False)
        assert refused.code == 1
        await built.clean()


async def test_an_imported_number_goes_where_it_was_ported(dsn: str, data_dir: Path, tmp_path: Path) -> None:
    async with site(data_dir, dsn=dsn) as built:
        to = built.customer.number("cmpp30")
        (tmp_path / "ported.csv").write_text(f"号码,运营商\n{to},中国电信\n", "utf-8")
        (tmp_path / "bad.csv").write_text("138,移动\n12x,联通\n139,沃达丰\n", "utf-8")
        bad = await built.node.ctl("number", "import", str(tmp_path / "bad.csv"), check=False)
        assert bad.code == 1
        assert "line 2" in bad.err
        assert "line 3" in bad.err
        await built.node.ctl("number", "import", str(tmp_path / "ported.csv"))
        text = built.customer.text()
        built.customer.note(await built.client.post("/messages", {"to": [to], "content": text}), [text])
        await until(lambda: built.carriers["smpp34"].messages, what="the message at the new carrier")
        await built.clean()


# --- channels that come, go and die ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.shard("alone")
async def test_a_dying_channel_loses_and_doubles_nothing(dsn: str, data_dir: Path) -> None:
    """In three ways, one after the other: what was not written flows to the neighbour within 5 s."""
    async with site(data_dir, dsn=dsn, channels=["cmpp30"]) as built, another_channel(built):
        await deaths(built, "cmpp30", 600, ("connection refused", "silent", "reset"))


@pytest.mark.slow
async def test_channels_change_under_load_without_an_error(dsn: str, data_dir: Path) -> None:
    """Added, changed (password, window, rate, port, access code), drained, removed: no client error, nothing lost."""
    async with site(data_dir, dsn=dsn, channels=["cmpp30"], balance=1_000_000) as built:
        await hot_plug(built, 1.5, 8, 300)


@pytest.mark.slow
@pytest.mark.shard("alone")
async def test_shares_follow_weights_and_standbys_wait(dsn: str, data_dir: Path, tmp_path: Path) -> None:
    async with (
        site(data_dir, dsn=dsn, channels=["cmpp30"], balance=1_000_000) as built,
        another_channel(built) as second,
        another_channel(built, "cmpp30c") as third,
    ):
        (tmp_path / "routes.toml").write_text(
            '[[pool]]\nname = "mobile"\n'
            'channels = [{ name = "cmpp30", weight = 3 }, "cmpp30b", { name = "cmpp30c", standby = true }]\n'
            '[[rule]]\nname = "all"\npool = "mobile"\n'
        )
        await built.node.furnish("route", "publish", str(tmp_path / "routes.toml"), "--note", "shares")
        first = built.carriers["cmpp30"]
        for carrier in built.carriers.values():
            carrier.change(answer_delay=Delay(0.001, 0.003))
        async with loaded(built, 400):
            await asyncio.sleep(4)
        await until(lambda: len(first.messages) + len(second.messages) >= len(built.customer.sent), what="all arrived")
        share = len(first.messages) / len(built.customer.sent)
        assert 0.6 < share < 0.9, share
        assert not third.messages
        for dead in (first, second):
            await die(dead, "login refused")
        await until(lambda: first.bound == second.bound == 0, what="the primaries are away")
        async with loaded(built, 100):
            await asyncio.sleep(1)
        await until(lambda: third.messages, what="the standby has taken over")
        for carrier in (first, second):  # their reports wait for a connection
            carrier.change(refuse_login=None)
        await built.clean(unknown=32)


# --- a whole channel in one step -------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_everything_of_a_channel_moves_under_traffic_with_a_kill_in_between(dsn: str, data_dir: Path) -> None:
    """Its place in the table, an account that was given to it, and what waits: within a minute, nothing lost or doubled
    though the daemon is killed right behind the command; replies to the former number find their message."""
    async with (
        site(data_dir, dsn=dsn, channels=["cmpp30"], balance=1_000_000, channel_options=("--rate", "10/s")) as built,
        another_channel(built, "cmpp30b", "--access-code", "10699999") as second,
    ):
        ctl, customer, first = built.node.ctl, built.customer, built.carriers["cmpp30"]
        await ctl("route", "move", "--account", "acme", "--to", "cmpp30")
        first.change(answer_delay=Delay(0.0, 0.04), report_delay=Delay(0.02, 0.3))
        posts = 30
        for _ in range(posts):
            await customer.send_many(10, "cmpp30")
        assert len(first.messages) < 200, "most of them wait"
        pouring = aio.spawn(_pour(built, posts), name="post")
        began = time.monotonic()
        await ctl("channel", "replace", "cmpp30", "cmpp30b", "--note", "the carrier has closed the number")
        built.node.kill()
        await built.node.start()
        await pouring
        unknown = await built.settled(within=60)
        assert time.monotonic() - began < 60, "moved within a minute, with a kill"
        by_first, by_second = len(first.messages), len(second.messages)
        assert by_first < 300 < by_second, (by_first, by_second)
        assert by_first + by_second <= len(customer.sent), "none is sent twice"
        assert len(unknown) <= 16, "what was on its way when the daemon died"
        old = first.messages[0]
        first.send_mo(old.destination.removeprefix("86"), old.source, "收到")
        (reply,) = await customer.replies(1)
        assert customer.sent[reply["in_reply_to"]["message_id"]].to == old.destination.removeprefix("86")
        assert (await built.channel("cmpp30"))["state"] == "draining"
        await ctl("channel", "remove", "cmpp30")
        (late, *_) = [m for m in first.messages if m.destination != old.destination]
        second.send_mo(late.destination.removeprefix("86"), late.source, "收到")
        (reply,) = await customer.replies(1)
        assert customer.sent[reply["in_reply_to"]["message_id"]].to == late.destination.removeprefix("86")
        await built.clean(unknown=16)


async def _pour(built: Site, n: int) -> None:
    """So many calls, at about five a second."""
    for _ in range(n):
        await built.customer.send_many(10, "cmpp30")
        await asyncio.sleep(0.2)
