"""Partners by CMPP 2.0 and 3.0."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from harness import until
from partner_client import PASSWORD, PartnerClient, PartnerSite, cmpp_client, in_parts, submit

from smsgw.core import udh
from smsgw.protocols.cmpp import pdus

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("left_as_found"), pytest.mark.shard("core"),
]  # fmt: skip


@pytest.mark.parametrize(("version", "spoken"), [(0x30, "cmpp30"), (0x20, "cmpp20"), (0x21, "cmpp20")])
async def test_a_message_and_its_report(here: PartnerSite, version: int, spoken: str) -> None:
    client = await here.cmpp(version=version)
    assert client.session.dialect.name == spoken
    to = f"1380000{version:04d}"
    answer = await client.call(submit(to, "您的验证码是 8848", service_id="svc"))
    assert answer.result == 0
    await client.told([answer.msg_id])
    (report,) = client.reports()[answer.msg_id]
    assert (report.stat, report.dest_terminal_id) == ("DELIVRD", to)
    assert len(report.submit_time) == len(report.done_time) == 10
    (deliver,) = client.delivered
    assert (deliver.src_terminal_id, deliver.dest_id, deliver.service_id) == (to, "10690001", "svc")
    assert deliver.msg_id != answer.msg_id
    assert here.arrived()[to] == "您的验证码是 8848"
    assert (await client.call(pdus.Cancel(msg_id=answer.msg_id))).success_id == 1


async def test_a_group_has_ids_that_follow_each_other(here: PartnerSite) -> None:
    client = await here.cmpp()
    to = ("13800000101", "12", "13800000103")
    answer = await client.call(submit(to, "群发"))
    assert answer.result == 0
    ids = [answer.msg_id + n for n in range(3)]
    await client.told(ids)
    assert [client.reports()[i][0].dest_terminal_id for i in ids] == list(to)
    assert [client.reports()[i][0].stat for i in ids] == ["DELIVRD", "REJECTD", "DELIVRD"]
    many = tuple(f"138001{n:05d}" for n in range(99))
    answer = await client.call(submit(many, "to all"))
    await client.told([answer.msg_id + n for n in range(99)])
    assert (await client.call(submit((*many, "13800000199"), "one too many"))).result == 13
    assert (await client.call(submit(("12", "13"), "nobody"))).result == 13


async def test_long_messages_to_one_and_to_several(here: PartnerSite) -> None:
    client = await here.cmpp()
    long, one, to = "超长短信" * 30, "13800000201", ("13800000202", "13800000203")
    sent = [*reversed(in_parts(submit, one, long, 9)), *in_parts(submit, to, long, 9)]  # type: ignore[arg-type]
    answers = [await client.call(pdu) for pdu in sent]
    assert [a.result for a in answers] == [0] * 4
    ids = [a.msg_id for a in answers] + [a.msg_id + 1 for a in answers[2:]]
    await client.told(ids)
    assert {client.reports()[id_][0].stat for id_ in ids} == {"DELIVRD"}
    assert [here.arrived().get(n) for n in (one, *to)] == [long] * 3
    alone = await client.call(submit("13800000204", "no header", pk_total=2, pk_number=1))
    await client.told([alone.msg_id])


async def test_alphabets_and_refusals(here: PartnerSite) -> None:
    client = await here.cmpp()
    good = [
        submit("13800000301", "x", msg_fmt=15, msg_content="国标".encode("gb18030")),
        submit("13800000302", "x", msg_fmt=0, msg_content=b"ascii"),
        submit("13800000303", "x", msg_fmt=25, msg_content="字".encode("utf-16-be")),
        submit("8613800000304", "plus 86"),
    ]
    assert [(await client.call(pdu)).result for pdu in good] == [0] * 4
    wanted = {"13800000301": "国标", "13800000302": "ascii", "13800000303": "字", "13800000304": "plus 86"}
    await until(lambda: {n: t for n, t in here.arrived().items() if n in wanted} == wanted, what="all texts")
    refused = {
        "binary": (submit("13800000305", "x", msg_fmt=4, msg_content=b"\xff\xfe"), 1),
        "SIM": (submit("13800000305", "x", msg_fmt=0xF6), 1),
        "half": (submit("13800000305", "x", msg_fmt=8, msg_content=b"\x4e"), 4),
        "empty": (submit("13800000305", "x", msg_content=b""), 4),
        "source": (submit("13800000305", "x", src_id="SHOP"), 10),
        "pseudo": (submit("13800000305", "x", dest_terminal_type=1), 13),
        "header": (submit("13800000305", "x", tp_udhi=1, msg_content=b"\x50"), 1),
        "over": (submit("13800000305", "x", valid_time="240101000000000+"), 1),
    }
    answers = {name: (await client.call(pdu)).result for name, (pdu, _) in refused.items()}
    assert answers == {name: result for name, (_, result) in refused.items()}


async def test_later_cancelled_and_counted(here: PartnerSite) -> None:
    client = await here.cmpp()
    later = await client.call(submit(("13800000501", "13800000502"), "later", at_time="000000010000000R"))
    assert (await client.call(pdus.Cancel(msg_id=later.msg_id))).success_id == 0
    await client.told([later.msg_id, later.msg_id + 1])
    assert {client.reports()[later.msg_id + n][0].stat for n in range(2)} == {"DELETED"}
    assert (await client.call(pdus.Cancel(msg_id=12345))).success_id == 1
    import datetime

    from smsgw.core.ids import CHINA

    today = f"{datetime.datetime.now(CHINA):%Y%m%d}"
    counted = await client.call(pdus.Query(time=today, query_type=0))
    assert counted.time == today
    assert counted.mt_tlmsg >= 2


async def test_messages_from_phones(here: PartnerSite) -> None:
    client = await here.cmpp()
    carrier = here.site.carriers["cmpp30"]
    long = "一条很长的回复" * 20
    carrier.send_mo("13800000601", "1069000177", "short")
    carrier.send_mo("13800000601", "10690001", long)
    await until(lambda: len(client.messages()) == 4, what="four deliveries")
    short, *parts = sorted(client.messages(), key=lambda p: p.tp_udhi)
    assert (short.src_terminal_id, short.dest_id, short.msg_fmt) == ("13800000601", "1069000177", 0)
    joined = sorted((udh.parse(p.msg_content).concat.number, p.msg_content[6:]) for p in parts)
    assert b"".join(octets for _, octets in joined).decode("utf-16-be") == long
    assert len({p.msg_id for p in client.messages()}) == 4


async def test_window_overflow(here: PartnerSite) -> None:
    client = await here.cmpp()
    answers = await asyncio.gather(*(client.ask(submit(f"13800007{n:03d}", "x")) for n in range(200)))
    results = [a.result for a in answers]
    assert set(results) == {0, 8}
    assert results.count(0) >= 64


# --- logins --------------------------------------------------------------------------------------------------------


async def connect(here: PartnerSite, rules: Any, address: str = "127.0.0.1") -> tuple[int, float]:
    """The status that a CONNECT is answered with, and the seconds that takes. Whoever is let in leaves at once."""
    client = PartnerClient(rules)
    begun = time.monotonic()
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: client.link, "127.0.0.1", here.cmpp_port, local_addr=(address, 0))
    try:
        async with asyncio.timeout(30):
            status = await client.bound
            took = time.monotonic() - begun
            if status == 0:
                await client.close()
        return status, took
    finally:
        client.abort()


def china(hours: float = 0.0) -> int:
    return int((datetime.now(UTC) + timedelta(hours=8 + hours)).strftime("%m%d%H%M%S"))


async def test_a_connect_that_somebody_has_seen_is_worth_nothing(here: PartnerSite) -> None:
    await here.node.furnish("partner", "set", "900100", "--max-binds", "16")
    seen = china(-0.5)
    together = [cmpp_client(timestamp=lambda: seen) for _ in range(4)]
    assert [(await connect(here, rules))[0] for rules in together] == [0] * 4, "the connections of one second"
    assert (await connect(here, cmpp_client(timestamp=lambda: seen), "127.0.9.9"))[0] == 5, "from elsewhere"
    assert (await connect(here, cmpp_client(timestamp=lambda: china(-0.4)), "127.0.9.9"))[0] == 0, (
        "who knows the password"
    )
    for hours in (-8, -13):  # clocks that are honestly wrong
        assert (await connect(here, cmpp_client(timestamp=lambda hours=hours: china(hours))))[0] == 0
    for stamp in (0, china(-30), china(60)):
        assert (await connect(here, cmpp_client(timestamp=lambda stamp=stamp: stamp)))[0] == 3
    (line, *_) = [json.loads(one) for one in here.node.log_lines() if '"clock"' in one]
    assert {"theirs", "ours"} <= line.keys(), "both clocks are told"
    await here.node.furnish("partner", "set", "900100", "--any-clock")
    await until(lambda: _in(here, 0), what="a clock that stands still is let in when it is said to")
    await here.node.furnish("partner", "set", "900100", "--check-clock")
    connection = await asyncpg.connect(here.node.environment["SMSGW_DATABASE_DSN"], timeout=10)
    try:
        query = "SELECT 1 FROM partner_connect WHERE stamp = $1"
        await until(lambda: connection.fetchval(query, seen), what="other nodes hear of it")
    finally:
        await connection.close()


async def _in(here: PartnerSite, stamp: int) -> bool:
    return (await connect(here, cmpp_client(timestamp=lambda: stamp)))[0] == 0


async def test_who_comes_again_and_again_neither_fills_the_log_nor_gets_his_answer_at_once(here: PartnerSite) -> None:
    before = len(here.node.log_lines())
    await asyncio.gather(*(connect(here, cmpp_client(user=f"x{n}"), "127.0.9.20") for n in range(100)))
    add = ("partner", "add", "acme", "--protocol", "cmpp", "--user", "shut", "--password", PASSWORD)
    await here.node.ctl(*add)
    await here.node.furnish("partner", "set", "shut", "--stop")
    answers = [await connect(here, cmpp_client(user="shut"), "127.0.9.21") for _ in range(5)]
    many = await asyncio.gather(*(connect(here, cmpp_client(user="shut"), "127.0.9.21") for _ in range(24)))
    assert {status for status, _ in answers + many} == {5}
    held = 2.0  # seconds, the first time
    assert all(took < held for _, took in answers[:4]), answers
    assert answers[4][1] >= held, "who does not stop waits"
    assert sum(took < held for _, took in many) >= 8, "no more than some are held"
    lines = [line for line in here.node.log_lines()[before:] if "partner." in line]
    assert len(lines) < 40, lines
