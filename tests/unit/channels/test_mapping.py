"""Between parts and PDUs: nothing that a carrier can say raises anything but ``ValueError`` or breaks the ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.channels import profiles
from smsgw.channels.wire.mapping import INTERMEDIATE, mapping_for
from smsgw.channels.wire.mapping.base import MAX_RETRY, Cutter
from smsgw.core.model import ChannelSpec, Claimed, Inbound, OutcomeKind, Report
from smsgw.core.references import reference_of
from smsgw.core.text import Coding, TooLong, split
from smsgw.protocols.cmpp import pdus as cmpp
from smsgw.protocols.cmpp import reports as cmpp_reports
from smsgw.protocols.pdu import Tlv
from smsgw.protocols.smpp import pdus as smpp
from smsgw.protocols.smpp import tlvs


def mapping(protocol: str, **profile: Any) -> Any:
    spec = ChannelSpec(1, "a", protocol, "h", 1, "user", "secret", access_code="1069")
    return mapping_for(spec, profiles.parse(profile))


def claimed(
    content: str = "hi", coding: Coding = Coding.GSM7, part: int = 1, total: int = 1, attempt: int = 1
) -> Claimed:
    return Claimed(7, part, total, attempt, "8613800138000", content, coding.value, "01", 2, None, 5, 1)


def test_a_cmpp_submit() -> None:
    pdu = mapping("cmpp30", service_id="svc").submit(claimed())
    assert (pdu.src_id, pdu.dest_terminal_id, pdu.msg_src) == ("106901", ("13800138000",), "user")
    assert (pdu.msg_fmt, pdu.msg_content, pdu.registered_delivery) == (0, b"hi", 1)
    assert mapping("cmpp30", prefix_86=True).submit(claimed()).dest_terminal_id == ("8613800138000",)


@pytest.mark.parametrize("protocol", ["cmpp20", "cmpp30", "smpp34"])
def test_the_parts_of_a_long_message_carry_all_of_it(protocol: str) -> None:
    content = "长" * 200
    one = mapping(protocol)
    total = len(split(content, Coding.UCS2, ref=5))
    pdus = [one.submit(claimed(content, Coding.UCS2, n, total)) for n in range(1, total + 1)]
    bodies = [getattr(p, "msg_content", None) or p.short_message for p in pdus]
    assert [b[:6] for b in bodies] == [bytes((5, 0, 3, 5, total, n)) for n in range(1, total + 1)]
    assert b"".join(b[6:] for b in bodies).decode("utf-16-be") == content
    with pytest.raises(ValueError, match="parts"):
        one.submit(claimed(content, Coding.UCS2, 1, total + 1))


@pytest.mark.parametrize(
    ("protocol", "answer", "status", "kind"),
    [
        ("cmpp30", cmpp.SubmitResp(msg_id=10), 0, OutcomeKind.ACCEPTED),
        ("cmpp30", cmpp.SubmitResp(msg_id=10, result=8), 8, OutcomeKind.DEFERRED),
        ("cmpp30", cmpp.SubmitResp(result=9), 9, OutcomeKind.REFUSED),
        ("smpp34", smpp.SubmitSmResp(message_id="AB"), 0, OutcomeKind.ACCEPTED),
        ("smpp34", smpp.SubmitSmResp(), 0x58, OutcomeKind.DEFERRED),
        ("smpp34", smpp.GenericNack(), 0x0B, OutcomeKind.REFUSED),
    ],
)
def test_an_answer_is_judged_by_its_code(protocol: str, answer: Any, status: int, kind: OutcomeKind) -> None:
    outcome = mapping(protocol).outcome(claimed(), answer, status)
    assert outcome.kind is kind
    assert bool(outcome.carrier_id) == (kind is OutcomeKind.ACCEPTED)


def test_refusals_are_retried_ever_more_slowly_and_ids_are_told_apart() -> None:
    one = mapping("smpp34")
    delays = [one.outcome(claimed(attempt=n), smpp.SubmitSmResp(), 0x58).delay for n in (1, 2, 3, 10, 30_000)]
    assert delays == [1.0, 2.0, 4.0, MAX_RETRY, MAX_RETRY]
    pdu = cmpp.Deliver(msg_id=0, src_terminal_id="13800138000", dest_id="1069", msg_content=b"a")
    assert len({mapping("cmpp30").incoming(pdu).carrier_id for _ in range(2)}) == 2
    pdu = cmpp.Deliver(msg_id=9, tp_udhi=1, msg_fmt=8, src_terminal_id="13800138000", dest_id="1069")
    contents = [bytes((5, 0, 3, 1, 2, n)) + "字".encode("utf-16-be") for n in (1, 2)]
    found = [mapping("cmpp30").incoming(pdu.replace(msg_content=content)) for content in contents]
    assert [(i.concat_ref, i.concat_total, i.concat_number, i.text) for i in found] == [(1, 2, n, "字") for n in (1, 2)]
    assert len({i.carrier_id for i in found}) == 2


TEXT = st.text(st.characters(max_codepoint=255), max_size=30)


@given(
    st.integers(0, 2**64 - 1), st.integers(0, 255), st.integers(0, 255), st.sampled_from([0, 1]), TEXT, TEXT,
    st.binary(max_size=140),
)  # fmt: skip
def test_whatever_cmpp_delivers(
    msg_id: int, fmt: int, udhi: int, registered: int, source: str, dest: str, content: bytes
) -> None:
    pdu = cmpp.Deliver(
        msg_id=msg_id, msg_fmt=fmt, tp_udhi=udhi, registered_delivery=registered, src_terminal_id=source,
        dest_id=dest, msg_content=content,
    )  # fmt: skip
    check(mapping("cmpp30"), pdu)


@given(st.integers(0, 255), st.integers(0, 255), TEXT, TEXT, st.binary(max_size=254))
def test_whatever_smpp_delivers(esm: int, dcs: int, source: str, dest: str, content: bytes) -> None:
    pdu = smpp.DeliverSm(
        esm_class=esm, data_coding=dcs, source_addr=source, destination_addr=dest, short_message=content
    )
    check(mapping("smpp34"), pdu)


def check(one: Any, pdu: Any) -> None:
    try:
        found = one.incoming(pdu)
    except ValueError:
        return
    if found is INTERMEDIATE:
        return
    assert isinstance(found, Report | Inbound)
    texts = [found.carrier_id, found.number]
    texts += [found.text, found.to_code] if isinstance(found, Inbound) else [found.code]
    for text in texts:
        assert "\0" not in text
        text.encode()


def test_smpp_references_go_out_and_come_back_when_the_profile_says_so() -> None:
    plain, referring = mapping("smpp34"), mapping("smpp34", message_reference=True)
    assert plain.submit(claimed()).tlvs == ()
    (reference,) = referring.submit(claimed()).tlvs
    assert reference == (tlvs.USER_MESSAGE_REFERENCE, reference_of(claimed().id, 1).to_bytes(2, "big"))

    text = b"id:77 sub:001 dlvrd:001 submit date:2611241201 done date:2611241202 stat:DELIVRD err:000 text:"
    receipt = smpp.DeliverSm(esm_class=4, source_addr="8613300000001", short_message=text, tlvs=(reference,))
    report = referring.incoming(receipt)
    assert isinstance(report, Report)
    assert (report.carrier_id, report.number, report.by_number) == ("77", "8613300000001", False)
    assert report.reference == reference_of(claimed().id, 1)
    assert report.submitted == datetime(2026, 11, 24, 12, 1, tzinfo=UTC)
    code = plain.submit(claimed()).source_addr
    unturned = smpp.DeliverSm(esm_class=4, source_addr=code, destination_addr="8613300000001", short_message=text)
    assert plain.incoming(unturned).number == "8613300000001"
    assert plain.incoming(receipt).reference is None

    state = Tlv(tlvs.MESSAGE_STATE, b"\2")
    nameless = smpp.DeliverSm(esm_class=4, source_addr="8613300000001", tlvs=(reference, state))
    found = referring.incoming(nameless)
    assert found.carrier_id
    assert found.reference == report.reference
    with pytest.raises(ValueError, match="without a message id"):
        plain.incoming(nameless)


def test_by_number_is_asked_only_when_the_profile_says_so() -> None:
    told = cmpp_reports.Report(msg_id=7, stat="DELIVRD", submit_time="2611241201", dest_terminal_id="13800138000")
    deliver = cmpp.Deliver(registered_delivery=1, msg_content=cmpp_reports.encode(told, 30))
    for allowed in (False, True):
        report = mapping("cmpp30", match_by_destination=allowed).incoming(deliver)
        assert report.by_number is allowed
        assert report.submitted is not None


def test_what_cannot_be_split_gets_no_pieces_of_another_message() -> None:
    cutter = Cutter(profiles.Profile())
    part = claimed("字" * 100, Coding.UCS2, 1, 2)
    first = cutter.piece(part)
    for number in (1, 2):
        with pytest.raises(TooLong):
            cutter.piece(replace(claimed("字" * 67 * 256, Coding.UCS2, number, 2), id=2))
    assert cutter.piece(part) == first
    assert cutter.piece(replace(part, part=2)).octets != first.octets
