"""Digests and the CMPP Msg_Id, against the derived vectors."""

from __future__ import annotations

import pytest
from test_codec_vectors import PDUS, VECTORS

from smsgw.protocols.cmpp import auth, msgid
from smsgw.protocols.smgp.auth import authenticator_client, authenticator_server

DERIVED = {vector["id"]: vector for vector in VECTORS["derived"]}
MSG_IDS = [vector for vector in DERIVED.values() if vector["kind"] == "cmpp_msg_id"]


@pytest.mark.parametrize("vector", MSG_IDS, ids=lambda vector: vector["id"])
def test_msg_id(vector: dict[str, dict[str, str]]) -> None:
    value = int(vector["input"]["hex"], 16)
    expected = dict(vector["expect"])
    assert str(value) == expected.pop("decimal")
    assert msgid.unpack(value)._asdict() == expected
    assert msgid.pack(msgid.unpack(value)) == value


def test_msg_id_of_a_group_wraps_inside_its_sequence() -> None:
    first = msgid.pack(msgid.MsgId(11, 5, 14, 29, 42, 1, 0xFFFF))
    assert msgid.unpack(msgid.of_destination(first, 1)) == msgid.MsgId(11, 5, 14, 29, 42, 1, 0)
    assert msgid.of_destination(first, 0) == first


def test_msg_id_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="gateway"):
        msgid.pack(msgid.MsgId(1, 1, 1, 1, 1, msgid.MAX_GATEWAY + 1, 0))


def test_cmpp_authenticator() -> None:
    given, expected = DERIVED["auth-1"]["input"], DERIVED["auth-1"]["expect"]
    assert auth.timestamp_text(given["timestamp"]) == expected["timestamp_text"]
    assert auth.authenticator_source(**given).hex() == expected["digest_hex"]


@pytest.mark.parametrize(("answer", "width"), [("cmpp20-connect-resp-1", 1), ("cmpp30-connect-resp-1", 4)])
def test_cmpp_gateway_digest(answer: str, width: int) -> None:
    source = bytes.fromhex(PDUS["cmpp20-connect-1"]["fields"]["AuthenticatorSource_hex"])
    digest = bytes.fromhex(PDUS[answer]["fields"]["AuthenticatorISMG_hex"])
    assert auth.authenticator_ismg(0, source, "888888", width) == digest
    assert auth.ismg_width(digest, 0, source, "888888") == width
    assert auth.ismg_width(digest, 0, source, "999999") is None


def test_smgp_authenticators() -> None:
    given, expected = DERIVED["auth-2"]["input"], DERIVED["auth-2"]["expect"]
    digest = authenticator_client(**given)
    assert digest.hex() == expected["digest_hex"]
    server = PDUS["smgp30-login-resp-1"]["fields"]["AuthenticatorServer_hex"]
    assert authenticator_server(0, digest, "smgp-secret").hex() == server
