"""The states of a part and THE transition table: the only place that says what may follow what."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from smsgw.core.words import labels_of


class PartState(IntEnum):
    """State of one part (one wire segment of a message). The numbers are stored; never renumber."""

    HELD = 1
    """Waits for a reviewer, or for its account to be started again."""
    SCHEDULED = 2
    """Waits for its time."""
    QUEUED = 10
    """Accepted; all parts of the message are QUEUED together and any channel of the pool may take them."""
    DEFERRED = 11
    """Refused for now by its channel (throttled, queue full), or never written before a crash; waits there."""
    SENDING = 20
    """Claimed by a channel: it may be on the wire."""
    SENT = 30
    """The carrier has accepted it; waits for the delivery report."""
    UNKNOWN = 31
    """Written, and the answer is lost. Never resent blindly."""
    DELIVERED = 40
    UNDELIVERABLE = 41
    """The carrier reported a failure."""
    EXPIRED = 42
    """Never written to a carrier within its validity."""
    NO_REPORT = 43
    """Accepted by the carrier, no report in time; may have arrived."""
    UNCONFIRMED = 44
    """UNKNOWN until the policy's time was over, or sent twice and not delivered by the second attempt."""
    REJECTED = 45
    """Refused: by the carrier's answer (status ``failed``) or by us (status ``rejected``)."""
    CANCELLED = 46
    DUPLICATE = 47


S = PartState

# To UNKNOWN from what waits: the database was restored from a backup, and it may have been sent since.
TRANSITIONS: dict[PartState, frozenset[PartState]] = {
    # To DEFERRED, and to what a second attempt may come to: it was DEFERRED when its account was stopped.
    S.HELD: frozenset(
        {
            S.SCHEDULED,
            S.QUEUED,
            S.DEFERRED,
            S.UNKNOWN,
            S.REJECTED,
            S.CANCELLED,
            S.EXPIRED,
            S.UNCONFIRMED,
            S.DELIVERED,
            S.UNDELIVERABLE,
        }
    ),
    S.SCHEDULED: frozenset({S.QUEUED, S.HELD, S.UNKNOWN, S.REJECTED, S.CANCELLED, S.EXPIRED}),
    # UNCONFIRMED from the waiting states: sent again by policy, and the second attempt came to nothing. DELIVERED,
    # UNDELIVERABLE: an earlier attempt was delivered after all, or had failed at a carrier and no other followed.
    S.QUEUED: frozenset(
        {S.SENDING, S.HELD, S.UNKNOWN, S.EXPIRED, S.UNCONFIRMED, S.DELIVERED, S.UNDELIVERABLE, S.CANCELLED, S.REJECTED}
    ),
    S.DEFERRED: frozenset(
        {
            S.SENDING,
            S.QUEUED,
            S.HELD,
            S.UNKNOWN,
            S.EXPIRED,
            S.UNCONFIRMED,
            S.DELIVERED,
            S.UNDELIVERABLE,
            S.CANCELLED,
            S.REJECTED,
        }
    ),
    # EXPIRED: refused for now, or found never written, when its validity is over.
    S.SENDING: frozenset(
        {S.SENT, S.DEFERRED, S.QUEUED, S.REJECTED, S.UNKNOWN, S.EXPIRED, S.UNCONFIRMED, S.DELIVERED, S.UNDELIVERABLE}
    ),
    S.UNKNOWN: frozenset(
        {S.SENT, S.DEFERRED, S.QUEUED, S.REJECTED, S.EXPIRED, S.DELIVERED, S.UNDELIVERABLE, S.UNCONFIRMED}
    ),
    # UNCONFIRMED: sent twice, and the second attempt has failed by a report.
    S.SENT: frozenset({S.DELIVERED, S.UNDELIVERABLE, S.DEFERRED, S.NO_REPORT, S.UNCONFIRMED}),
    S.UNCONFIRMED: frozenset({S.DELIVERED, S.UNDELIVERABLE}),
    S.NO_REPORT: frozenset({S.DELIVERED, S.UNDELIVERABLE}),
    S.DELIVERED: frozenset(),
    S.UNDELIVERABLE: frozenset(),
    S.EXPIRED: frozenset(),
    S.REJECTED: frozenset(),
    S.CANCELLED: frozenset(),
    S.DUPLICATE: frozenset(),
}

