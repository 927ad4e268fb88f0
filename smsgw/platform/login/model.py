"""Demands on a login: factors and networks of everybody, of a role, of a person."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from smsgw.core.addresses import Network, within

CODE_SENDER = "portal/login"
"""Who sends login codes, as the records have it; nobody's login has a slash."""


class Factor(StrEnum):
    """What somebody can show beside the password."""

    SMS = "sms"
    """A code that was sent to the verified number."""
    TOTP = "totp"
    PASSKEY = "passkey"
    RECOVERY = "recovery"
    """In the place of all others, once."""


DEMANDED = (Factor.SMS, Factor.TOTP, Factor.PASSKEY)
STRONG = frozenset({Factor.TOTP, Factor.PASSKEY})
"""What nobody can read on its way, and what opens dangerous pages."""


@dataclass(frozen=True, slots=True)
class Demand:
    """One of these factors, or every one of them; none: no demand. ``networks``: where from; none: from everywhere."""

    factors: frozenset[Factor] = frozenset()
    every: bool = False
    networks: tuple[Network, ...] = ()

    def missing(self, proven: Collection[Factor]) -> frozenset[Factor]:
        """What would still do, or is still wanted; empty: it is met."""
        if Factor.RECOVERY in proven or (not self.every and self.factors & frozenset(proven)):
            return frozenset()
        return self.factors - frozenset(proven)

    def admits(self, address: str | None) -> bool:
        """Whether one may come from there."""
        return not self.networks or within(address or "", self.networks)

    @property
    def empty(self) -> bool:
        """Whether nothing is demanded."""
        return not (self.factors or self.networks)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a login of one person takes: all demands together, so that the strictest wins."""

    demands: tuple[Demand, ...] = ()
    enrolled: frozenset[Factor] = frozenset()
    """What the person has set up."""
    enrol_reset: bool = False
    one_time: bool = False
    """The password is one that an administrator gave."""

    @property
    def asked(self) -> tuple[Demand, ...]:
        """Demands of factors. Who has set up an app or a passkey is asked for it though nobody demands any."""
        demands = tuple(demand for demand in self.demands if demand.factors)
        own = self.enrolled & STRONG
        return demands or ((Demand(own),) if own else ())

    def admits(self, address: str | None) -> bool:
        """Whether the person may come from there."""
        return all(demand.admits(address) for demand in self.demands)

    def through(self, proven: Collection[Factor]) -> bool:
        """Whether these are enough."""
        return not any(demand.missing(proven) for demand in self.asked)

    def ask(self, proven: Collection[Factor]) -> frozenset[Factor]:
        """Which factors can be shown now; a recovery code as well where there is one."""
        if self.through(proven):
            return frozenset()
        wanted = _all(demand.missing(proven) for demand in self.asked) & self.enrolled
        if not wanted and not self.enrolled & frozenset(proven):
            wanted = self.enrolled - {Factor.RECOVERY}  # not what is demanded: shown before another one is set up
        spare = self.enrolled & {Factor.RECOVERY}
        return wanted | spare if wanted or not self.enrolled & frozenset(proven) else wanted

    def enrol(self, proven: Collection[Factor]) -> frozenset[Factor]:
        """Which factors are to be set up now, as nothing that the person has would do: the clear rule for those who
        have none yet. With ``enrol_reset`` that takes a one-time password: one that was stolen sets up nothing."""
        if self.through(proven) or self.ask(proven) or (self.enrol_reset and not self.one_time):
            return frozenset()
        return _all(demand.missing(proven) for demand in self.asked)


def _all(some: Iterable[frozenset[Factor]]) -> frozenset[Factor]:
    return frozenset().union(*some)


@dataclass(frozen=True, slots=True)
class LoginPolicy:
    """What holds for everybody."""

    demand: Demand = Demand()
    enrol_reset: bool = False
    idle_minutes: int = 30
    """A session ends when nothing was done for so long …"""
    session_hours: int = 12
    """… and in any case after this."""
    sessions: int = 10
    """Of one person at the same time; the oldest goes first."""
    sms_accounts: tuple[int, ...] = ()
    """Sending accounts of login codes: the first one that can, another one the next time."""
    sms_text: str = "{code}"


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """What is asked of passwords, beyond that they cannot be guessed."""

    length: int = 10
    classes: int = 3
    history: int = 5
    days: int = 0


@dataclass(frozen=True, slots=True)
class Begun:
    """A login whose password was right, and which is not through yet."""

    staff_id: int
    login: str
    password_hash: str = field(repr=False)
    proven: frozenset[Factor]
    challenge: bytes | None
    tries: int
    sent: int
    agent: str
    token_sha256: bytes = field(repr=False)
