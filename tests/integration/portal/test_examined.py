"""One message examined: the rule that chose its queue, PDUs for who answers for channels, verified on demand, who has
looked, where it stands, and a text by which others find it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest
import pytest_asyncio
from browsing import lacks, shows
from databases import change as as_owner
from portal_site import SEALER, Site, by_test
from test_inbound import send
from visits import acting_as, add_role, fails, page_for, signed_in

from smsgw.channels.wire.proofs import readings
from smsgw.core.errors import Refused
from smsgw.core.ids import time_of
from smsgw.core.model import Report, SubmitRecording
from smsgw.core.permissions import Permission as P
from smsgw.core.states import PartState
from smsgw.pipeline.outcomes.submit_log import SubmitLog
from smsgw.platform.channels import recordings
from smsgw.platform.evidence import verification
from smsgw.platform.messages import examining, queries
from smsgw.protocols.cmpp import reports
from smsgw.protocols.cmpp.pdus import Deliver, Submit, SubmitResp
from smsgw.protocols.dialects import CMPP20
from smsgw.runtime import clock
from smsgw.store.config.channels import load_channels
from smsgw.store.messages import outcomes
from smsgw.store.records import evidence
from smsgw.store.records.submits import RecordedPdu

NUMBER = "13800138000"
DUMPED = re.compile(r"(?:^|>)[0-9a-f]{4}  ((?:[0-9a-f]{2} ?)+)", re.M)
RIGHTS = [P.MESSAGE_VIEW, P.MESSAGE_READ]
pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    wire = [*RIGHTS, P.MESSAGE_WIRE, P.MESSAGE_UNMASK]
    await add_role(site, "clerk", RIGHTS, people={"clerk-hall": "hall"})
    await add_role(site, "wire", wire, people={"wire-hall": "hall", "wire-clinic": "clinic"})
    return site


async def reported(site: Site, id_: str, state: PartState = PartState.DELIVERED, code: str = "DELIVRD") -> bytes:
    """The carrier's report of a message, as its gateway would say it."""
    name = f"{int(id_):016x}"
    await site.db.execute("UPDATE part SET carrier_id = $2 WHERE id = $1", int(id_), name)
    said = reports.Report(
        msg_id=int(id_), stat=code, submit_time="2611261200", done_time="2611261201", dest_terminal_id=NUMBER
    )
    pdu = CMPP20.encode(Deliver(sequence=9, msg_id=int(id_), dest_id="10690001", src_terminal_id=NUMBER,
                                registered_delivery=1, msg_content=reports.encode(said, 20)))  # fmt: skip
    report = Report(site.channel_id, name, state, code, "" if state is PartState.DELIVERED else "EMPTY_NUMBER",
                    f"86{NUMBER}", clock.now(), pdu=pdu)  # fmt: skip
    async with site.db.transaction() as connection:
        await outcomes.match_reports(connection, [report], outcomes.Tally(), recent=0, oldest=0, newest=2**63 - 1)
    return bytes(pdu)


async def test_pdus_are_decoded_masked_until_one_has_unmasked_and_only_for_who_may(site: Site) -> None:
    id_ = await send(site, "hall", NUMBER)
    pdu = await reported(site, id_)
    async with signed_in(site, "wire-hall") as browser:
        page = unescape(await browser.get(f"/records/{id_}/wire"))
        shows(page, "Registered_Delivery", "Src_terminal_Id", "Stat", "DELIVRD", "CMPP_DELIVER", "138****8000")
        assert NUMBER not in page
        salt, kept = await site.db.fetchrow("SELECT salt, digest FROM evidence")
        assert hashlib.sha256(salt + pdu).digest() == kept
        digest = kept.hex()
        for path in ("wire", "live", "problem"):
            assert digest[:12] not in await browser.get(f"/records/{id_}/{path}"), "ten thousand tries find the number"
        dumped = bytes.fromhex("".join(DUMPED.findall(page)))
        assert dumped == pdu.replace(NUMBER.encode(), b"138****8000")
        assert NUMBER in await browser.post(f"/records/{id_}/number", {"purpose": "check", "note": ""})
        page = unescape(await browser.get(f"/records/{id_}/wire"))
        assert NUMBER in page
        dumped = bytes.fromhex("".join(DUMPED.findall(page)))
        assert dumped == pdu
        assert digest in await browser.get(f"/records/{id_}/problem")
        shows(page, digest, "查看完整号码", "wire-hall")  # who looked
    assert "/wire" not in await page_for(site, "clerk-hall", f"/records/{id_}")
    looked = await site.db.fetch("SELECT after::text FROM audit WHERE action = 'message.wire'")
    assert len(looked) == 2, "masked, and whole"


