"""Partners: ids, times, codings, statuses, logins, and submits without an answer."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from smsgw.core.errors import CODES, Invalid, Refused, SmsgwError, Temporary, Uncertain
from smsgw.core.ids import EPOCH_MS
from smsgw.core.partners import Partner, ReplyTo, Wanted, admits
from smsgw.core.text import Coding
from smsgw.partners import cmpp, smpp, smpp as partners
from smsgw.partners.bind import Bind
from smsgw.partners.cmpp import CmppServer
from smsgw.partners.cmpp_ids import from_msg_id, to_msg_id
from smsgw.partners.connects import AGAIN, KEPT, MAX_OF_ONE, TOGETHER, Connects, distance
from smsgw.partners.protocol_server import NotText, Unfit, split_header, text_of
from smsgw.partners.resubmits import GOOD_FOR, Left, UnderWay
from smsgw.protocols.cmpp import msgid, pdus as cmpp_pdus
from smsgw.protocols.dialects import SMPP34
from smsgw.protocols.events import LoginRequest, Request
from smsgw.protocols.pdu import Pdu, Tlv
from smsgw.protocols.session import Session, SessionConfig
from smsgw.protocols.smpp import codes, pdus, rules, tlvs

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


@given(
    st.datetimes(datetime(2025, 12, 1), datetime(2026, 11, 24)), st.integers(0, 1023), st.integers(0, 4095),
    st.integers(0, 63),
)  # fmt: skip
def test_an_id_and_its_msg_id_are_one(at: datetime, node: int, sequence: int, index: int) -> None:
    ms = int(at.replace(tzinfo=UTC).timestamp() * 1000) - EPOCH_MS
    id_ = ms << 22 | node << 12 | sequence
    msg_id = to_msg_id(id_, index)
    assert from_msg_id(msg_id, NOW) == id_
    parts = msgid.unpack(msg_id)
    assert 1 <= parts.month <= 12
    assert parts.gateway >> 16 == index


def test_ids_and_receipts_are_kept_for_their_group() -> None:
    first = 383_000_000_000_000_000 & ~0xFFF
    assert [to_msg_id(first + n) - to_msg_id(first) for n in range(100)] == list(range(100))
    assert (from_msg_id(0, NOW), from_msg_id((1 << 64) - 1, NOW)) == (0, 0)
    for other in ("", "parts", "订单 7", "1\t2", "a\t" * 8 + "b"):  # what others have put there is not mistaken
        assert ReplyTo.unpack(other) is None
    networks = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))  # addresses
    assert admits((), "192.0.2.1")
    found = [admits(networks, one) for one in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1%eth0", "192.0.2.1")]
    assert found == [True, True, True, False]
    wanted = [[one.includes(state) for one in Wanted] for state in ("delivered", "failed")]
    assert wanted == [[False, True, False, True], [False, True, True, False]]
    partner = Partner(1, 1, "smpp", "u", "p", alphabet=Coding.LATIN1)  # codings
    latin, ucs2 = Coding.LATIN1, Coding.UCS2
    known = {0: latin, 1: Coding.ASCII, 3: latin, 8: ucs2, 0x18: ucs2, 0xF1: latin}
    assert {c: smpp.coding_of(c, partner) for c in known} == known
    for strange in (5, 9, 0x40, 0xC0):
        with pytest.raises(Unfit):
            smpp.coding_of(strange, partner)
    assert [cmpp.coding_of(f) for f in (0, 15, 8, 24, 16)] == [
        Coding.ASCII, Coding.GB18030, Coding.UCS2, Coding.UCS2, Coding.ASCII,
    ]  # fmt: skip
    with pytest.raises(Unfit):
        cmpp.coding_of(0xF5)
    for status, code, stat in (  # words of receipts
        ("delivered", "DELIVRD", ("DELIVRD", "000")), ("failed", "UNDELIV/012", ("UNDELIV", "012")),
        ("failed", "MK:0001", ("UNDELIV", "001")), ("failed", "EXPIRED", ("EXPIRED", "000")),
        ("rejected", "NO_BALANCE", ("REJECTD", "000")),
    ):  # fmt: skip
        assert smpp.stat_of(status, code) == stat
    for code, said in (("MK:0001", "MK:0001"), ("UNDELIV/012", "UNDELIV"), ("0x00000058", "UNDELIV"), ("", "UNDELIV")):
        assert cmpp.stat_of("failed", code) == said
    assert cmpp.stat_of("no_report", "") == "UNKNOWN"


texts = st.text(st.characters(codec="ascii"), max_size=20)


@given(st.sampled_from(Wanted), texts, texts, st.integers(0, 255), texts, st.booleans())
def test_where_receipts_go_is_kept(wanted: Wanted, source: str, to: str, ton: int, service: str, group: bool) -> None:
    reply = ReplyTo(wanted, source, to, ton, 1, 2, ton, service, group)
    back = ReplyTo.unpack(reply.pack())
    assert "\0" not in reply.pack()
    assert back == ReplyTo.unpack(back.pack())
    if not {"\0", "\t"} & set(source + to + service):
        assert back == reply


@given(st.binary(max_size=200), st.sampled_from(Coding), st.booleans())
def test_any_octets_are_text_or_refused(octets: bytes, coding: Coding, header: bool) -> None:
    try:
        rest, _ = split_header(octets, header)
        assert "\0" not in text_of(rest, coding)
    except NotText:
        pass


def test_the_document_has_the_statuses_as_they_are() -> None:
    page = (Path(__file__).parents[3] / "docs" / "partners.md").read_text("utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ") and "`" in line]
    for code in smpp.STATUSES | cmpp.STATUSES:
        found = [row for row in rows if f"`{code}`" in row[0] or ("`SIGN_…`" in row[0] and code.startswith("SIGN_"))]
        assert len(found) == 1, code
        (_, by_smpp, by_cmpp) = found[0]
        assert int(by_smpp.split(",")[0], 16) == smpp.STATUSES.get(code, smpp.ESME_RSUBMITFAIL), code
        assert int(by_cmpp) == cmpp.STATUSES.get(code, cmpp.REFUSED), code


BOOK = {value for value in codes.STATUS if value < 0x100}
FACE = partners.SmppServer()
PARTNER = Partner(id=1, account_id=1, protocol="smpp", username="shop", password="secret")
PORTS = bytes.fromhex("0605040b8423f0")


def submit(**fields: Any) -> pdus.SubmitSm:
    return pdus.SubmitSm(**{"destination_addr": "8613800000001", "dest_addr_ton": 1, "short_message": b"x"} | fields)


def sar(total: int, number: int) -> tuple[Tlv, ...]:
    values = (b"\0\1", bytes([total]), bytes([number]))
    tags = (tlvs.SAR_MSG_REF_NUM, tlvs.SAR_TOTAL_SEGMENTS, tlvs.SAR_SEGMENT_SEQNUM)
    return tuple(Tlv(tag, value) for tag, value in zip(tags, values, strict=True))


def octets(pdu: Pdu, old: bytes = b"", new: bytes = b"") -> bytes:
    frame = SMPP34.encode(pdu).replace(old, new) if old else SMPP34.encode(pdu) + new
    return len(frame).to_bytes(4, "big") + frame[4:]


SAID: dict[str, tuple[Pdu | bytes, int]] = {
    "data_coding of no alphabet": (submit(data_coding=0x0D), 0x45),
    "data_coding of a language": (submit(data_coding=5), 0x45),
    "data_coding reserved": (submit(data_coding=0xC8), 0x45),
    "binary": (submit(data_coding=4, short_message=b"\xff\xfe"), 0x45),
    "not in its alphabet": (submit(data_coding=1, short_message=b"\xff"), 0x45),
    "data_sm in no alphabet": (pdus.DataSm(data_coding=0x0D, tlvs=(Tlv(tlvs.MESSAGE_PAYLOAD, b"x"),)), 0x45),
    "submit_multi in no alphabet": (
        pdus.SubmitMulti(dest_address=(pdus.SmeAddress(destination_addr="8613800000001"),), data_coding=0x0D), 0x45,
    ),
    "half a character": (submit(data_coding=8), 0x01),
    "predefined": (submit(sm_default_msg_id=1), 0x63),
    "replace": (submit(replace_if_present_flag=1), 0x54),
    "priority": (submit(priority_flag=4), 0x06),
    "message type": (submit(esm_class=0x04), 0x43),
    "header": (submit(esm_class=0x40), 0x43),
    "ports": (submit(esm_class=0x40, short_message=PORTS), 0x43),
    "two texts": (submit(tlvs=(Tlv(tlvs.MESSAGE_PAYLOAD, b"y"),)), 0x01),
    "segment": (submit(tlvs=sar(2, 3)), 0xC0),
    "later": (submit(schedule_delivery_time="soon"), 0x61),
    "validity": (submit(validity_period="soon"), 0x62),
    "nobody": (pdus.SubmitMulti(), 0x33),
    "a list": (pdus.SubmitMulti(dest_address=(pdus.DistributionList(dl_name="all"),)), 0x34),
    "a part for two": (
        pdus.SubmitMulti(
            dest_address=(pdus.SmeAddress(destination_addr="1"), pdus.SmeAddress(destination_addr="2")),
            short_message=b"x", tlvs=sar(2, 1),
        ), 0x43,
    ),
    "query of no id": (pdus.QuerySm(message_id="x"), 0x0C),
    "cancel of no id": (pdus.CancelSm(message_id="x"), 0x0C),
    "cancel of nothing": (pdus.CancelSm(), 0x11),
    "replace_sm": (pdus.ReplaceSm(message_id="1"), 0x13),
    "a parameter that is cut": (octets(submit(), new=b"\2\4\0\2\0"), 0xC0),
    "a text that is cut": (octets(submit(), b"\1x", b"\xffx"), 0x01),
    "a destination too long": (octets(submit(), b"8613800000001", b"8" * 21), 0x0B),
    "a source too long": (octets(submit(source_addr="777"), b"777", b"7" * 21), 0x0A),
    "no body": (octets(pdus.CancelSm())[:3] + b"\x10" + octets(pdus.CancelSm())[4:16], 0x02),
    "unknown command": (b"\0\0\0\x10\0\0\1\x11\0\0\0\0\0\0\0\1", 0x03),
    "a second bind": (pdus.BindTransceiver(), 0x05),
    "a delivery to us": (pdus.DeliverSm(), 0x04),
    "outside the window": (submit(), 0x58),
}  # fmt: skip


def bound(version: int) -> tuple[Session, pdus.BindTransceiverResp]:
    session = Session(rules.server(), config=SessionConfig(refuses_beyond=True, max_unanswered_in=1))
    session.start(0.0)
    bind = pdus.BindTransceiver(sequence=1, system_id="shop", interface_version=version)
    (login,) = session.receive(SMPP34.encode(bind), 0.0)
    assert isinstance(login, LoginRequest)
    session.admit(login, now=0.0)
    answer = SMPP34.decode(session.output())
    assert isinstance(answer, pdus.BindTransceiverResp)
    return session, answer


def read(request: Request) -> int:
    """As ``Bind`` does: the status, 0 when it is taken."""
    try:
        order: Any = FACE.read(request.pdu, PARTNER, NOW)
        if hasattr(order, "octets"):
            text_of(order.octets, order.coding)
    except Unfit as exc:
        return exc.status
    except NotText:
        return FACE.not_text
    return 0


@pytest.mark.parametrize("version", [0x00, 0x33, 0x34, 0x50], ids=hex)
@pytest.mark.parametrize("name", SAID)
def test_what_a_partner_is_told(version: int, name: str) -> None:
    session, welcome = bound(version)
    assert welcome.tlv(tlvs.SC_INTERFACE_VERSION) == (b"\x34" if version >= 0x34 else None)
    said, status = SAID[name]
    if status == 0x58:
        session.receive(SMPP34.encode(submit(sequence=8)), 0.0)
    frame = said if isinstance(said, bytes) else SMPP34.encode(said.replace(sequence=9))
    for event in session.receive(frame, 0.0):
        if isinstance(event, Request):
            session.answer(event, FACE.refused(event.pdu, read(event)))
    answer: Any = SMPP34.decode(session.output())
    assert answer.command_status == status
    assert status in BOOK


def test_every_status_is_one_of_3_4() -> None:
    for module in (partners, codes):
        named = {k: v for k, v in vars(module).items() if k.startswith("ESME_")}
        assert named
        assert {k for k, v in named.items() if v not in BOOK} == set()
    faults = rules.FAULTS
    by_rules = {faults.framing, faults.unknown_command, faults.wrong_state, faults.already_bound, faults.leaving}
    by_rules |= {faults.structure, *faults.malformed.values()}
    by_rules |= {op.busy for op in rules.MATRIX.requests.values()}
    by_face = {FACE.wrong_login, FACE.denied, FACE.unavailable, FACE.throttled, FACE.failed, FACE.not_text}
    by_code = {FACE.status_of(Invalid(code)) for code in CODES}
    assert by_rules | by_face | by_code <= BOOK
    answer = FACE.found(pdus.QuerySm(sequence=5, message_id="4711"), None)
    assert SMPP34.encode(answer)[16:] == b"4711\0\0\7\0"
    assert (answer.sequence, answer.command_status) == (5, 0x0C)  # type: ignore[attr-defined]


CMPP_FACE = CmppServer()


def cmpp_submit(sequence: int, text: str, **more: object) -> cmpp_pdus.Submit:
    return cmpp_pdus.Submit(
        sequence=sequence, dest_terminal_id=("13800000001",), src_id="1069", msg_content=text.encode(), **more
    )


class Desk:
    """Connections of partners that go, and repeats of what they had sent."""

    def __init__(self, limit: int = 100) -> None:
        self.left = Left(limit)

    def went(self, *said: cmpp_pdus.Submit, partner: int = 1, now: float = 0.0) -> list[UnderWay]:
        submits = [UnderWay(Request(pdu, n)) for n, pdu in enumerate(said)]
        self.left.add(partner, [(CMPP_FACE.fingerprint(one.request.pdu) or 0, one) for one in submits], now)
        return submits

    def find(self, pdu: cmpp_pdus.Submit, partner: int = 1, now: float = 1.0) -> UnderWay | None:
        return self.left.find(partner, pdu, CMPP_FACE.fingerprint(pdu), now)


def test_what_differs_is_no_repeat_and_what_is_left_is_forgotten() -> None:
    desk = Desk()
    first = desk.went(cmpp_submit(1, "a1"), cmpp_submit(2, "a2"))
    second = desk.went(cmpp_submit(1, "b1"), cmpp_submit(2, "b2"))
    assert len(desk.left) == 4
    for one in (*first, *second):
        assert isinstance(one.request.pdu, cmpp_pdus.Submit)
        assert desk.find(one.request.pdu.replace()) is one
    desk.left.drop(second[0])
    assert desk.find(cmpp_submit(1, "b1")) is None
    assert desk.find(cmpp_submit(1, "a1")) is first[0], "what was answered is another one"
    desk = Desk()  # what differs is no repeat and no other is dropped
    desk.went(cmpp_submit(1, "a1"))
    assert desk.find(cmpp_submit(2, "a1")) is None
    assert desk.find(cmpp_submit(1, "a2")) is None
    assert desk.find(cmpp_submit(1, "a1"), partner=2) is None
    assert desk.find(cmpp_submit(1, "a1", service_id="other")) is None
    desk = Desk()
    desk.went(cmpp_submit(1, "a1"))
    desk.left.drop(UnderWay(Request(cmpp_submit(1, "a1"), 7)))
    assert len(desk.left) == 1
    desk = Desk(limit=3)  # what is left is forgotten
    old = desk.went(*(cmpp_submit(n, f"a{n}") for n in range(4)))
    assert [desk.find(cmpp_submit(n, f"a{n}")) for n in range(4)] == [None, *old[1:]], "the oldest, above the limit"
    assert desk.find(cmpp_submit(3, "a3"), now=GOOD_FOR + 1) is None
    desk.went(cmpp_submit(9, "new"), now=GOOD_FOR + 1)
    assert len(desk.left) == 1


AT = datetime(2026, 11, 25, 4, 0, 0, tzinfo=UTC)
"""Noon in China."""
STAMP = 1125120000


def problem(connects: Connects, stamp: int = STAMP, **how: Any) -> str:
    return connects.problem(7, stamp, **{"own": True, "most": 4, "now": 0.0, "at": AT} | how)


def test_how_far_a_clock_is_off() -> None:
    for stamp, at, hours in (
        (STAMP, AT, 0),
        (1125040000, AT, -8),  # UTC
        (1124230000, AT, -13),  # New York
        (1125000000, AT, -12),  # hh for HH
        (1231235900, datetime(2026, 12, 31, 16, 0, tzinfo=UTC), -1 / 60),  # the year has just turned here …
        (101000100, datetime(2026, 12, 31, 15, 59, tzinfo=UTC), 2 / 60),  # … and has turned there
        (229120000, datetime(2028, 2, 29, 4, 0, tzinfo=UTC), 0),
    ):
        assert (distance(stamp, at), problem(Connects(), stamp, at=at)) == (timedelta(hours=hours), "")
    for stamp in (0, 1123110000, 1126130000, 1332000000, 4294967295, 601120000, 101080000):
        assert problem(Connects(), stamp) == "clock"


def test_the_connections_of_one_second_come_in_and_the_same_connect_later_or_from_elsewhere_does_not() -> None:
    connects = Connects()
    for n in range(4 + AGAIN):
        assert problem(connects, now=n * 0.01, own=n > 0) == ""
        assert connects.note(7, STAMP, n * 0.01) is (n == 0)
    assert problem(connects, now=1.0) == "replayed", "more than it may have"
    connects = Connects()
    connects.note(7, STAMP, 0.0)
    assert problem(connects, now=1.0, own=False) == "replayed", "from an address that is not the partner's"
    assert problem(connects, now=TOGETHER + 1) == "replayed"
    assert problem(connects, now=KEPT - 1, at=AT + timedelta(hours=20)) == "replayed"
    assert problem(connects, STAMP + 1, own=False) == "", "a new one is good from anywhere"
    assert connects.problem(8, STAMP, own=False, most=1, now=0.0, at=AT) == "", "another partner's is another one"


def test_when_a_connect_is_forgotten_its_time_is_over() -> None:
    first = distance(1126120000, AT)
    assert first == timedelta(hours=24)
    for hours in (24, 36, 47.9, 48.1, 60):
        connects = Connects()
        connects.note(7, 1126120000, 0.0)
        assert problem(connects, 1126120000, now=hours * 3600, at=AT + timedelta(hours=hours)) != ""
    connects = Connects()  # what is remembered is of all nodes and has a limit
    connects.learn(7, STAMP, -100.0, 0.0)
    assert problem(connects) == "replayed"
    connects = Connects()
    for n in range(MAX_OF_ONE + 100):
        connects.note(7, n, 0.0)
    of_one = connects._seen.get(7)
    assert len(of_one) == MAX_OF_ONE


class Acceptor:
    """One that says the same of every call."""

    def __init__(self, error: SmsgwError) -> None:
        self._error = error
        self.calls: list[int] = []

    async def send(self, request: Any) -> None:
        self.calls.append(len(request.items))
        raise self._error


async def offered(acceptor: Acceptor, n: int) -> list[SmsgwError]:
    known: list[SmsgwError] = []

    async def supervised(work: Any, requests: tuple[Any, ...]) -> None:
        try:
            await work
        except SmsgwError as error:
            known.extend([error] * len(requests))

    bind: Any = SimpleNamespace(
        _service=SimpleNamespace(acceptor=acceptor),
        _request=lambda account, order, items: SimpleNamespace(items=items),
        _supervised=supervised,
        _send=lambda account, entries: Bind._send(bind, account, entries),
    )
    order = SimpleNamespace(destinations=("13800000001",), replies=(SimpleNamespace(pack=lambda: b""),))
    entries: list[Any] = [(SimpleNamespace(), order, "text", "") for _ in range(n)]
    await supervised(Bind._send(bind, SimpleNamespace(), entries), tuple(entry[0] for entry in entries))
    return known


async def test_only_what_is_not_stored_is_offered_one_by_one() -> None:
    """By themselves they would be other messages, and go out beside the first ones."""
    acceptor = Acceptor(Uncertain("STORAGE_UNCERTAIN"))
    known = await offered(acceptor, 3)
    assert acceptor.calls == [3]
    assert [error.code for error in known] == ["STORAGE_UNCERTAIN"] * 3
    for error in (Refused("BALANCE_INSUFFICIENT"), Temporary("STORAGE_UNAVAILABLE")):
        acceptor = Acceptor(error)
        known = await offered(acceptor, 3)
        assert acceptor.calls == [3, 1, 1, 1]
        assert [one.code for one in known] == [error.code] * 3
