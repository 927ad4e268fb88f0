"""Telephone numbers: one written form, a mask for people and logs, and the carrier by number segment (号段).

Inside the system a number is its E.164 digits without a plus: `8613800138000`. Which carrier serves a
number follows from its first seven digits; numbers ported to another carrier need an override.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from smsgw.core.pseudonyms import is_pseudonym

CMCC: Final = "CMCC"
CUCC: Final = "CUCC"
CTCC: Final = "CTCC"
CBN: Final = "CBN"
INTL: Final = "INTL"
UNKNOWN: Final = "UNKNOWN"

CARRIERS: Final = (CMCC, CUCC, CTCC, CBN, INTL, UNKNOWN)

_MAINLAND = re.compile(r"(?:\+?86|0086)?(1[3-9][0-9]{9})", re.ASCII)
_INTERNATIONAL = re.compile(r"(?:\+|00)([1-9][0-9]{6,14})", re.ASCII)
# What pasted numbers carry: full-width digits, and separators down to the marks that spreadsheets hide.
_SEPARATORS = str.maketrans(
    "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19\uff0b",
    "0123456789+",
    " \t\u00a0\u3000\u200b\u202a\u202c-\uff0d()\uff08\uff09.",
)


_MOST_WRITTEN = 64
"""Characters of a number with all that people put into it; what is longer is none."""


class InvalidNumber(ValueError):
    """Not a number that a message can go to.

    `reason` is one of `empty`, `characters`, `length`, `mainland` (not a mainland mobile number) and `prefix`
    (a foreign number must start with + or 00).
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"invalid number: {reason}")


def normalize(number: str) -> str:
    """The E.164 digits of a number as people write it.

    Mainland mobile numbers go with or without 86, +86, 0086; all others need + or 00. Blanks, hyphens, dots,
    brackets and full-width digits are understood. Raises `InvalidNumber`.
    """
    if len(number) > _MOST_WRITTEN:
        raise InvalidNumber("length")
    match = _MAINLAND.fullmatch(number)
    if match:
        return "86" + match[1]
    cleaned = number.translate(_SEPARATORS)
    match = _MAINLAND.fullmatch(cleaned)
    if match:
        return "86" + match[1]
    digits = cleaned.removeprefix("+")
    if not digits:
        raise InvalidNumber("empty")
    if not (digits.isascii() and digits.isdigit()):
        raise InvalidNumber("characters")
    match = _INTERNATIONAL.fullmatch(cleaned)
    if not match:
        written_out = cleaned.startswith(("+", "00"))
        raise InvalidNumber("length" if written_out or not 7 <= len(digits) <= 15 else "prefix")
    if match[1].startswith("86"):
        raise InvalidNumber("mainland")
    return match[1]


def is_mainland(e164: str) -> bool:
    """Whether the number is a mobile number of mainland China."""
    return len(e164) == 13 and e164.startswith("861")


def national(e164: str) -> str:
    """The form that domestic carriers want: 11 digits for mainland numbers, others unchanged."""
    return e164[2:] if is_mainland(e164) else e164


def written(e164: str) -> str:
    """The number as ``normalize`` reads it again: 11 digits of the mainland, all others with their plus."""
    return e164[2:] if is_mainland(e164) else f"+{e164}"


# Calling codes of two digits; but for zones 1 and 7 all others have three.
_TWO_DIGITS = frozenset(
    "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 "
    "81 82 84 86 90 91 92 93 94 95 98".split()
)
# Zone 1 outside the United States and Canada: countries of their own, and dear ones.
_ISLANDS = frozenset(
    "1242 1246 1264 1268 1284 1340 1345 1441 1473 1649 1658 1664 1670 1671 1684 1721 1758 1767 1784 1787 "
    "1809 1829 1849 1868 1869 1876 1939".split()
)


def country(e164: str) -> str:
    """The prefix that says to which country a number belongs: its calling code, of islands in zone 1 the area code."""
    if e164[0] == "1":
        return e164[:4] if e164[:4] in _ISLANDS else "1"
    if e164[0] == "7":
        return "7"
    return e164[:2] if e164[:2] in _TWO_DIGITS else e164[:3]


TAIL = 8
"""Digits by which spellings of a number are compared: carriers differ in what stands before them, also inside of a
country's numbers (Mexico's 1, Argentina's 9)."""


