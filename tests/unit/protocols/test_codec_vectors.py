"""Every published and composed vector, both ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smsgw.protocols.dialects import DIALECTS, by_name
from smsgw.protocols.errors import FramingLost, Malformed
from smsgw.protocols.pdu import Pdu, Unknown
from smsgw.protocols.render import from_fields, to_fields

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "vectors.json").read_text(encoding="utf-8"))
PDUS: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in VECTORS["pdus"]}
MALFORMED: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in VECTORS["malformed"]}


@pytest.mark.parametrize("vector", PDUS.values(), ids=PDUS.keys())
def test_octets_to_fields(vector: dict[str, Any]) -> None:
    dialect = by_name(vector["protocol"])
    frame = bytes.fromhex(vector["hex"])
    pdu = dialect.decode(frame)
    assert pdu.pdu_name == vector["pdu"]
    assert list(to_fields(dialect, pdu).items()) == list(vector["fields"].items())
    assert dialect.encode(pdu) == frame
    assert dialect.decode(memoryview(frame)) == pdu


@pytest.mark.parametrize("vector", PDUS.values(), ids=PDUS.keys())
def test_fields_to_octets(vector: dict[str, Any]) -> None:
    dialect = by_name(vector["protocol"])
    assert dialect.encode(from_fields(dialect, vector["fields"])).hex() == vector["hex"]


@pytest.mark.parametrize("protocol", sorted({vector["protocol"] for vector in PDUS.values()}))
def test_a_stream_cut_anywhere_gives_the_same_frames(protocol: str) -> None:
    frames = [bytes.fromhex(vector["hex"]) for vector in PDUS.values() if vector["protocol"] == protocol][:6]
    stream = b"".join(frames)
    for cut in range(len(stream) + 1):
        framer = by_name(protocol).framer()
        assert framer.feed(stream[:cut]) + framer.feed(stream[cut:]) == frames


#: What the codec must make of each malformed vector; a PDU class name, "incomplete", "lost", or the
#: kind of `Malformed`. Vectors that are sound PDUs in a wrong context are the session's business.
OUTCOMES = {
    "cmpp-bad-len-8": "lost",
    "cmpp-http-on-port": "lost",
    "cmpp-truncated-submit": "incomplete",
    "cmpp-unknown-command": "Unknown",
    "cmpp-submit-msglen-overrun": "message-length",
    "cmpp-submit-no-body": "length",
    "cmpp-version-confusion": "length",
    "cmpp-connect-wrong-auth": "Connect",
    "cmpp-connect-resp-short-form": "ConnectResp",
    "cmpp-active-test-resp-no-reserved": "ActiveTestResp",
    "cmpp30-report-60-octets": "Deliver",
    "cmpp-submit-long-part-9-of-2": "Submit",
    "smpp-len-15": "lost",
    "smpp-unknown-command": "Unknown",
    "smpp-truncated": "incomplete",
    "smpp-tlv-overrun": "tlv",
    "smpp-tlv-unknown": "SubmitSm",
    "smpp-smlen-overrun": "message-length",
    "smpp-submit-on-receiver": "SubmitSm",
    "smpp-bind-wrong-password": "BindReceiver",
    "smpp-dest-too-long": "address-too-long",
    "smpp-resp-without-nul": "SubmitSmResp",
    "smpp-resp-unknown-seq": "SubmitSmResp",
    "smpp-submit-sar-and-udh": "SubmitSm",
    "sgip-bad-len-19": "lost",
    "smgp-tlv-half": "tlv",
}


def outcome(vector: dict[str, Any]) -> tuple[str, Pdu | Malformed | None]:
    dialect = by_name(vector["protocol"])
    try:
        frames = dialect.framer().feed(bytes.fromhex(vector["hex"]))
    except FramingLost:
        return "lost", None
    if not frames:
        return "incomplete", None
    try:
        pdu = dialect.decode(frames[0])
    except Malformed as fault:
        return fault.kind, fault
    return type(pdu).__name__, pdu


@pytest.mark.parametrize("vector", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed(vector: dict[str, Any]) -> None:
    found, result = outcome(vector)
    assert found == OUTCOMES[vector["id"]]
    if isinstance(result, Malformed):
        reply = vector["expect"]["reply"]
        assert result.sequence == reply["sequence"]
        assert result.command_id | 0x80000000 == int(reply["command_id"], 16)
        assert result.offset is not None


def test_short_connect_answer_keeps_its_own_layout() -> None:
    _, pdu = outcome(MALFORMED["cmpp-connect-resp-short-form"])
    assert (pdu.status, pdu.version) == (0, 0x21)  # type: ignore[union-attr]


def test_dialects_know_only_their_pdus() -> None:
    broadcast = bytes.fromhex(PDUS["smpp50-broadcast-sm-1"]["hex"])
    assert isinstance(DIALECTS["smpp34"].decode(broadcast), Unknown)
    assert not isinstance(DIALECTS["smpp50"].decode(broadcast), Unknown)
