"""Carrier deviations as data. A channel's ``profile`` may set any of these keys; the rest are the defaults here."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, fields
from typing import Any, Literal

from smsgw.core import numbers
from smsgw.core.errors import Invalid
from smsgw.core.words import Wording, listed, phrase, reason_of, samples


@dataclass(frozen=True, slots=True)
class Profile:
    """How this carrier differs from the specification. Each key names the trap that it answers."""

    response_timeout: int = 0
    """Seconds until an answer counts as lost (CMPP T, SMPP response_timer); 0 is the protocol's: 60, SGIP 30."""
    keepalive: int = 30
    """Seconds of silence before ACTIVE_TEST / enquire_link (gateways close after 60–180 s). SGIP has none."""
    service_id: str = ""
    """CMPP Service_Id (业务代码), SGIP ServiceType, SMGP ServiceID, SMPP service_type."""
    fee_type: str = ""
    """The protocol's code; empty is free of charge for the phone (CMPP 01, SGIP 1, SMGP 00)."""
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
    receipt_id: Literal["text", "hex-dec", "dec-hex", "hex", "dec"] = "text"
    """Spelling of message ids in answer and receipt (SMPP): text, hex-dec, dec-hex, hex, dec."""
    message_reference: bool = False
    """SMPP: send user_message_reference; a receipt that repeats it finds its part though the answer was lost."""
    long_reports: str = "each"
    """Reports of a long message: each part has one, or first: one is for all of its parts."""
    signature: str = "sent"
    """Signature 【…】 in front of the text: sent by us, or added by the gateway; then it is left out, its room kept."""
    single_limit: int = 160
    """Characters of a text in 7 bits that go in one part: 160, or 159 for gateways that take less than 160."""
    probe_number: str = ""
    """A phone number of our own, to which a probe goes when the channel carries nothing; empty: its login is enough."""
    probe_interval: int = 604_800
    """Seconds without a delivery after which a probe goes out: a week."""
    probe_text: str = samples.PROBE
    """Text of a probe, with the signature that the carrier wants; the time is put behind it."""
    match_by_destination: bool = False
    """A report with an id that nobody knows is of the only part to its number whose answer was lost."""
    data_coding_0: str = "gsm7"
    """What data_coding 0 means for this SMPP peer: gsm7, latin1 or ascii."""
    prefix_86: bool = False
    """Send mainland numbers with 86 in front (CMPP, SMGP: 11 digits by default; SMPP and SGIP always have 86)."""
    smgp_version: str = "3.0"
    """Version asked for at login, 3.0 or 1.3 (which has no FixedFee)."""
    node: int = 0
    """SGIP: our node number (节点编号), 3AAAAQQQQQ with area code and company code."""
    corp_id: str = ""
    """SGIP: CorpId (企业代码), five digits."""
    sgip_listen: str = ""
    """SGIP: host:port where the gateway brings reports and replies (8801 by the book); channels may share it."""
    peer_username: str = ""
    """SGIP: LoginName that the gateway binds with, when it is not the channel's own."""
    peer_password: str = ""
    """SGIP: its password, when it is not the channel's own. Stored sealed, as all passwords."""
    peer_addresses: str = ""
    """SGIP: addresses or networks that the gateway may connect from, by comma; empty: all."""
    idle: int = 50
    """SGIP: seconds without traffic after which a connection is closed; gateways do it after 60."""
    bind: str = "transceiver"
    """SMPP: transceiver, or pair for carriers that want a transmitter and a receiver: of TCP twice ``connections``."""
    tls: bool = False
    """SMPP over TLS; the carrier's certificate must be valid for ``tls_name``."""
    tls_ca: str = ""
    """File (PEM) with the authorities that may have signed it; empty: those of the system."""
    tls_name: str = ""
    """Name that the certificate must be for; empty: the channel's host."""
    tls_insecure: bool = False
    """Take any certificate: keeps listeners out, and nobody who pretends to be the carrier."""
    source_address: str = ""
    """Address of this machine to connect from, where the carrier lets in only one of several."""
    simulated: bool = False
    """CMPP: it leads to the carrier that is simulated inside the daemon, whatever host and login say: nobody gets
    anything."""