def tail(number: str) -> str:
    """The end of a number by which spellings of it are compared; empty when it does not say which number it is.

    What has, without zeros before it, fewer than seven digits, more than fifteen (pseudo codes) or other characters
    among them (masked) is no number to compare with.
    """
    digits = number.strip(" \t+").lstrip("0")
    if not (7 <= len(digits) <= 15 and digits.isascii() and digits.isdigit()):
        return ""
    return digits[-TAIL:]


def mask(number: str) -> str:
    """The number with its middle hidden, for display and logs; takes any text.

    `8613800138000` becomes `138****8000`. At least four characters are always hidden; of what stands for a number
    that is not known any more (`pseudonyms`) all.
    """
    shown = "" if is_pseudonym(number) else national(number)
    if len(shown) >= 11:
        return f"{shown[:3]}****{shown[-4:]}"
    if len(shown) >= 8:
        return f"{shown[:2]}****{shown[-2:]}"
    return "****"


_MOBILE = re.compile(r"(?<![0-9A-Za-z])(?:\+|00)?(?:86)?1[3-9][0-9]{9}(?![0-9A-Za-z])", re.ASCII)


def masked(text: str) -> str:
    """The text with the middle of every mobile number of the mainland in it hidden."""
    return _MOBILE.sub(lambda found: mask(found[0].lstrip("+").removeprefix("00")), text)


_BETWEEN = r"[ \t\u00a0\u3000\u200b-\u200d\u2060\ufeff.\u00b7_\-\u2010-\u2015\u2212\uff0d\uff0e]{0,2}"
_ABROAD = _BETWEEN.replace("[", "[()", 1).replace("{0,2}", "{0,3}")
_WRITTEN = re.compile(
    rf"(?<![0-9])(?:\+|0{{0,2}})(?:86{_BETWEEN})?(?P<mobile>1{_BETWEEN}[3-9](?:{_BETWEEN}[0-9]){{9}})(?![0-9])"
    # abroad; "UTC+8 2026-11-29" is a time
    rf"|(?:(?<![0-9A-Za-z])\+|(?<![0-9])00){_BETWEEN}[1-9](?:{_ABROAD}[0-9]){{6,14}}(?![0-9])"
    # a landline with its area code
    rf"|(?<![0-9])0(?:10|2[0-9]|[3-9][0-9]{{2}})[)\uff09]?{_BETWEEN}[2-9](?:{_BETWEEN}[0-9]){{6,7}}(?![0-9])"
    # as it stands in a file; no access code, hotline or time
    r"|(?<![0-9])(?!106|[48]00|20[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01]))[0-9]{10,15}(?![0-9])"
)


def masked_as_written(text: str) -> str:
    """The same of what people write by hand: digits of any form, in groups, right behind letters; of landlines with
    their area code and of numbers abroad as well. Too much is hidden rather than too little; of longer rows of digits
    (identifiers) nothing."""
    digits = "".join(letter if (n := unicodedata.digit(letter, None)) is None else str(n) for letter in text)
    parts: list[str] = []
    at = 0
    for found in _WRITTEN.finditer(digits):  # letter by letter the same: what is around stays as it was written
        written = re.sub("[^0-9]", "", found["mobile"] or found[0])
        parts += text[at : found.start()], mask(written if found["mobile"] else written.removeprefix("00"))
        at = found.end()
    return "".join((*parts, text[at:]))


@dataclass(frozen=True, slots=True)
class Home:
    """Where a number segment is at home. Province and city are Chinese names, empty when not known."""

    carrier: str
    province: str = ""
    city: str = ""


# Segments opened to carriers as of 2026; a longer prefix wins. 170, 162, 165, 167 and 171 are resold
# networks.
_PREFIXES: dict[str, str] = {
    **dict.fromkeys(
        "134 135 136 137 138 139 144 147 148 150 151 152 157 158 159 165 172 178 182 183 184 187 188 "
        "195 197 198 1703 1705 1706".split(),
        CMCC,
    ),
    **dict.fromkeys("130 131 132 145 146 155 156 166 167 171 175 176 185 186 196 1704 1707 1708 1709".split(), CUCC),
    **dict.fromkeys("133 141 149 153 162 173 174 177 180 181 189 190 191 193 199 1349 1700 1701 1702".split(), CTCC),
    "192": CBN,
}

_BASE = 1_300_000
_SIZE = 700_000


