"""A channel of the real daemon against an SMSC made of the npm package `smpp`: an SMPP that we did not write."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from certificates import HERE, Authority
from harness import Sent, Site, site, until
from node_smsc import Line, NodeSmsc, node_smsc

USER, PASSWORD, CODE = "esme-7", "pass word", "10690003"

TEXTS = {
    "gsm": "plain text: @£$ àéñ ÄÖÜ",
    "gsm extension": "costs €5 [net] {a|b} ~^\\",
    "ucs2": "您的验证码是 8848,请勿泄露",
    "emoji": "生日快乐🎂",
    "gsm at its limit": "a" * 160,
    "gsm in two": "x" * 152 + "€[]" + "y" * 10,
    "ucs2 at its limit": "短" * 70,
    "ucs2 in two": "信" * 66 + "🎂" + "息" * 30,
    "ucs2 in four": "一二三四五六七八九十" * 21,
}
PARTS = {"gsm in two": 2, "ucs2 in two": 2, "ucs2 in four": 4}


@pytest_asyncio.fixture
async def smsc() -> AsyncIterator[NodeSmsc]:
    async with node_smsc(USER, PASSWORD) as running:
        yield running


async def add(built: Site, port: int, *options: str, password: str = PASSWORD, profile: dict[str, Any]) -> None:
    """The channel to the SMSC."""
    options += ("--access-code", CODE)
    how = {"protocol": "smpp34", "user": USER, "password": password}
    await built.node.add_channel("foreign", port, *options, profile=profile, **how)


@pytest_asyncio.fixture
async def gateway(dsn: str, tmp_path: Path, smsc: NodeSmsc) -> AsyncIterator[Site]:
    """A daemon whose only channel leads to the SMSC."""
    async with site(tmp_path / "node", dsn=dsn, channels=[]) as built:
        await add(built, smsc.port, profile={"keepalive": 1, "system_type": "gw"})
        await built.bound("foreign")
        yield built


def joined(parts: list[Line]) -> str:
    """The text as the package has read it; the parts are put in order by their headers."""
    if len(parts) == 1:
        assert "udh" not in parts[0]["short_message"]
        return parts[0]["short_message"]["message"]
    numbered = {}
    for part in parts:
        (element,) = (bytes.fromhex(element["hex"]) for element in part["short_message"]["udh"])
        kind, length, ref, total, number = element
        assert (kind, length, total) == (0, 3, len(parts))
        numbered[number] = (ref, part["short_message"]["message"])
    assert sorted(numbered) == list(range(1, len(parts) + 1))
    assert len({ref for ref, _ in numbered.values()}) == 1
    return "".join(text for _, (_, text) in sorted(numbered.items()))


def receipt(part: Line, message_id: str, stat: str, form: str) -> dict[str, Any]:
    """Fields of the deliver_sm that reports on a submit_sm."""
    states = {"DELIVRD": 2, "EXPIRED": 3, "UNDELIV": 5, "REJECTD": 8}
    fields: dict[str, Any] = {
        "source_addr": part["destination_addr"],
        "destination_addr": part["source_addr"],
        "esm_class": 4,
        "short_message": "",
    }
    if form != "tlv":
        fields["short_message"] = (
            f"id:{message_id} sub:001 dlvrd:001 submit date:2611241201 done date:2611241202 "
            f"stat:{stat} err:{'000' if stat == 'DELIVRD' else '027'} text:any"
        )
    if form != "text":
        fields |= {"receipted_message_id": message_id, "message_state": states[stat]}
    return fields


async def story(gateway: Site, smsc: NodeSmsc, text: str, *, stat: str = "DELIVRD", form: str = "both") -> Line:
    """One message there and its reports back; the message in its end, as the API tells it."""
    before = len(smsc.pdus("submit_sm"))
    sent = await gateway.customer.send("smpp34", text)
    parts = (await smsc.until("submit_sm", before + sent.parts))[before:]
    assert joined(parts) == text
    answers = (await smsc.until("submit_sm_resp", before + sent.parts, direction="out"))[before:]
    for part in parts:
        assert part["destination_addr"] == "86" + sent.to
        assert part["source_addr"] == CODE
        assert (part["dest_addr_ton"], part["dest_addr_npi"]) == (1, 1)
        assert part["registered_delivery"] == 1
        (answer,) = (a for a in answers if a["sequence_number"] == part["sequence_number"])
        acknowledged = await smsc.deliver(**receipt(part, answer["message_id"], stat, form))
        assert acknowledged["command_status"] == 0
    message = await gateway.customer.reaches(sent.message_id, "delivered", "failed")
    await until(lambda: gateway.customer.pull(), what="the report")
    assert [r["status"] for r in gateway.customer.reports[sent.message_id]] == [message["status"]]
    return message


async def test_login_texts_and_receipts(gateway: Site, smsc: NodeSmsc) -> None:
    (bind,) = smsc.pdus("bind_transceiver")
    assert bind["system_id"] == USER
    assert bind["password"] == PASSWORD
    assert bind["system_type"] == "gw"
    assert bind["interface_version"] == 0x34

    forms = ("text", "tlv", "both")
    for n, (name, text) in enumerate(TEXTS.items()):
        message = await story(gateway, smsc, text, form=forms[n % 3])
        assert message["status"] == "delivered", name
        assert message["parts"] == {"total": PARTS.get(name, 1), "ok": PARTS.get(name, 1)}, name
    for form in forms:
        message = await story(gateway, smsc, "to nobody", stat="UNDELIV", form=form)
        assert message["status"] == "failed"
        assert message["carrier_code"].partition("/")[0] == "UNDELIV"

    # keep-alive both ways while the link has nothing else to do
    await smsc.until("enquire_link")
    await smsc.order(send="enquire_link", fields={})
    (answer,) = await smsc.until("enquire_link_resp")
    assert answer["command_status"] == 0

    assert await gateway.node.stop() == 0
    await smsc.until("closed")
    assert len(smsc.pdus("unbind")) == 1
    last = [line for line in smsc.lines if line["event"] == "pdu"][-2:]
    assert [line["command"] for line in last] == ["unbind", "unbind_resp"]
    assert smsc.events("error") == []
    assert smsc.pdus("generic_nack") == []
    assert smsc.pdus("unknown") == []


async def test_replies_of_phones(gateway: Site, smsc: NodeSmsc) -> None:
    phone = {"source_addr": "8613300000001", "source_addr_ton": 1, "source_addr_npi": 1, "destination_addr": CODE}
    first, second = {"hex": "050003a70201"}, {"hex": "050003a70202"}
    await smsc.deliver(**phone, data_coding=0, short_message="TD €[]")
    await smsc.deliver(**phone, data_coding=8, short_message="退订🎂")
    await smsc.deliver(**phone, data_coding=8, short_message={"message": "后半", "udh": second})
    await smsc.deliver(**phone, data_coding=8, short_message={"message": "前半", "udh": first})
    await smsc.deliver(**phone, data_coding=3, short_message="", message_payload={"message": "à la carte"})
    assert [answer["command_status"] for answer in smsc.pdus("deliver_sm_resp")] == [0] * 5

    found = await gateway.customer.replies(4)
    assert sorted(mo["content"] for mo in found) == sorted(["TD €[]", "退订🎂", "前半后半", "à la carte"])
    assert {mo["from"] for mo in found} == {"8613300000001"}


async def test_refusal_throttling_and_unbind_by_the_smsc(gateway: Site, smsc: NodeSmsc) -> None:
    """Answers with a status have no body in this package."""
    customer = gateway.customer
    await smsc.order(refuse="8613300000001", status=0x0B)
    sent = await customer.send("smpp34", "no such number")
    message = await customer.reaches(sent.message_id, "failed")
    assert message["carrier_code"] == "0x0000000b"

    await smsc.order(refuse="8613300000002", status=0x58)
    sent = await customer.send("smpp34", "too fast")
    assert sent.to == "13300000002"
    await smsc.until("submit_sm", 2)
    await smsc.order(refuse="8613300000002", status=0)
    await smsc.until("submit_sm", 3)
    await customer.reaches(sent.message_id, "submitted")

    await smsc.order(send="unbind", fields={})
    (answer,) = await smsc.until("unbind_resp")
    assert answer["command_status"] == 0
    await smsc.until("bind_transceiver", 2)
    await gateway.bound("foreign")
    assert (await story(gateway, smsc, "and on"))["status"] == "delivered"
    assert len(smsc.pdus("submit_sm")) == 4


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_the_same_story_in_clear_and_over_tls(tls: bool, dsn: str, tmp_path: Path) -> None:
    """Text in, report back, long messages, replies, and a connection that breaks with the window full."""
    profile: dict[str, Any] = {"keepalive": 1, "message_reference": True}
    certificate = None
    if tls:
        authority, certificate = Authority(tmp_path / "ca.pem"), tmp_path / "smsc.pem"
        authority.certify(certificate, HERE)
        profile |= {"tls": True, "tls_ca": str(authority.path)}
    async with node_smsc(USER, PASSWORD, certificate) as smsc, site(tmp_path / "node", dsn=dsn, channels=[]) as gateway:
        await add(gateway, smsc.port, "--window", "4", profile=profile)
        await gateway.bound("foreign")
        for name, form in (("gsm", "text"), ("ucs2 in four", "both")):
            assert (await story(gateway, smsc, TEXTS[name], form=form))["status"] == "delivered"
        await smsc.deliver(source_addr="8613300000001", destination_addr=CODE, data_coding=8, short_message="退订🎂")
        (reply,) = await gateway.customer.replies(1)
        assert reply["content"] == "退订🎂"
        await smsc.until("enquire_link")

        # A full window, four more behind it, and the connection is gone.
        await smsc.order(hold=True)
        before = len(smsc.pdus("submit_sm"))
        sent = [await gateway.customer.send("smpp34") for _ in range(8)]
        lost = (await smsc.until("submit_sm", before + 4))[before:]
        await smsc.order(hold=False)
        await smsc.order(cut=True)
        await smsc.until("closed")
        others = (await smsc.until("submit_sm", before + 8))[before + 4 :]
        assert {p["destination_addr"] for p in lost}.isdisjoint(p["destination_addr"] for p in others)
        answered = await smsc.until("submit_sm_resp", before + 4, direction="out")
        answers = {a["sequence_number"]: a["message_id"] for a in answered[-4:]}
        for part in others:
            await smsc.deliver(**receipt(part, answers[part["sequence_number"]], "DELIVRD", "both"))
        # The four were with the SMSC: it reports on them under ids that it never told, with our reference.
        for n, part in enumerate(lost):
            assert (await gateway.customer.get(_sent_to(sent, part)))["status"] == "uncertain"
            reference = part["user_message_reference"]
            fields = receipt(part, f"never-told-{n}", "DELIVRD", "both") | {"user_message_reference": reference}
            assert (await smsc.deliver(**fields))["command_status"] == 0
        for one in sent:
            await gateway.customer.reaches(one.message_id, "delivered")
        await gateway.settled()
        assert smsc.events("error") == []
        assert len(smsc.pdus("submit_sm")) == before + 8


def _sent_to(sent: list[Sent], part: Line) -> str:
    return next(one.message_id for one in sent if part["destination_addr"] == "86" + one.to)


async def test_wrong_password_is_told(dsn: str, tmp_path: Path, smsc: NodeSmsc) -> None:
    async with site(tmp_path / "node", dsn=dsn, channels=[]) as built:
        await add(built, smsc.port, password="wrong", profile={})
        await smsc.until("bind_transceiver")

        async def told() -> str:
            return str((await built.channel("foreign"))["last_error"])

        assert "ESME_RBINDFAIL" in await until(told, what="the channel tells why")
        await smsc.until("closed")