async def test_verification_finds_what_was_changed(site: Site, dsn: str) -> None:
    id_ = await send(site, "hall", NUMBER)
    await reported(site, id_)
    change = await acting_as(site, "wire-hall")

    async def checked() -> dict[str, str]:
        found = await verification.of_message(change, SEALER, int(id_), now=clock.now(), reads=readings)
        return {one.what: one.state for one in found}

    said = {"pdu": "right", "said": "right"}
    assert await checked() == said | {"result": "right", "root": "open"}
    await evidence.make_root(site.db, SEALER, clock.now() + timedelta(days=1, hours=2))
    assert await checked() == said | {"result": "right", "root": "right"}
    await site.db.execute("UPDATE part SET state = 41 WHERE id = $1", int(id_))
    assert (await checked())["result"] == "wrong"
    await site.db.execute("UPDATE part SET state = 40 WHERE id = $1", int(id_))
    await as_owner(dsn, f"UPDATE evidence SET code = 'DELIVRX' WHERE message_id = {id_}")  # noqa: S608
    assert await checked() == {"pdu": "right", "said": "wrong", "result": "wrong", "root": "wrong"}
    await as_owner(dsn, f"UPDATE evidence SET code = 'DELIVRD', pdu = pdu || '\\x00' WHERE message_id = {id_}")  # noqa: S608
    assert await checked() == {"pdu": "wrong", "said": "wrong", "result": "right", "root": "right"}
    async with signed_in(site, "wire-hall") as browser:
        assert "核验未通过" in await browser.post(f"/records/{id_}/verify", {})
        await as_owner(dsn, f"UPDATE evidence SET pdu = NULL WHERE message_id = {id_}")  # noqa: S608
        shows(await browser.post(f"/records/{id_}/verify", {}), "核验通过", "报文已过保留期，只留摘要")
        assert "报文已过保留期" in await browser.get(f"/records/{id_}/verify"), "the address loaded again"
        assert browser.path == f"/records/{id_}/wire"
    for login, code in (("wire-clinic", "NOT_FOUND"), ("clerk-hall", "PERMISSION_DENIED")):
        asked = verification.of_message(await acting_as(site, login), SEALER, int(id_), now=clock.now(), reads=readings)
        await fails(Refused, asked, code=code)


async def test_a_result_and_its_row_changed_together_are_told_by_the_pdu(site: Site, dsn: str) -> None:
    id_ = await send(site, "hall", NUMBER)
    await reported(site, id_, PartState.UNDELIVERABLE, "UNDELIV")
    async with signed_in(site, "wire-hall") as browser:
        assert "核验通过" in await browser.post(f"/records/{id_}/verify", {})
        for table in ("part", "evidence"):
            await as_owner(dsn, f"UPDATE {table} SET state = 40, code = 'DELIVRD'")  # noqa: S608
        page = await browser.post(f"/records/{id_}/verify", {})
        assert "核验未通过" in page
        assert re.findall(r"<dt>([^<]*) · 第 1 段</dt><dd>(?:(?!</dd>).)*不一致", page, re.S) == ["报文内容与存证"]