class Segments:
    """Number segments of mainland China.

    `entries` are (prefix, home) with the prefix in national digits, from three digits up to a whole number;
    a later entry replaces an earlier one and a longer prefix wins over a shorter one. Prefixes of seven
    digits, of which there are half a million, lie in one array of small integers (1.4 MB); a look-up costs
    about 0.3 µs. What no entry covers is answered from the built-in three- and four-digit prefixes, with
    the carrier only.

    `sevens` are entries before all others, with their prefixes as numbers and few objects for their homes: half a
    million of them take a third of the time that they would take as `entries`.

    Raises `ValueError` for a prefix that is not 3 to 11 digits starting with 1.
    """

    def __init__(self, entries: Iterable[tuple[str, Home]] = (), *, sevens: Iterable[tuple[int, Home]] = ()) -> None:
        self._homes: list[Home] = [Home(UNKNOWN)]
        self._numbers: dict[Home, int] = {}
        self._seven = array("H", bytes(2 * _SIZE))
        self._short: dict[str, Home] = {prefix: Home(carrier) for prefix, carrier in _PREFIXES.items()}
        self._long: dict[str, Home] = {}
        self._count = 0
        self._fill(sevens)
        for prefix, home in entries:
            self._add(prefix, home)
        self._long_lengths = sorted({len(p) for p in self._long}, reverse=True)
        self._short_lengths = sorted({len(p) for p in self._short}, reverse=True)

    def __len__(self) -> int:
        """Entries that were given, without the built-in prefixes."""
        return self._count

    def _fill(self, sevens: Iterable[tuple[int, Home]]) -> None:
        """Every step here is taken half a million times at each start: a home is known by its place in memory."""
        known: dict[int, int] = {}
        kept: list[Home] = []  # for the place is another's when the home is gone
        seven = self._seven
        count = 0
        for prefix, home in sevens:
            number = known.get(id(home))
            if number is None:
                kept.append(home)
                number = known[id(home)] = self._number(home)
            if _BASE <= prefix < _BASE + _SIZE:
                seven[prefix - _BASE] = number
                count += 1
            else:
                self._add(str(prefix), home)
        self._count += count

    def _number(self, home: Home) -> int:
        """Its index in `_homes`."""
        number = self._numbers.get(home)
        if number is None:
            number = self._numbers[home] = len(self._homes)
            self._homes.append(home)
        return number

    def _add(self, prefix: str, home: Home) -> None:
        if not (3 <= len(prefix) <= 11 and prefix.isascii() and prefix.isdigit() and prefix[0] == "1"):
            raise ValueError(f"prefix {prefix!r}")
        self._count += 1
        if len(prefix) < 7:
            self._short[prefix] = home
        elif len(prefix) > 7 or not 0 <= int(prefix) - _BASE < _SIZE:
            self._long[prefix] = home
        else:
            self._seven[int(prefix) - _BASE] = self._number(home)

    def home(self, e164: str) -> Home | None:
        """Carrier, province and city of a mainland number, None for other numbers and unknown segments."""
        if not is_mainland(e164):
            return None
        for length in self._long_lengths:
            found = self._long.get(e164[2 : 2 + length])
            if found is not None:
                return found
        index = int(e164[2:9]) - _BASE
        number = self._seven[index] if 0 <= index < _SIZE else 0
        if number:
            return self._homes[number]
        for length in self._short_lengths:
            found = self._short.get(e164[2 : 2 + length])
            if found is not None:
                return found
        return None


MAX_OVERRIDES = 2_000_000


class Overrides:
    """What is known better than the segments: ported numbers and segments the data does not have yet.

    `entries` are (prefix in national digits, home); a longer prefix wins over a shorter one.
    """

    def __init__(self, entries: Iterable[tuple[str, Home]] = ()) -> None:
        self._homes = dict(entries)
        self._lengths = sorted({len(prefix) for prefix in self._homes}, reverse=True)

    def __len__(self) -> int:
        return len(self._homes)

    def home(self, e164: str) -> Home | None:
        """Carrier and province of a mainland number where an override says so."""
        if not self._homes or not is_mainland(e164):
            return None
        for length in self._lengths:
            found = self._homes.get(e164[2 : 2 + length])
            if found is not None:
                return found
        return None


def carrier_of(e164: str, segments: Segments) -> str:
    """The carrier constant of a number: INTL outside mainland China, UNKNOWN for a segment nobody knows."""
    if not e164.startswith("86"):
        return INTL
    home = segments.home(e164)
    return home.carrier if home is not None else UNKNOWN
