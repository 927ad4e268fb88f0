"""Message fallback (消息回落): what is sent instead of a message that has definitely failed, hop by hop. Pure
(docs/adr/067).

A chain has up to three hops. A hop is taken when the message before it can be known not to have arrived: whoever may
have got one form of a message gets no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from smsgw.core import variables
from smsgw.core.errors import Invalid
from smsgw.core.states import CORRECTABLE, FINAL, PartState
from smsgw.core.words import phrase

KINDS = ("sms",)
"""Kinds of messages that a hop can be."""
MOST_HOPS = 3
MOST_TEXT = 1000
MOST_SIGN, MOST_POOL = 20, 64
USUAL_MINUTES = 24 * 60
MOST_MINUTES = 72 * 60
_TIMED_OUT = "EXPIRED"
"""How carriers begin the code of what they have given up for its time."""


class When(StrEnum):
    """What makes a hop follow."""

    ANY = "any"
    FAILED = "failed"
    """A carrier refused it, or reported that it has failed for another cause than its time."""
    EXPIRED = "expired"
    """Its time was over before a carrier took it, or a carrier reported that."""


@dataclass(frozen=True, slots=True)
class Hop:
    """What follows a message that has failed."""

    content: str = ""
    """The text; {name} stands for a value of the recipient. Empty: of the template."""
    template_id: int | None = None
    sign: str = ""
    """Empty: that of the message before."""
    prefer: str = ""
    """The pool that it is sent through where routing allows."""
    when: When = When.ANY
    kind: str = KINDS[0]

    def plain(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "kind": self.kind, "when": self.when.value, "content": self.content, "template_id": self.template_id,
            "sign": self.sign, "prefer": self.prefer,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chain:
    """What follows, in order."""

    hops: tuple[Hop, ...]
    minutes: int = USUAL_MINUTES
    """From the beginning of the first message; after that no hop is taken."""

    def plain(self) -> dict[str, Any]:
        """As it is kept."""
        return {"hops": [hop.plain() for hop in self.hops], "minutes": self.minutes}

    @property
    def varied(self) -> bool:
        """Whether a hop says something else to each recipient."""
        return any(hop.template_id is not None or variables.Template(hop.content).names for hop in self.hops)


def chain_of(given: Mapping[str, Any]) -> Chain:
    """``{"hops": [{"content": …, "when": "any"}, …], "minutes": 1440}``. ``PARAM_INVALID``."""
    hops = given.get("hops")
    if not isinstance(hops, list | tuple) or not 0 < len(hops) <= MOST_HOPS:
        raise _wrong("hops", "number.in", low=1, high=MOST_HOPS)
    minutes = given.get("minutes", USUAL_MINUTES)
    if not isinstance(minutes, int) or isinstance(minutes, bool) or not 1 <= minutes <= MOST_MINUTES:
        raise _wrong("minutes", "number.in", low=1, high=MOST_MINUTES)
    return Chain(tuple(_hop(n, dict(hop)) for n, hop in enumerate(hops)), minutes)


def _hop(n: int, given: Mapping[str, Any]) -> Hop:
    at = f"hops[{n}]"
    kind, when, content = given.get("kind") or KINDS[0], given.get("when") or When.ANY, given.get("content") or ""
    if kind not in KINDS:
        raise _wrong(f"{at}.kind", "choice.of", known=", ".join(KINDS))
    if when not in set(When):
        raise _wrong(f"{at}.when", "choice.of", known=", ".join(When))
    template_id = given.get("template_id")
    if template_id is not None and (not isinstance(template_id, int) or isinstance(template_id, bool)):
        raise _wrong(f"{at}.template_id", "fallback.one")
    if bool(content.strip()) == (template_id is not None):
        raise _wrong(f"{at}.content", "fallback.one")
    if len(content) > MOST_TEXT:
        raise _wrong(f"{at}.content", "text.between", low=1, high=MOST_TEXT)
    sign = str(given.get("sign") or "").strip().removeprefix("\u3010").removesuffix("\u3011")
    if sign and (not 2 <= len(sign) <= MOST_SIGN or not sign.isprintable() or set(sign) & set("\u3010\u3011 ")):
        raise _wrong(f"{at}.sign", "sign.text")
    prefer = str(given.get("prefer") or "")
    if len(prefer) > MOST_POOL:
        raise _wrong(f"{at}.prefer", "text.between", low=0, high=MOST_POOL)
    return Hop(content, template_id, sign, prefer, When(when), kind)


def _wrong(field_: str, key: str, **values: Any) -> Invalid:
    return Invalid("PARAM_INVALID", field=f"fallback.{field_}", reason=phrase(key, **values))


@dataclass(frozen=True, slots=True)
class Follow:
    """What may follow the messages of a call."""

    chain: Chain
    hop: int = 0
    """Hops that have led to them."""
    first_id: int | None = None
    """Of a hop: the message that the chain began with."""
    until: datetime | None = None
    """When the time of the chain is over; None: as it says, from when they begin."""
    task: tuple[int, int] | None = None
    """The task that they are of, and its run."""
    values: Sequence[Mapping[str, str]] = field(default=())
    """By item: what stands for its variables."""


class Sight(StrEnum):
    """What a message's parts say of a hop."""

    OPEN = "open"
    """It may still end any way."""
    ENDED = "ended"
    """Nothing can follow: it has arrived, was withdrawn, or it was we who refused it."""
    FAILED = "failed"


def look(parts: Sequence[tuple[PartState, bool]]) -> Sight:
    """By state of each part, and whether it was ourselves who refused it. What may have arrived stays open: a late
    report may still tell."""
    states = {state for state, _ in parts}
    if not states <= FINAL or states & CORRECTABLE:
        return Sight.OPEN
    fails = {PartState.UNDELIVERABLE, PartState.EXPIRED, PartState.REJECTED}
    if not states <= fails or any(by_us and state is PartState.REJECTED for state, by_us in parts):
        return Sight.ENDED
    return Sight.FAILED


def follows(when: When, parts: Sequence[tuple[PartState, str]]) -> bool:
    """Whether a hop follows what has definitely failed, by state and code of each part."""
    if when is When.ANY:
        return True
    late = {state is PartState.EXPIRED or code.upper().startswith(_TIMED_OUT) for state, code in parts}
    return (when is When.EXPIRED) in late
