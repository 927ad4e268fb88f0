"""What may be sent, to whom, how often and when: the policies, their names, forms and defaults in one place.

A policy has a value for all, for a type, for an account (and those below it), or for a type of an account; the most
particular one counts. ``PolicySet`` is what a node knows; it is replaced as a whole when something changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from smsgw.core.errors import Invalid
from smsgw.core.keywords import WordFilter
from smsgw.core.kinds import is_type
from smsgw.core.model import Account, MessageType
from smsgw.core.schedule import ALWAYS, Windows, written
from smsgw.core.templates import ContentBook
from smsgw.core.url_filings import Filed, Link, LinkBook
from smsgw.core.words import Wording, chinese_lexicon, labels_of, phrase

MAX_RATES = 8
LONGEST = 30 * 86_400
"""Seconds of the longest period that is counted."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``most`` in any ``seconds``."""

    most: int
    seconds: int

    def __str__(self) -> str:
        for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
            if self.seconds % size == 0:
                return f"{self.most}/{self.seconds // size}{unit}"
        return f"{self.most}/{self.seconds}s"

    @property
    def text(self) -> Wording:
        """For people."""
        for unit, size in (("rate.days", 86_400), ("rate.hours", 3600), ("rate.minutes", 60)):
            if self.seconds % size == 0:
                return phrase(unit, n=self.seconds // size, most=self.most)
        return phrase("rate.seconds", n=self.seconds, most=self.most)


class Mode(StrEnum):
    """Of ``optout``: whether marketing must say how to opt out."""

    OFF = "off"
    REQUIRE = "require"
    APPEND = "append"


class SignPolicy(StrEnum):
    """Which signatures an account may use."""

    OFF = "off"
    """Any."""
    APPROVED = "approved"
    """Its own that were approved."""
    REGISTERED = "registered"
    """Those, to numbers of the carriers where they are registered."""


class Reviewed(StrEnum):
    """Which calls a reviewer has to see first."""

    OFF = "off"
    UNTEMPLATED = "untemplated"
    """Those that are not of an approved template."""
    ALL = "all"


class Listed(StrEnum):
    """Kinds of entries of the allow list."""

    EXEMPT = "exempt"
    """No limits of frequency."""
    ONLY = "only"
    """An account with such entries sends to no other number."""
    TEST = "test"
    """Our own phones: no limits of frequency, no quiet hours, no review."""


LISTED_NAMES = labels_of("listed")
MAX_ALLOWED = 20_000
"""Entries of the allow list."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The policies that hold for one account and type."""

    frequency: tuple[Rate, ...] = ()
    """Per number, of what the account sends."""
    frequency_all: tuple[Rate, ...] = ()
    """Per number, of what all other accounts send together; an account without ``frequency`` is not held to it."""
    frequency_per: str = "number"
    """``number``, or ``template``: each template (without one: each signature) counts for itself."""
    identical_seconds: int = 60
    """The same text to the same number once in so many seconds; 0: as often as you like."""
    hours: Windows = ALWAYS
    """When it is sent; spans of the day, on weekdays."""
    optout: Mode = Mode.OFF
    sign_policy: SignPolicy = SignPolicy.OFF
    templates_only: bool = False
    review: Reviewed = Reviewed.OFF
    review_over: int = 0
    """A call to more numbers than this is reviewed first; 0: however many."""
    review_new_sign: int = 0
    """So is one with a signature that was approved fewer days ago, or never."""
    review_new_link: bool = False
    """So is one with a link that is neither on file with a carrier nor in an approved template of the account."""
    consent: str = "off"
    """``marketing``: marketing goes to numbers alone whose owners have agreed."""
    filed_links: str = "off"
    """``marketing``: links in marketing must be on file with the number's carrier."""
    filed_own_domain: bool = True
    """Where links must be on file, the domains of our own short links, too; where they lead must be in any case."""
    drop_empty: bool = False
    """Numbers that are known to be empty (空号) get nothing."""
    abroad_hourly: int = 200
    """Messages that an account sends outside mainland China in an hour; 0: as many as you like."""
    abroad_countries: int = 5
    """Countries in an hour that the account has not sent to in the last 30 days; 0: as many as you like."""
    counted_as: str = ""
    """The kind whose messages count for themselves, because it has a ``frequency`` of its own; "": with its type."""


DEFAULTS: Mapping[str, Limits] = {
    MessageType.OTP: Limits(
        frequency=(Rate(1, 60), Rate(5, 3600), Rate(10, 86_400)),
        frequency_all=(Rate(3, 60), Rate(15, 3600), Rate(30, 86_400)),
        sign_policy=SignPolicy.APPROVED,
    ),
    MessageType.NOTICE: Limits(
        frequency=(Rate(50, 86_400),),
        frequency_per="template",
        frequency_all=(Rate(150, 86_400),),
        sign_policy=SignPolicy.APPROVED,
    ),
    MessageType.MARKETING: Limits(
        frequency=(Rate(1, 86_400), Rate(4, 7 * 86_400)),
        frequency_all=(Rate(3, 86_400), Rate(12, 7 * 86_400)),
        hours=written("08:00-21:00"),
        optout=Mode.REQUIRE,
        sign_policy=SignPolicy.APPROVED,
        filed_links="marketing",
        consent="marketing",
    ),
}
"""What holds where nothing is set."""

# --- forms ------------------------------------------------------------------------------------------------------

_RATE = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,6})?([smhd])")
_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _rates(text: str) -> tuple[Rate, ...]:
    if text == "off":
        return ()
    rates = []
    for word in text.replace(",", " ").split():
        match = _RATE.fullmatch(word)
        seconds = int(match[2] or 1) * _UNIT[match[3]] if match else 0
        if match is None or not 0 < seconds <= LONGEST:
            raise ValueError(phrase("policy.rates"))
        rates.append(Rate(int(match[1]), seconds))
    if not 0 < len(rates) <= MAX_RATES:
        raise ValueError(phrase("policy.rates_many", most=MAX_RATES))
    return tuple(sorted(rates, key=lambda r: r.seconds))


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        text = "0" if text == "off" else text
        if not re.fullmatch("[0-9]{1,18}", text) or not low <= int(text) <= high:
            raise ValueError(phrase("policy.whole", low=low, high=high))
        return int(text)

    return parse


