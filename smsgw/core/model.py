"""The values that travel through the pipeline. Plain, immutable, without behaviour that needs a clock or IO."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from ipaddress import IPv4Network, IPv6Network

from smsgw.core.states import PartState
from smsgw.core.throttling import Spell
from smsgw.core.words import labels_of


class MessageType(StrEnum):
    """What a message is for; decides its lane."""

    OTP = "otp"
    NOTICE = "notice"
    MARKETING = "marketing"


class Lane(IntEnum):
    """Priority lane; lower goes first."""

    EMERGENCY = 0
    OTP = 1
    NOTICE = 2
    MARKETING = 3


LANE_OF = {MessageType.OTP: Lane.OTP, MessageType.NOTICE: Lane.NOTICE, MessageType.MARKETING: Lane.MARKETING}


class UnknownPolicy(StrEnum):
    """What happens to a part whose answer was lost (docs/durability.md)."""

    HOLD = "hold"
    HOLD_SHORT = "hold_short"
    RESEND = "resend"


class Origin(StrEnum):
    """By which door a message came in."""

    API = "api"
    PORTAL = "portal"
    CLI = "cli"
    TASK = "task"
    SMPP = "smpp"
    CMPP = "cmpp"


LONGEST_VALIDITY = timedelta(days=7)
"""From acceptance to the end of a message's validity at most."""
TEST_POOL = -1
"""The pool in which messages of test keys queue; no channel but the simulated one pulls from it."""
TEST_POOL_NAME = "@test"
TEST_CHANNEL = -1
"""The channel to the simulated carrier inside the daemon."""
PROBE_ACCOUNT = -2
"""The platform's own account, of probes: nobody has it, it pays nothing, and nobody is told what became of them."""
PROBE_NAME = "@probe"
PROBE_POOL = -2
"""The pool of probes: no channel pulls from it, each of them belongs to its channel from the beginning."""


@dataclass(frozen=True, slots=True)
class Account:
    """A sending account (短信账号): owner of keys, price, limits and data."""

    id: int
    name: str
    status: str
    """``active`` or ``stopped``."""
    display_name: str = ""
    default_sign: str = ""
    sign_required: bool = True
    """False: the carrier adds the signature itself. Numbers abroad never need one."""
    extend_code: str = ""
    """Digits appended to a channel's access code; routes replies back."""
    unknown_policy: UnknownPolicy | None = None
    """Overrides the channel's policy."""
    credit_floor: int = 0
    """Balance may go down to this many units: 0 prepaid, negative a postpaid ceiling."""
    training: bool = False
    """Its people rehearse: what it sends goes to the simulated carrier of test keys, free and counted nowhere."""
    emergency: bool = False
    """May send on the emergency lane (特发)."""
    parent_id: int | None = None
    department: str = ""
    halted: bool = False
    """Stopped itself, or below an account that is: nothing new is accepted."""
    protocols: frozenset[str] = frozenset({"http", "smpp", "cmpp"})
    """By which interfaces its systems may come."""
    ip_allow: tuple[IPv4Network | IPv6Network, ...] = ()
    """Where its systems may come from; empty: anywhere. Each key may narrow it."""
    webhook_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks that are not public, to which its events may be pushed."""
    units_otp: int = 1
    """Units that one part costs, by type."""
    units_notice: int = 1
    units_marketing: int = 1
    unit_price: Decimal = Decimal(0)
    """Yuan for a unit, for statements."""
    refund_failed: bool = False
    """Units of parts that the carrier could not deliver go back."""
    quota_day: int | None = None
    """Parts that the account and all below it may send in a day, and in a month (in China)."""
    quota_month: int | None = None
    rate: int = 2000
    """Messages per second."""
    starts_on: date | None = None
    """First and last day of the contract, in China."""
    ends_on: date | None = None
    stops_at_end: bool = True
    """False: it may go on sending when its contract is over."""
    above: tuple[int, ...] = ()
    """Ids of the accounts above, the parent first (``core.accounts.resolve``)."""
    guards: tuple[int, ...] = ()
    """Those of itself and the accounts above that have a quota."""
    department_id: int | None = None
    """Of its own; None: that of the account above."""
    departments: tuple[int, ...] = ()
    """Those with a month's quota, of its department and the ones above: their quotas count it."""
    first_day: date | None = None
    """When it may send, those above considered."""
    last_day: date | None = None


@dataclass(frozen=True, slots=True)
class SubmitRecording:
    """Submits and answers of a channel are kept for the trace, until then."""

    id: int
    until: datetime


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """Configuration of one channel (one carrier account)."""

    id: int
    name: str
    protocol: str
    """``cmpp20``, ``cmpp30``, ``smpp34``, ``sgip12`` or ``smgp30``."""
    host: str
    port: int
    username: str
    password: str = field(repr=False)
    access_code: str = ""
    connections: int = 1
    window: int = 16
    rate: int = 0
    """Submits per second over all connections; 0 is unlimited."""
    carriers: frozenset[str] = frozenset()
    """Carriers it serves; empty means all."""
    unknown_policy: UnknownPolicy = UnknownPolicy.HOLD
    desired: str = "started"
    """``started``, ``draining`` or ``stopped``."""
    profile: dict[str, str | int | bool] = field(default_factory=dict)
    """Carrier deviations as data; keys in ``channels/profiles.py``."""
    version: int = 0
    recording: SubmitRecording | None = None
    """Whether its submits are recorded."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A part that a channel has claimed (it is SENDING under our epoch): all that is needed to write it."""

    id: int
    part: int
    total: int
    attempt: int
    number: str
    content: str
    coding: str
    """``core.text.Coding`` by value."""
    extend_code: str
    lane: int
    valid_until: datetime | None
    ref: int
    """Reference of the concatenation header, the same for all parts of a message."""
    pool_id: int = 0
    account_id: int = 0

    @property
    def key(self) -> tuple[int, int, int]:
        """(message id, part, attempt): what an outcome is about."""
        return self.id, self.part, self.attempt