TABLE = """{"pool": [{"name": "codes", "channels": [{"name": "gone-since", "weight": 3}]}],
"rule": [{"name": "of the clinic", "account": ["clinic"], "pool": "codes"},
         {"name": "all of 138", "type": ["notice"], "prefix": ["138"], "pool": "CMCC"}]}"""


async def test_the_rule_is_that_of_the_table_in_force_when_it_was_accepted(site: Site) -> None:
    old = await send(site, "hall", NUMBER)
    await site.db.execute(
        "INSERT INTO route_version (document, note, actor, published_at) VALUES ($1::jsonb, '', 'x', $2)",
        TABLE, time_of(int(old)) + timedelta(milliseconds=1))  # fmt: skip
    new = await send(site, "hall", NUMBER)
    for id_, rule, version in ((old, None, 0), (new, "all of 138", 1)):
        message = await queries.get(site.db, int(id_), accounts=None)
        found = await examining.choice(site.db, message)
        assert (found.rule.name if found.rule else None, found.version > 0) == (rule, version > 0)
        assert (found.decided, found.pool) == ("CMCC", "CMCC")
    assert found.conditions == [("type", "notice"), ("prefix", "138")]
    assert [(line.rule, line.miss) for line in found.passed] == [("of the clinic", "account")]
    async with signed_in(site, "boss") as browser:
        assert "没有发布路由表" in await browser.get(f"/records/{old}")
        page = await browser.get(f"/records/{new}")
        assert "“all of 138”，送入通道组 CMCC" in unescape(page)
        assert "of the clinic" in page
        await site.db.execute("INSERT INTO pool (name) VALUES ('codes') ON CONFLICT DO NOTHING")
        await site.db.execute(
            "UPDATE part SET pool_id = (SELECT id FROM pool WHERE name = 'codes') WHERE id = $1", int(new)
        )
        assert "gone-since" in await browser.get(f"/records/{new}"), "the channels of the pool in which it is now"
    async with signed_in(site, "clerk-hall") as browser:
        page = await browser.get(f"/records/{new}")
        shows(page, "为什么走这个通道", "送入通道组 CMCC")
        for theirs in ("of the clinic", "all of 138", "号段", "gone-since"):
            assert theirs not in page, f"{theirs}: rules name other customers"


async def test_the_way_says_where_it_stands_and_what_to_do(site: Site) -> None:
    done, failed, waits = [await send(site, "hall", NUMBER) for _ in range(3)]
    await reported(site, done)
    await reported(site, failed, PartState.UNDELIVERABLE, "MK:0001")

    async def way(id_: str) -> dict[str, str]:
        trace = await queries.trace(site.db, int(id_), accounts=None)
        return {hop.key: hop.state for hop in examining.hops(trace)}

    passed = {"door": "done", "queue": "done", "answer": "done"}
    assert (await way(failed)) | {"push": ""} == passed | {"report": "stuck", "push": ""}
    assert (await way(waits)) == passed | {"report": "now", "push": "ahead"}
    assert (await way(done))["report"] == "done"
    async with signed_in(site, "clerk-hall") as browser:
        page = await browser.get(f"/records/{failed}")
        assert re.search(r'class="hop hop-stuck"><i></i>状态报告<span class="">（停在这里）', page)
        shows(page, "怎么办", "用空号过滤剔除")
        assert "怎么办" not in await browser.get(f"/records/{done}")