def _word(*known: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in known:
            raise ValueError(phrase("known", known=", ".join(known)))
        return text

    return parse


def _flag(text: str) -> bool:
    if text not in ("true", "false", "on", "off"):
        raise ValueError(phrase("flag.wanted"))
    return text in ("true", "on")


FORMS: Mapping[str, Callable[[str], Any]] = {
    "frequency": _rates,
    "frequency_all": _rates,
    "frequency_per": _word("number", "template"),
    "identical_seconds": _whole(0, 86_400),
    "hours": written,
    "optout": lambda text: Mode(_word(*Mode)(text)),
    "sign_policy": lambda text: SignPolicy(_word(*SignPolicy)(text)),
    "templates_only": _flag,
    "review": lambda text: Reviewed(_word(*Reviewed)(text)),
    "review_over": _whole(0, 1_000_000),
    "review_new_sign": _whole(0, 365),
    "review_new_link": _flag,
    "drop_empty": _flag,
    "filed_links": _word("off", "marketing"),
    "filed_own_domain": _flag,
    "consent": _word("off", "marketing"),
    "abroad_hourly": _whole(0, 10_000_000),
    "abroad_countries": _whole(0, 300),
}
"""Name of a policy -> what makes its value of text, or raises ``ValueError`` that says what is wanted."""


def check_type(type_: str, kinds: Collection[str] = ()) -> None:
    """``PARAM_INVALID`` for a type of message, or one of these kinds, that does not exist; "" is all."""
    if type_ and not is_type(type_, kinds):
        known = ", ".join((*MessageType, *kinds))
        raise Invalid("PARAM_INVALID", field="type", reason=phrase("choice.of", known=known))


def parse(name: str, text: str) -> Any:
    """The value of a policy. Raises ``ValueError`` that says what is wanted."""
    if name not in FORMS:
        raise ValueError(phrase("policy.none", name=name, known=", ".join(FORMS)))
    return FORMS[name](text.strip())


def shown(value: Any) -> str:
    """A value as text that ``parse`` understands."""
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "off"
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- what a node knows ------------------------------------------------------------------------------------------

Key = tuple[int, str]
"""Account id (0: all) and type ("": all)."""


@dataclass(frozen=True)
class PolicySet:
    """Everything that accept asks about a message's content and number, but for the block list."""

    changes: Mapping[Key, Mapping[str, Any]] = field(default_factory=dict)
    """What differs from the defaults."""
    words: WordFilter = field(default_factory=WordFilter)
    allowed: Mapping[str, tuple[tuple[int, Listed], ...]] = field(default_factory=dict)
    """The allow list: number -> (account id or 0, kind)."""
    restricted: frozenset[int] = frozenset()
    """Accounts that send to numbers of their list alone."""
    book: ContentBook = field(default_factory=ContentBook)
    """Signatures and templates."""
    links: LinkBook = field(default_factory=LinkBook)
    """Links on file."""
    _known: dict[tuple[int, str, str], Limits] = field(default_factory=dict, compare=False)

    def limits(self, account: Account, kind: MessageType, custom: str = "") -> Limits:
        """What holds for the account and type; ``custom``: and for this kind of the type."""
        key = account.id, str(kind), custom
        found = self._known.get(key)
        if found is None:
            line = (0, *reversed(account.above), account.id)
            found = self._known[key] = self._resolve(line, kind, custom)
        return found

    def new_links(self, links: Iterable[Link], accounts: Sequence[int]) -> list[Link]:
        """Those of a text that are neither on file with a carrier nor in an approved template of the accounts."""
        unfiled = [link for link in links if not self.links.known(link, accounts)]
        if not unfiled:
            return []
        seen = LinkBook.of(Filed(target, 0, frozenset("+")) for target in self.book.targets(accounts))
        return [link for link in unfiled if not seen.known(link, accounts)]

    def _resolve(self, line: Iterable[int], kind: MessageType, custom: str) -> Limits:
        found = DEFAULTS[kind]
        for account_id in line:
            for type_ in ("", kind, *((custom,) if custom else ())):
                here = self.changes.get((account_id, type_), {})
                if "frequency" in here:
                    found = replace(found, counted_as=custom if type_ == custom else "")
                found = replace(found, **here)
        return found

    def listed(self, number: str, accounts: Sequence[int]) -> frozenset[Listed]:
        """How the number (E.164 digits) stands on the allow list for these accounts."""
        entries = self.allowed.get(number)
        if not entries:
            return frozenset()
        return frozenset(kind for account_id, kind in entries if not account_id or account_id in accounts)


RELAXED = (
    "frequency",
    "frequency_all",
    "identical_seconds",
    "hours",
    "optout",
    "abroad_hourly",
    "abroad_countries",
    "sign_policy",
    "filed_links",
    "consent",
)
"""What limits by default."""
NO_POLICY = PolicySet({(0, ""): {name: parse(name, "off") for name in RELAXED}})
"""Everything goes; for parts of the program that are run without a database of policies."""


# --- opt-out wording --------------------------------------------------------------------------------------------


def optout_pattern(words: Iterable[str]) -> re.Pattern[str]:
    """Finds, at the end of a text, that a reply of one of these words (in plain form) ends such messages."""
    known = "|".join(sorted((re.escape(w) for w in words), key=len, reverse=True))
    say, out = chinese_lexicon.REPLY, chinese_lexicon.OUT
    return re.compile(
        rf"(?:{out}{say}(?:{known})|{say}(?:{known}){chinese_lexicon.MAY}{out}|reply(?:{known})to(?:stop|unsubscribe|optout))$"
    )


OPTOUT_WORDING = chinese_lexicon.OPT_OUT_ENDING
