"""Partners: downstream customers who connect by SMPP or CMPP, and how their receipts are addressed."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from smsgw.core.actor import ActorLabel
from smsgw.core.model import MessageType
from smsgw.core.text import Coding

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PROTOCOLS = ("smpp", "cmpp")
MAX_USERNAME = {"smpp": 15, "cmpp": 6}
"""Characters of SMPP system_id, octets of CMPP Source_Addr."""
MAX_WINDOW = 1000
"""Of ``Partner.window``."""


@dataclass(frozen=True, slots=True)
class Partner:
    """A login of an account. Several may belong to one account, which then share its events."""

    id: int
    account_id: int
    protocol: str
    """``smpp`` or ``cmpp``."""
    username: str
    """SMPP system_id, CMPP Source_Addr."""
    password: str = field(repr=False)
    max_binds: int = 4
    """Binds at a time, over all nodes."""
    window: int = 64
    """Requests that either side may leave unanswered on a bind."""
    rate: int = 0
    """Destinations per second over all binds of a node; 0 is unlimited."""
    ip_allow: tuple[Network, ...] = ()
    """Empty: any address."""
    type: MessageType = MessageType.NOTICE
    """What its messages are for."""
    code: str = ""
    """The number it sends from and is replied to; what its source addresses have behind it is the extension."""
    any_source: bool = False
    """Source addresses are not looked at: everything goes out from the account's own number."""
    any_clock: bool = False
    """CMPP: the time in its CONNECT is not looked at, so whoever has seen one can come in with it."""
    alphabet: Coding = Coding.GSM7
    """What SMPP data_coding 0 means, in both directions."""
    message_ids: str = "decimal"
    """How SMPP message ids are written: ``decimal`` (as in the API) or ``hex``."""
    long_mo: str = "udh"
    """How a long message from a phone goes to an SMPP partner: parts with a header (``udh``) or ``payload``."""
    status: str = "active"

    @property
    def label(self) -> ActorLabel:
        """As stored rows name it."""
        return ActorLabel(f"{self.protocol}:{self.username}")


def admits(networks: Sequence[Network], address: str) -> bool:
    """Whether an IP address is in one of the networks; without any every address is."""
    if not networks:
        return True
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in network for network in networks)


class Wanted(IntEnum):
    """Which receipts a submit asks for (SMPP registered_delivery, its two low bits)."""

    NONE = 0
    ALL = 1
    FAILURES = 2
    SUCCESSES = 3

    def includes(self, status: str) -> bool:
        """Whether a receipt with this status word is wanted."""
        if self is Wanted.FAILURES:
            return status != "delivered"
        if self is Wanted.SUCCESSES:
            return status == "delivered"
        return self is Wanted.ALL


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """How the receipts of a submit are addressed: with its own addresses, as they were written.

    Stored in the message's ``ext``: what a customer wants back with a report.
    """

    wanted: Wanted
    source: str = ""
    destination: str = ""
    source_ton: int = 0
    source_npi: int = 0
    dest_ton: int = 0
    dest_npi: int = 0
    service: str = ""
    """SMPP service_type, CMPP Service_Id."""
    group: bool = False
    """One of the destinations of a submit to several. In SMPP they all have one id: the batch's."""

    def pack(self) -> str:
        """As text."""
        numbers = (self.wanted, self.source_ton, self.source_npi, self.dest_ton, self.dest_npi, int(self.group))
        return "\t".join((*map(str, map(int, numbers)), *map(_plain, (self.source, self.destination, self.service))))

    @staticmethod
    def unpack(text: str) -> ReplyTo | None:
        """From ``pack``; None for anything else."""
        fields = text.split("\t")
        if len(fields) != 9 or not all(f.isdigit() and f.isascii() for f in fields[:6]):
            return None
        wanted, source_ton, source_npi, dest_ton, dest_npi, group = map(int, fields[:6])
        source, destination, service = fields[6:]
        return ReplyTo(
            Wanted(wanted & 3), source, destination, source_ton, source_npi, dest_ton, dest_npi, service, bool(group)
        )


def _plain(text: str) -> str:
    return text.replace("\0", "").replace("\t", " ")


IN_PARTS = "parts"
"""``ext`` of a message that was put together: each of its parts has an id and an address for receipts of its own."""