async def test_what_we_refuse_leads_to_where_the_rule_stands(site: Site) -> None:
    id_ = await send(site, "hall", NUMBER)
    for code, page in (("NUMBER_BLACKLISTED", "/blocked/why"), ("CONTENT_SENSITIVE", "/words"),
                       ("SIGN_INVALID", "/signs"), ("PARAM_INVALID", "")):  # fmt: skip
        await site.db.execute(
            "UPDATE part SET state = 45, by_us = true, code = $2, class = 'POLICY' WHERE id = $1", int(id_), code
        )
        for login, seen in (("boss", bool(page)), ("clerk-hall", False)):
            async with signed_in(site, login) as browser:
                shown = await browser.get(f"/records/{id_}")
                assert "平台校验" in shown
                leads = re.search(r'怎么办：</strong>[^<]*<a href="([^"]+)"', shown)
                assert (leads[1] if leads else "") == (page if seen else ""), (login, code)
    # What may have arrived is not to be sent again.
    id_ = await send(site, "hall", NUMBER)
    async with signed_in(site, "clerk-hall") as browser:
        for state, advice in ((PartState.NO_REPORT, "请勿重发"), (PartState.UNCONFIRMED, "请勿重发"),
                              (PartState.UNKNOWN, "请勿重发"), (PartState.CANCELLED, "需要时重新发送"),
                              (PartState.DUPLICATE, "无需重发"), (PartState.EXPIRED, "恢复后重发")):  # fmt: skip
            await site.db.execute("UPDATE part SET state = $2, class = 'CHANNEL' WHERE id = $1", int(id_), state)
            page = await browser.get(f"/records/{id_}")
            told = re.search(r"怎么办：</strong>([^<]*)<", page)
            assert told, state
            assert advice in told[1], state
            assert ("重发。" in told[1].replace("请勿重发", "").replace("无需重发", "")) == (state == PartState.EXPIRED)


async def test_trouble_is_told_with_every_id_and_no_number(site: Site) -> None:
    id_ = await send(site, "hall", NUMBER)
    await reported(site, id_, PartState.UNDELIVERABLE, "MK:0001")
    async with signed_in(site, "clerk-hall") as browser:
        page = unescape(await browser.get(f"/records/{id_}/problem"))
        shows(page, id_, f"{int(id_):016x}", "MK:0001", "138****8000", "hall", "批次号", "本页请求号", "受理时间")
        lacks(page, NUMBER, "您好")


def test_the_number_is_masked_however_it_is_spelled_and_as_long_as_before() -> None:
    for number, spelled in (("8613800138000", "2611261201+0013800138000"), ("8613800138000", "00138000"),
                            ("5215512345678", "+525512345678"), ("5491123456789", "541123456789"),
                            ("8521234567", "00121234567"), ("12025550123", "12025550123"), ("123456", "123456"),
                            ("8613800138000", "13800138000")):  # fmt: skip
        hidden = examining.masked(b"\x00" + spelled.encode() + b"\xff", number)
        assert len(hidden) == len(spelled) + 2
        assert number[-8:].encode() not in hidden, spelled
        assert hidden.count(b"*") >= 4, spelled
    other = b"2611261201 13900139000"
    assert examining.masked(other, "8613800138000") == other


async def submitted(site: Site, id_: str) -> bytes:
    """A recorded submit of a message, and its answer, as a node writes them."""
    await recordings.begin(by_test(site.db), site.channel_id, hours=1, reason="投诉排查")
    found = await recordings.last(site.db, site.channel_id)
    submit = CMPP20.encode(
        Submit(sequence=7, dest_terminal_id=(f"86{NUMBER}",), msg_fmt=8, msg_content="取件码一二三".encode("utf-16-be"))
    )
    answer = CMPP20.encode(SubmitResp(sequence=7, msg_id=int(id_), result=0))
    log = SubmitLog(site.db)
    for ours, octets in ((True, submit), (False, answer)):
        log.note(RecordedPdu(found.id, int(id_), 1, 1, ours, site.channel_id, clock.now(), "cmpp20", octets))
    await log.stop()
    return bytes(submit)