class OutcomeKind(StrEnum):
    """What a channel can say about a part; nothing else comes back."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """Definite, permanent."""
    DEFERRED = "deferred"
    """Definite refusal for now: throttled, queue full."""
    UNKNOWN = "unknown"
    UNSENT = "unsent"
    """Claimed, and certainly never written."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one attempt to hand a part to a carrier."""

    id: int
    part: int
    attempt: int
    kind: OutcomeKind
    carrier_id: str = ""
    code: str = ""
    """Raw code of the carrier, e.g. ``8`` (CMPP Result) or ``0x00000058``."""
    cls: str = ""
    """Stable class, see ``REPORT_CLASSES``."""
    delay: float = 0.0
    """DEFERRED: seconds until the next try."""
    fault: str = ""
    """REFUSED and DEFERRED: ``core.retry.Fault`` by the protocol's own table."""


@dataclass(frozen=True, slots=True)
class Report:
    """A delivery report as received from a carrier, made uniform."""

    channel_id: int
    carrier_id: str
    """Canonical (see the channel's profile)."""
    state: PartState
    """DELIVERED or UNDELIVERABLE (intermediate states never come here)."""
    code: str
    """Raw state and error, e.g. ``DELIVRD``, ``MK:0001``, ``UNDELIV/012``."""
    cls: str
    number: str
    received_at: datetime
    reference: int | None = None
    """Our user_message_reference, when it is repeated and the channel's profile trusts it."""
    by_number: bool = False
    """Whether the profile allows to find the part by number and time (``match_by_destination``)."""
    submitted: datetime | None = None
    """Time of the submit as the carrier wrote it, in a zone that is not said."""
    pdu: bytes = b""
    """Octets of the PDU that said it, as they came."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """One inbound message (MO), or one part of a long one, as received from a carrier."""

    channel_id: int
    carrier_id: str
    number: str
    to_code: str
    text: str
    received_at: datetime
    concat_ref: int | None = None
    concat_total: int = 1
    concat_number: int = 1


REPORT_CLASSES = labels_of("failure")
"""Stable class of a failure, with its Chinese name."""


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One connection of a channel right now, for people."""

    name: str
    peer: str
    """Address at the other end; empty while there is none."""
    state: str
    """``connecting``, ``binding``, ``both``, ``sending``, ``receiving`` or ``leaving``."""
    incoming: bool
    """The gateway has opened it to us (SGIP)."""
    used: int
    """Submits without an answer, of ``window``."""
    window: int
    answered: int
    """Submits that were answered since it logged in."""
    rate: float
    """The same, a second."""
    since: datetime | None
    """When it logged in; None: it has not."""


@dataclass(frozen=True, slots=True)
class AtWork:
    """A channel that uses a login, logged in or about to be."""

    name: str
    host: str
    bound: int
    """Connections that are logged in."""
    peers: frozenset[str] = frozenset()
    """Addresses that it is connected to, as far as they are known here."""


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """How a channel is doing right now, for people."""

    id: int
    name: str
    protocol: str
    carriers: tuple[str, ...]
    access_code: str
    state: str
    """``bound``, ``idle`` (SGIP: connects when there is something to send), ``connecting``, ``refused``,
    ``draining`` or ``stopped``."""
    bound: int
    connections: int
    window_used: int
    window: int
    """Of all bound links together."""
    rate_now: float
    """Submits per second over the last 5 seconds."""
    rate_limit: int
    submitted_today: int
    last_error: str
    pools: tuple[str, ...]
    """Names of the pools it pulls from."""
    reason: str
    """Why it is not faster: ``window full``, ``rate limit``, ``carrier slow`` (it answers nothing),
    ``carrier throttles`` (it says "too fast"), ``nothing to send``, ``not bound``."""
    probe: str = ""
    """What its last probe has shown: ``ok``, ``failed``, ``under way``; empty: it was not probed."""
    probe_detail: str = ""
    simulated: bool = False
    """Its carrier is the one inside the daemon: nobody gets what goes there."""
    links: tuple[LinkStatus, ...] = ()
    """Its connections, if it runs on this node."""
    rate_allowed: float | None = None
    """Submits per second that the carrier lets through now; None: all that ``rate_limit`` allows."""
    throttled: Spell | None = None
    """Since when, and how much, the carrier has been saying "too fast", if it runs on this node."""
    node: int = 0
    """The one that runs it; 0: none does, as far as is known."""
