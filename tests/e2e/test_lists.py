"""Opt-outs, blocks, complaints, moved numbers and alarms, with the real daemon and simulated carriers."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import PROTOCOLS, Site, listed_alarms, opened, site, until

CHANNEL = "cmpp30"
CODE = PROTOCOLS[CHANNEL][2]


async def attempt(built: Site, number: str, kind: str = "marketing", sign: str = "店铺") -> str:
    """Send to a number; the code of its refusal, or ``OK``."""
    body = {"to": [number], "content": built.customer.text("促销"), "type": kind, "sign": sign}
    answer = await built.client.post("/messages", body)
    assert answer.status in (202, 400, 403), answer.body
    if answer.data and answer.data.get("items"):
        item = answer.data["items"][0]
        if item["status"] != "rejected":
            built.customer.note(answer, [body["content"]])
            return "OK"
        built.customer.refused[item["message_id"]] = item["code"]
        return str(item["code"])
    return answer.code


async def alarms(built: Site) -> set[tuple[str, str]]:
    return {(a["kind"], a["object"]) for a in await listed_alarms(built.node)}


@pytest.mark.slow
async def test_who_replies_r_gets_no_more_marketing_but_still_codes(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, channels=[CHANNEL]) as built:
        carrier = built.carriers[CHANNEL]
        number = built.customer.number(CHANNEL)
        assert await attempt(built, number) == "OK"
        await built.settled()
        carrier.send_mo(number, CODE, "Ｒ ")
        (reply,) = await built.customer.replies(1)
        assert reply["content"] == "Ｒ "
        assert reply["in_reply_to"]["message_id"] in built.customer.sent

        async def refused() -> bool:
            return await attempt(built, number) == "NUMBER_OPTED_OUT"

        await until(refused, what="marketing is refused")
        explained = await built.node.ctl(
            "explain", "--account", "acme", "--to", number, "--text", "促销", "--sign", "店铺", "--type", "marketing",
            "--json",
        )  # fmt: skip
        assert explained.data[0]["code"] == "NUMBER_OPTED_OUT"
        assert "用户已退订" in explained.data[0]["message"]
        assert await attempt(built, number, "otp") == "OK"
        assert await attempt(built, number, sign="别家") == "OK"

        await built.node.furnish("block", "add", number, "--reason", "asked by telephone")
        assert await attempt(built, number, "otp") == "NUMBER_BLACKLISTED"
        found = (await built.node.ctl("block", "find", number, "--json")).data
        assert {e["source"] for e in found} == {"manual", "opt_out"}
        await built.node.ctl("block", "remove", number, "--all", "--reason", "wants it again")
        assert await attempt(built, number) == "OK"
        await what_operators_file(built, number, data_dir)
        await built.clean()


async def what_operators_file(built: Site, number: str, folder: Path) -> None:
    """Numbers that are known to be empty, and links that may stand in marketing: by hand, and at once."""
    ctl = built.node.ctl
    file = folder / "status.csv"
    file.write_text(f"号码,状态\n{number},0\n13800138001,实号\n13800138002,3\n", encoding="utf-8")
    assert "2 numbers read" in (await ctl("number", "status", "import", str(file))).out
    await ctl("policy", "set", "drop_empty", "true")
    assert await attempt(built, number, "otp") == "NUMBER_EMPTY"
    listed = (await ctl("number", "status", "list", "--json")).data
    assert listed["counts"] == {"empty": 1, "live": 1}
    assert number not in str(listed["entries"])
    (found,) = (await ctl("number", "status", "find", number, "--json")).data
    assert (found["meaning"], found["source"]) == ("空号", "导入")
    await ctl("number", "status", "remove", number)
    assert await attempt(built, number, "otp", sign="又一") == "OK"

    await ctl("policy", "set", "filed_links", "marketing")
    filed = (await ctl("link", "file", "http://T.cn/Ab", "--account", "acme", "--icp", "京1", "--json")).data
    await ctl("link", "set", filed["id"], "registered", "--carrier", "CMCC", "--note", "工单 5")
    (listed,) = (await ctl("link", "list", "--account", "acme", "--json")).data
    assert (listed["target"], listed["carriers"]["CMCC"]["state"]) == ("t.cn/Ab", "registered")
    assert "通过" in (await ctl("link", "list")).out
    (tested,) = (await ctl("link", "test", "看t.cn/Ab/1", "--account", "acme", "--json")).data
    assert tested["registered"] == ["CMCC"]

    async def told(text: str) -> str:
        body = {"to": ["13800138000"], "content": f"{text} 拒收请回复R", "type": "marketing", "sign": "店铺"}
        return str((await built.client.surely("POST", "/messages/explain", body)).data["items"][0]["code"])

    assert [await told("t.cn/Ab/1"), await told("t.cn/Ac")] == ["OK", "LINK_NOT_FILED"]
    await ctl("link", "remove", filed["id"])
    assert await told("t.cn/Ab/1") == "LINK_NOT_FILED"


async def test_a_moved_number_replies_from_before_and_complaints(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, channels=[CHANNEL]) as built:
        carrier, node = built.carriers[CHANNEL], built.node
        before, after, now = (built.customer.number(CHANNEL) for _ in range(3))
        assert await attempt(built, before) == "OK"
        await built.settled()

        await node.ctl("access-code", "move", "--account", "acme", "77")
        assert await attempt(built, after) == "OK"
        await built.settled()
        await node.ctl("access-code", "move", "--channel", CHANNEL, "10690099")
        await built.bound()
        assert await attempt(built, now) == "OK"
        await built.settled()
        sources = {m.destination.removeprefix("86"): m.source for m in carrier.messages}
        assert sources == {before: CODE, after: CODE + "77", now: "1069009977"}

        for number, to in ((before, CODE), (after, CODE + "77"), (now, "1069009977")):
            carrier.send_mo(number, to, "收到")
            (reply,) = await built.customer.replies(1)
            assert built.customer.sent[reply["in_reply_to"]["message_id"]].to == number

        await node.furnish("setting", "set", "complaint_minimum", "1")
        entered = (await node.ctl("complaint", "add", now, "--note", "12321", "--json")).data
        assert entered["sign"] == "店铺"
        assert await attempt(built, now) == "NUMBER_BLACKLISTED"
        assert await attempt(built, before) == "COMPLAINT_CEILING"
        assert await attempt(built, before, "otp") == "OK"
        wanted = {("complaint_ceiling", "sign/店铺"), ("complaint_ceiling", f"channel/{CHANNEL}")}

        async def alarmed() -> bool:
            return wanted <= await alarms(built)

        await until(alarmed, what="the alarms")
        await node.furnish("setting", "set", "complaint_ceiling", "0")

        async def open_again() -> bool:
            return await attempt(built, before) == "OK" and not wanted & await alarms(built)

        await until(open_again, what="marketing is open again")
        await built.clean()


@pytest.mark.shard("alone")
async def test_an_emergency_needs_the_right_and_goes_before_everything(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, channels=[CHANNEL], channel_options=["--window", "8"]) as built:
        node, carrier = built.node, built.carriers[CHANNEL]
        number = built.customer.number(CHANNEL)
        command = ("send", "--account", "acme", "--to", number, "--text", "紧急通知", "--emergency", "--json")
        refused = await node.ctl(*command, check=False)
        assert "EMERGENCY_DENIED" in refused.err
        await node.furnish("account", "set", "acme", "emergency=true")

        carrier.change(answer_delay="200..200")  # 40 a second: the others will take ten seconds
        await built.customer.send_many(400, CHANNEL, type="otp")
        await carrier.received(8)
        sent = (await node.ctl(*command)).data["items"][0]
        done = await until(lambda: [m for m in carrier.messages if m.text == "紧急通知"], within=3.0)
        assert done[0].destination.endswith(number)
        assert len(carrier.messages) < 300
        trace = (await node.ctl("trace", sent["message_id"], "--json")).data
        assert trace["message"]["type"] == "notice"
        carrier.change(answer_delay="0..0")
        async with opened(dsn) as database:
            recorded = await database.fetch("SELECT object FROM audit WHERE action = 'message.emergency'")
        assert [row["object"] for row in recorded] == [f"message/{sent['message_id']}"]
        await built.settled()


async def test_an_account_that_sends_abroad_as_with_a_stolen_key(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, channels=["smpp34"]) as built:
        await built.node.furnish("policy", "set", "abroad_countries", "2", "--account", "acme")
        far = [f"+{country}{77001234 + n}" for n, country in enumerate((852, 853, 886, 370, 371))]
        codes = [await attempt(built, number, "notice") for number in far]
        assert codes == ["OK", "OK"] + ["INTERNATIONAL_LIMITED"] * 3
        assert await attempt(built, built.customer.number("smpp34"), "notice") == "OK"

        async def raised() -> bool:
            return ("toll_fraud", "account/acme") in await alarms(built)

        await until(raised, what="the alarm")
        async with opened(dsn) as database:
            await database.execute("UPDATE abroad_minute SET minute = minute - interval '2 hours'")

        async def cleared() -> bool:
            return not await raised()

        await until(cleared, what="the alarm is over by itself")
        await built.clean()