def _wrong(key: str, reason: Wording | str) -> Invalid:
    return Invalid("PARAM_INVALID", field=f"profile.{key}", reason=reason)


def _one_of(*known: object) -> Wording:
    return phrase("profile.one_of", known=listed(known))


def parse(given: dict[str, Any], protocol: str = "") -> Profile:
    """A profile from its JSON form; ``PARAM_INVALID`` for an unknown key or a value of the wrong kind.

    With ``protocol`` it must also have what that protocol cannot do without.
    """
    known = {f.name: type(getattr(Profile(), f.name)) for f in fields(Profile)}
    for key, value in given.items():
        if key not in known:
            raise _wrong(key, phrase("profile.keys", known=", ".join(known)))
        if type(value) is not known[key]:
            raise _wrong(key, phrase("profile.kind", kind=known[key].__name__))
    profile = Profile(**given)
    _check(profile)
    if protocol == "sgip12" and not profile.node:
        raise _wrong("node", phrase("profile.sgip_node"))
    if protocol == "sgip12" and profile.match_by_destination:
        raise _wrong("match_by_destination", phrase("profile.sgip_ids"))
    if profile.simulated and protocol not in ("", "cmpp20", "cmpp30"):
        raise _wrong("simulated", phrase("profile.simulated"))
    if protocol and protocol != "smpp34":
        for key in ("tls", "bind", "message_reference"):
            if getattr(profile, key) != getattr(Profile(), key):
                raise _wrong(key, phrase("profile.smpp_only"))
    return profile


def networks(addresses: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The networks of a list by comma. ValueError for what is none."""
    return [ipaddress.ip_network(a.strip(), strict=False) for a in addresses.split(",") if a.strip()]


def listen_address(written: str) -> tuple[str, int]:
    """Host and port of a listener; ValueError when it is not host:port."""
    host, _, port = written.rpartition(":")
    if not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ValueError(f"{written!r} is not host:port")
    return host.strip("[]"), int(port)


def _check(profile: Profile) -> None:
    if profile.smgp_version not in ("3.0", "1.3"):
        raise _wrong("smgp_version", _one_of("3.0", "1.3"))
    if not 0 <= profile.node <= 0xFFFFFFFF:
        raise _wrong("node", phrase("profile.node"))
    if profile.long_reports not in ("each", "first"):
        raise _wrong("long_reports", _one_of("each", "first"))
    if profile.probe_number:
        try:
            numbers.normalize(profile.probe_number)
        except numbers.InvalidNumber as exc:
            raise _wrong("probe_number", phrase("profile.number")) from exc
    if profile.probe_interval < 60:
        raise _wrong("probe_interval", phrase("profile.seconds", least=60))
    if not 0 < len(profile.probe_text) <= 60:
        raise _wrong("probe_text", phrase("profile.text"))
    if profile.signature not in ("sent", "added"):
        raise _wrong("signature", _one_of("sent", "added"))
    if profile.single_limit not in (159, 160):
        raise _wrong("single_limit", _one_of(159, 160))
    if profile.bind not in ("transceiver", "pair"):
        raise _wrong("bind", _one_of("transceiver", "pair"))
    if (profile.tls_ca or profile.tls_name or profile.tls_insecure) and not profile.tls:
        # Whoever names a certificate must not find the passwords on the wire in clear.
        raise _wrong("tls", phrase("profile.tls"))
    if profile.source_address:
        try:
            ipaddress.ip_address(profile.source_address)
        except ValueError as exc:
            raise _wrong("source_address", reason_of(exc)) from exc
    if profile.idle < 1:
        raise _wrong("idle", phrase("profile.seconds", least=1))
    try:
        networks(profile.peer_addresses)
    except ValueError as exc:
        raise _wrong("peer_addresses", reason_of(exc)) from exc
    if profile.sgip_listen:
        try:
            listen_address(profile.sgip_listen)
        except ValueError as exc:
            raise _wrong("sgip_listen", phrase("profile.listen")) from exc
