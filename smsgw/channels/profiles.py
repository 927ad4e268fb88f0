"""Carrier deviations as data. A channel's ``profile`` may set any of these keys; the rest are the defaults here."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from smsgw.core.errors import Invalid
from smsgw.protocols.smpp.ids import Mode


@dataclass(frozen=True, slots=True)
class Profile:
    """How this carrier differs from the specification. Each key names the trap that it answers."""

    response_timeout: int = 60
    """Seconds until an answer counts as lost (CMPP T, SMPP response_timer)."""
    keepalive: int = 30
    """Seconds of silence before ACTIVE_TEST / enquire_link (gateways close after 60–180 s)."""
    service_id: str = ""
    """CMPP Service_Id (业务代码), SMPP service_type."""
    fee_type: str = "01"
    fee_code: str = "0"
    fee_user_type: int = 2
    """CMPP Fee_UserType: 2 charges the SP."""
    msg_src: str = ""
    """CMPP Msg_src when it is not the login name."""
    source_ton: int = 0
    source_npi: int = 0
    dest_ton: int = 1
    dest_npi: int = 1
    system_type: str = ""
    receipt_id: Mode = "text"
    """Spelling of message ids in answer and receipt (SMPP): text, hex-dec, dec-hex, hex, dec."""
    data_coding_0: str = "gsm7"
    """What data_coding 0 means for this SMPP peer: gsm7, latin1 or ascii."""
    prefix_86: bool = False
    """Send mainland numbers with 86 in front (CMPP wants 11 digits, SMPP the international form by default)."""


def parse(given: dict[str, Any]) -> Profile:
    """A profile from its JSON form; ``PARAM_INVALID`` for an unknown key or a value of the wrong kind."""
    known = {f.name: type(getattr(Profile(), f.name)) for f in fields(Profile)}
    for key, value in given.items():
        if key not in known:
            raise Invalid("PARAM_INVALID", field=f"profile.{key}", reason=f"可用的键:{', '.join(known)}")
        if type(value) is not known[key]:
            raise Invalid("PARAM_INVALID", field=f"profile.{key}", reason=f"类型应为 {known[key].__name__}")
    return Profile(**given)