async def test_recorded_submits_stand_in_the_trace_masked_for_who_may_see_pdus(site: Site) -> None:
    id_ = await send(site, "hall", NUMBER)
    submit = await submitted(site, id_)
    await add_role(site, "blind", [P.MESSAGE_VIEW, P.MESSAGE_WIRE], people={"blind-hall": "hall"})
    async with signed_in(site, "wire-hall") as browser:
        page = unescape(await browser.get(f"/records/{id_}/wire"))
        shows(page, "提交报文", "运营商应答报文", "CMPP_SUBMIT", "CMPP_SUBMIT_RESP", "取件码一二三", "138****8000")
        shows(page, "不属于存证", no=NUMBER)
        dumped = bytes.fromhex("".join(DUMPED.findall(page)))
        assert dumped.startswith(submit.replace(NUMBER.encode(), b"138****8000"))
        await browser.post(f"/records/{id_}/number", {"purpose": "check", "note": ""})
        assert submit in bytes.fromhex("".join(DUMPED.findall(unescape(await browser.get(f"/records/{id_}/wire")))))
    async with signed_in(site, "blind-hall") as browser:
        page = unescape(await browser.get(f"/records/{id_}/wire"))
        shows(page, "CMPP_SUBMIT", "不能查看", no=("取件码", "取件码一".encode("utf-16-be").hex()))
    looked = await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'message.wire'")
    assert looked == 3, "each look, none that was refused"
    await site.db.execute("UPDATE message SET number = $1 WHERE id = $2", "#" + "0" * 32, int(id_))
    assert "CMPP_SUBMIT" not in await page_for(site, "wire-hall", f"/records/{id_}/wire"), "it could not be masked"


async def test_a_channels_recording_is_begun_with_its_effect_and_the_trace_says_what_was_left_out(site: Site) -> None:
    id_ = await send(site, "hall", NUMBER)
    one = f"/channels/{site.channel_id}"
    async with signed_in(site, "boss") as boss:
        assert "未开启。开启后" in await boss.get(one)
        assert "通道未开启录制" in await boss.get(f"/records/{id_}/wire")
        assert await boss.status_of(f"{one}/record", {"hours": "4", "reason": ""}) == 422
        assert await boss.status_of(f"{one}/record", {"hours": "500", "reason": "投诉排查"}) == 422
        assert "每秒最多留存 50 段" in await boss.post(f"{one}/record", {"hours": "4", "reason": "投诉排查"})
        assert await recordings.last(site.db, site.channel_id) is None, "only asked"
        await boss.post(f"{one}/record", {"hours": "4", "reason": "投诉排查", "confirmed": "1"})
        shows(await boss.get(one), "录制中", "投诉排查")
        await boss.post(f"{one}/record", {"hours": "4", "reason": "再一次", "confirmed": "1"})
        assert boss.status == 422, "one at a time"
        (spec,) = [c for c in await load_channels(site.db, SEALER) if c.id == site.channel_id]
        found = await recordings.last(site.db, site.channel_id)
        assert spec.recording == SubmitRecording(found.id, found.until)
        claimed = "UPDATE part SET channel_id = $2, claimed_at = now() WHERE id = $1"
        await site.db.execute(claimed, int(id_), site.channel_id)
        log = SubmitLog(site.db)
        log.leave_out(found.id, 3)
        await log.stop()
        assert "超出录制上限，未留存" in await boss.get(f"/records/{id_}/wire")
        assert "超出上限未留存" in await boss.get(one)
        await boss.post(f"{one}/record/end", {"confirmed": "1"})
        assert "已结束" in await boss.get(one)
        (spec,) = [c for c in await load_channels(site.db, SEALER) if c.id == site.channel_id]
        assert spec.recording is None


async def test_a_database_that_refuses_costs_the_recording_and_nothing_else(site: Site) -> None:
    await recordings.begin(by_test(site.db), site.channel_id, hours=1, reason="投诉排查")
    found = await recordings.last(site.db, site.channel_id)
    log = SubmitLog(site.db)
    one = RecordedPdu(found.id, 1, 1, 1, True, site.channel_id, clock.now(), "cmpp20", b"x")
    await as_owner(site.db.dsn, "ALTER TABLE submit_pdu RENAME TO away")
    log.note(one)
    log.note(replace(one, ours=False))
    assert not await log.write()
    await as_owner(site.db.dsn, "ALTER TABLE away RENAME TO submit_pdu")
    log.note(one)
    await log.stop()
    found = await recordings.last(site.db, site.channel_id)
    assert (found.kept, found.left_out) == (1, 1)
