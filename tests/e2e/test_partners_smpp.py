"""Partners by SMPP: what they send reaches the carrier, what they are told and asked, and what they may not do."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import pytest
from harness import PATIENCE, until
from partner_client import PartnerClient, PartnerSite, payload, smpp_client, submit, submit_sm

from smsgw.core import text, udh
from smsgw.core.text import Coding
from smsgw.protocols.pdu import Tlv
from smsgw.protocols.smpp import pdus, tlvs
from smsgw.runtime.aio import spawn

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("left_as_found")]


def arrived(here: PartnerSite) -> dict[str, str]:
    """Number -> text of all that carriers have taken."""
    return {f"86{number}": text for number, text in here.arrived().items()}


@pytest.mark.shard("core")
async def test_a_message_its_receipt_and_its_standing(here: PartnerSite) -> None:
    client = await here.smpp()
    answer = await client.call(submit_sm("8613800000101", "hello"))
    assert answer.command_status == 0
    await client.told([answer.message_id])
    assert client.receipts()[answer.message_id] == ["DELIVRD"]
    receipt = client.delivered[0]
    assert (receipt.source_addr, receipt.destination_addr) == ("8613800000101", "10690001")
    assert (receipt.source_addr_ton, receipt.source_addr_npi) == (1, 1)
    found = await client.call(pdus.QuerySm(message_id=answer.message_id, source_addr="10690001"))
    assert (found.command_status, found.message_state) == (0, 2)
    assert len(found.final_date) == 16
    strange = await client.call(pdus.QuerySm(message_id="12345", source_addr="10690001"))
    assert (strange.command_status, strange.message_id, strange.message_state) == (0x0C, "12345", 7)
    message = await here.site.customer.get(answer.message_id)
    assert message["status"] == "delivered"


CODED = {
    "8613800000201": (0, text.encode("plain €[] @text", Coding.GSM7), "plain €[] @text"),
    "8613800000202": (8, "您的验证码是 8848".encode("utf-16-be"), "您的验证码是 8848"),
    "8613800000203": (3, "déjà vu".encode("latin-1"), "déjà vu"),
    "8613800000204": (1, b"ascii", "ascii"),
    "8613800000205": (15, "国标编码".encode("gb18030"), "国标编码"),
    "8613800000206": (4, "当作数据的文字".encode(), "当作数据的文字"),
    "8613800000207": (0xF0, b"flash", "flash"),
    "8613800000208": (8, "末尾有零\0".encode("utf-16-be"), "末尾有零"),
    "8613800000209": (0x18, "闪信".encode("utf-16-be"), "闪信"),
}


async def test_every_alphabet_becomes_text(here: PartnerSite) -> None:
    client = await here.smpp(bind="transmitter")
    answers = await asyncio.gather(
        *(client.call(submit_sm(n, "x", data_coding=c, short_message=o)) for n, (c, o, _) in CODED.items())
    )
    assert {a.command_status for a in answers} == {0}
    wanted = {n: t for n, (_, _, t) in CODED.items()}
    await until(lambda: {n: t for n, t in arrived(here).items() if n in wanted} == wanted, what="all texts")


async def test_long_messages_by_header_segments_and_payload(here: PartnerSite) -> None:
    client = await here.smpp()
    long = "长短信" * 50
    pieces = [long[n : n + 67] for n in range(0, len(long), 67)]
    total = len(pieces)

    def sar(n: int) -> tuple[Tlv, ...]:
        return (
            Tlv(tlvs.SAR_MSG_REF_NUM, b"\0\7"),
            Tlv(tlvs.SAR_TOTAL_SEGMENTS, bytes((total,))),
            Tlv(tlvs.SAR_SEGMENT_SEQNUM, bytes((n,))),
        )

    by_header = [
        submit_sm("8613800000401", "x", esm_class=0x40, data_coding=8,
                  short_message=udh.concat8(7, total, n) + piece.encode("utf-16-be"))
        for n, piece in enumerate(pieces, 1)
    ]  # fmt: skip
    wide = [
        submit_sm("8613800000402", "x", esm_class=0x40, data_coding=8, registered_delivery=0 if n == 2 else 1,
                  short_message=udh.concat16(7, total, n) + piece.encode("utf-16-be"))
        for n, piece in enumerate(pieces, 1)
    ]  # fmt: skip
    by_segment = [submit_sm("8613800000403", piece, tlvs=sar(n)) for n, piece in enumerate(pieces, 1)]
    whole = submit_sm("8613800000404", "x", data_coding=8, short_message=b"", tlvs=payload(long))
    data = pdus.DataSm(
        source_addr="10690001", dest_addr_ton=1, destination_addr="8613800000405", registered_delivery=1,
        data_coding=8, tlvs=payload(long),
    )  # fmt: skip
    sent = [*reversed(by_header), *wide, *by_segment, whole, data]
    answers = await asyncio.gather(*(client.call(pdu) for pdu in sent))
    assert {a.command_status for a in answers} == {0}
    assert len({a.message_id for a in answers}) == len(sent)
    silent = answers[total + 1].message_id
    await client.told({a.message_id for a in answers} - {silent})
    assert set(map(tuple, client.receipts().values())) == {("DELIVRD",)}
    assert silent not in client.receipts()
    numbers = [f"861380000040{n}" for n in range(1, 6)]
    assert [arrived(here).get(n) for n in numbers] == [long] * 5
    # What was put together costs what is sent: the parts of all five.
    books = await here.node.ctl("ledger", "check", "--json")
    assert books.data
    found = await client.call(pdus.QuerySm(message_id=answers[0].message_id))
    assert found.message_state == 2


async def test_submit_multi_has_one_id_and_names_what_failed(here: PartnerSite) -> None:
    client = await here.smpp()
    numbers = ["8613800000601", "8613800000602", "12", "8613800000603"]
    multi = pdus.SubmitMulti(
        source_addr="10690001",
        registered_delivery=1,
        short_message=b"to all",
        dest_address=(pdus.DistributionList("friends"), *(pdus.SmeAddress(1, 1, n) for n in numbers)),
    )
    answer = await client.call(multi)
    assert answer.command_status == 0
    assert [(u.destination_addr, u.error_status_code) for u in answer.unsuccess_sme] == [
        ("friends", 0x34),
        ("12", 0x0B),
    ]
    await until(lambda: len(client.receipts().get(answer.message_id, ())) == 3, what="three receipts")
    assert {p.source_addr for p in client.delivered} == {n for n in numbers if n != "12"}
    nobody = await client.call(pdus.SubmitMulti(dest_address=(pdus.SmeAddress(1, 1, "12"),), short_message=b"x"))
    assert nobody.command_status == 0x0B


async def test_two_equal_texts_to_one_number_are_two_messages(here: PartnerSite) -> None:
    client = await here.smpp()
    answers = await asyncio.gather(*(client.ask(submit_sm("8613800000701", "twice")) for _ in range(2)))
    assert [a.command_status for a in answers] == [0, 0]
    await client.told([a.message_id for a in answers])
    taken = [m for c in here.site.carriers.values() for m in c.inbox.messages if m.destination == "13800000701"]
    assert len(taken) == 2


async def test_only_the_receipts_that_were_asked_for(here: PartnerSite) -> None:
    client = await here.smpp()
    none = await client.call(submit_sm("8613800000801", "none", registered_delivery=0))
    failures = await client.call(submit_sm("8613800000802", "failures", registered_delivery=2))
    done = await client.call(submit_sm("8613800000803", "all"))
    for answer in (none, failures):
        await here.site.customer.reaches(answer.message_id, "delivered")
    await client.told([done.message_id])
    assert none.message_id not in client.receipts()
    assert failures.message_id not in client.receipts()


async def test_later_and_cancelled(here: PartnerSite) -> None:
    client = await here.smpp()
    later = submit_sm("8613800000901", "later", schedule_delivery_time="000000010000000R")
    one, two = await client.call(later), await client.call(later)
    assert (await here.site.customer.get(one.message_id))["status"] == "scheduled"
    standing = await client.call(pdus.QuerySm(message_id=one.message_id))
    assert standing.message_state == 1
    assert (await client.call(pdus.CancelSm(message_id=one.message_id))).command_status == 0
    await client.told([one.message_id])
    assert client.receipts()[one.message_id] == ["DELETED"]
    elsewhere = pdus.CancelSm(source_addr="10690001", dest_addr_ton=1, destination_addr="8613800000901")
    assert (await client.call(elsewhere)).command_status == 0
    await client.told([two.message_id])
    assert (await client.call(elsewhere)).command_status == 0x11
    soon = await client.call(submit_sm("8613800000902", "soon", schedule_delivery_time="000000000001000R"))
    await client.told([soon.message_id])


async def test_what_a_partner_does_not_take_comes_again(here: PartnerSite) -> None:
    client = await here.smpp()
    tries: list[int] = []

    def moody(pdu: Any) -> int | None:
        tries.append(pdu.sequence)
        return 0x64 if len(tries) == 1 else 0

    client.answer_with = moody
    answer = await client.call(submit_sm("8613800001101", "again"))
    await until(lambda: len(tries) == 2, what="a second try")
    client.answer_with = lambda _: 0x66
    for_good = await client.call(submit_sm("8613800001102", "never"))
    await client.told([answer.message_id, for_good.message_id])
    client.answer_with = lambda _: None
    silent = await client.call(submit_sm("8613800001103", "silent"))
    await client.told([silent.message_id])
    client.abort()
    other = await here.smpp(bind="receiver")
    await other.told([silent.message_id])
    assert set(other.receipts()) == {silent.message_id}
    await other.close()


async def test_reports_wait_for_a_partner_that_is_away(here: PartnerSite) -> None:
    client = await here.smpp(bind="transmitter")
    answers = await asyncio.gather(*(client.call(submit_sm(f"86138000012{n:02d}", "away")) for n in range(20)))
    await client.close()
    for answer in answers:
        await here.site.customer.reaches(answer.message_id, "delivered")
    back = [await here.smpp(bind="receiver") for _ in range(2)]
    ids = {a.message_id for a in answers}
    await until(lambda: {i for c in back for i in c.receipts()} == ids, what="all reports")
    assert sum(len(r) for c in back for r in c.receipts().values()) == len(ids)
    for receiver in back:
        await receiver.close()


async def test_who_may_not_in(here: PartnerSite) -> None:
    async def login(**how: Any) -> int:
        client = await PartnerClient.connect(here.smpp_port, smpp_client(**how))
        status = client.bound.result()
        client.abort()
        return status

    assert await login(password="wrong") == 0x0E
    assert await login(user="nobody") == 0x0E
    assert await login() == 0
    add = ("partner", "add", "acme", "--protocol", "smpp", "--password", "secret12")
    await here.node.ctl(*add, "--user", "elsewhere", "--ip", "10.0.0.0/8")
    await here.node.ctl(*add, "--user", "single", "--max-binds", "1", "--window", "3", "--rate", "2")
    assert await login(user="elsewhere") == 0x0D
    await here.node.furnish("partner", "set", "elsewhere", "--ip", "127.0.0.0/8", "--ip", "::1")
    assert await login(user="elsewhere") == 0
    single = await PartnerClient.connect(here.smpp_port, smpp_client(user="single"))
    assert await login(user="single") == 0x0D
    # Faster than it may: the burst is one second's worth.
    answers = await asyncio.gather(*(single.call(submit_sm(f"861380000130{n}", "x")) for n in range(3)))
    assert sorted(a.command_status for a in answers) == [0, 0, 0x58]
    listed = await here.node.ctl("partner", "list", "--json")
    line = next(p for p in listed.data if p["user"] == "single")
    assert (line["max_binds"], line["window"], line["rate"]) == (1, 3, 2)
    assert "secret12" not in listed.out

    async def told() -> bool:
        """By its row, as any node would tell it."""
        rows = await bound_rows(here, "single")
        return bool(rows) and rows[0]["submits"] == 2 and rows[0]["codes"] == {"rate": 1}

    await until(told, what="how the bind goes is listed")
    (row,) = await bound_rows(here, "single")
    assert (row["version"], row["mode"], row["ip"]) == ("smpp34", "transceiver", "127.0.0.1")
    assert (row["refused"], row["slowed"], row["unanswered"], row["kick"]) == (1, 1, 0, False)
    assert row["last_at"] >= row["bound_at"]
    await here.node.ctl("partner", "kick", "single", "--reason", "much too fast")
    await until(lambda: single.over, what="kicked")
    stopped = await PartnerClient.connect(here.smpp_port, smpp_client(user="single"))
    await here.node.furnish("partner", "set", "single", "--stop")
    await until(lambda: stopped.over, what="stopped")
    assert await login(user="single") == 0x0D
    await here.node.ctl("partner", "remove", "single")
    assert await login(user="single") == 0x0E


async def bound_rows(here: PartnerSite, user: str) -> list[Any]:
    listed = await here.node.ctl("partner", "list", "--json")
    return next(p["binds"] for p in listed.data if p["user"] == user)


async def test_window_overflow_and_submit_before_the_bind(here: PartnerSite) -> None:
    client = await here.smpp()
    # One write, so that the gateway reads them before it has answered any: 64 are the window of the login.
    answers = await asyncio.gather(*(client.ask(submit_sm(f"8613800014{n:03d}", "x")) for n in range(200)))
    statuses = [a.command_status for a in answers]
    assert set(statuses) == {0, 0x58}
    assert statuses.count(0) >= 64
    await client.close()

    reader, writer = await asyncio.open_connection("127.0.0.1", here.smpp_port)
    raw = client.session.dialect.encode(submit_sm("8613800001500", "x"))
    writer.write(raw)
    head = await asyncio.wait_for(reader.readexactly(16), PATIENCE)
    assert head[4:12] == bytes.fromhex("8000000400000004")  # submit_sm_resp, ESME_RINVBNDSTS
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()


async def test_who_is_refused_over_and_over_is_read_later_and_nothing_else_is(here: PartnerSite) -> None:
    wrong, other = await here.smpp(), await here.cmpp()
    begun = time.monotonic()
    said: Counter[int] = Counter()
    for _ in range(6):
        calls = (wrong.call(submit_sm("8613800000990", "x" * 200, esm_class=0x40)) for _ in range(50))
        said.update(answer.command_status for answer in await asyncio.gather(*calls))
    assert 0 not in said
    assert time.monotonic() - begun > 0.95, "a hundred too many without a pause"
    good = spawn(wrong.call(submit_sm("8613800000991", "right")), name="good")
    assert (await other.call(submit("13800000992", "meanwhile"))).result == 0
    assert (await good).command_status == 0
    await wrong.close()
    await other.close()