FINAL = frozenset(
    {S.DELIVERED, S.UNDELIVERABLE, S.EXPIRED, S.NO_REPORT, S.UNCONFIRMED, S.REJECTED, S.CANCELLED, S.DUPLICATE}
)
CORRECTABLE = frozenset({S.UNCONFIRMED, S.NO_REPORT})
"""Finals that a late report may still correct, once."""

MAY_HAVE_ARRIVED = frozenset({S.SENDING, S.SENT, S.UNKNOWN, S.UNCONFIRMED, S.NO_REPORT, S.DELIVERED})
"""A resend of a part in one of these states is refused."""

REFUNDED = frozenset({S.EXPIRED, S.REJECTED, S.CANCELLED, S.DUPLICATE})
"""Finals whose price goes back to the account: nothing was taken by a carrier."""


def allowed(source: PartState, target: PartState) -> bool:
    """Whether a part may go from ``source`` to ``target``."""
    return target in TRANSITIONS[source]


def is_final(state: PartState) -> bool:
    """Whether nothing but a correcting report can follow."""
    return state in FINAL


STATUS: dict[PartState, str] = {
    S.HELD: "held",
    S.SCHEDULED: "scheduled",
    S.QUEUED: "queued",
    S.DEFERRED: "queued",
    S.SENDING: "queued",
    S.SENT: "submitted",
    S.UNKNOWN: "uncertain",
    S.UNCONFIRMED: "unconfirmed",
    S.DELIVERED: "delivered",
    S.UNDELIVERABLE: "failed",
    S.EXPIRED: "expired",
    S.NO_REPORT: "no_report",
    S.REJECTED: "failed",
    S.CANCELLED: "cancelled",
    S.DUPLICATE: "duplicate",
}

STATUS_NAMES = labels_of("status")
"""Status -> its name, in the order of a message's life."""


def status_of(state: PartState, by_us: bool = False) -> str:
    """The status word of one part; ``by_us`` tells our refusal from the carrier's."""
    return "rejected" if by_us and state is S.REJECTED else STATUS[state]


# A message is as far as its least advanced part; among finals the worst decides.
_RANK = [
    S.HELD, S.SCHEDULED, S.UNKNOWN, S.SENDING, S.DEFERRED, S.QUEUED, S.SENT,
    S.UNCONFIRMED, S.UNDELIVERABLE, S.REJECTED, S.EXPIRED, S.CANCELLED, S.DUPLICATE, S.NO_REPORT, S.DELIVERED,
]  # fmt: skip
RANK: dict[PartState, int] = {state: rank for rank, state in enumerate(_RANK)}


def message_state(parts: Iterable[PartState]) -> PartState:
    """The state of a message from those of its parts (at least one)."""
    return min(parts, key=RANK.__getitem__)


def success_rate(delivered: int, failed: int) -> float | None:
    """Delivered of those that carriers have told the end of, from 0 to 1; None: of none. What is on its way, has an
    unknown end or never went out is in neither. The one rate of success, wherever one stands."""
    known = delivered + failed
    return delivered / known if known else None


def success_percent(delivered: int, failed: int) -> float | None:
    """The same in percent."""
    rate = success_rate(delivered, failed)
    return None if rate is None else 100 * rate


DECISIONS = {"unconfirmed": S.UNCONFIRMED, "delivered": S.DELIVERED, "failed": S.UNDELIVERABLE, "resend": S.DEFERRED}
"""What an operator may decide about an unknown outcome."""
