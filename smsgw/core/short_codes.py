"""Codes of short links: eight characters of base 58, made of serial numbers by a secret permutation (docs/adr/087).

A link has a range of serials; its codes are computed, and a code that comes back is computed into its serial. Nothing
is stored of a code, no two are the same, and whoever sees some of them learns nothing of the others.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
"""Base 58: no 0 and O, no I and l, which people mistake for each other."""
LENGTH: Final = 8
SERIALS: Final = 58**LENGTH
"""So many codes there are: 1.3 × 10¹⁴."""
PER_SECOND: Final = 20_000
"""So many serials each second since the beginning of 2024 uses up, whether somebody has them or not: a counter that was
put back (a database restored) goes on beyond what it had given out. They last until 2227."""
KEY_OCTETS: Final = 32
MAX_CHOSEN: Final = 20
RESERVED: Final = frozenset({"health", "ready", "robots", "favicon"})
"""What the public edge has under these names, or browsers ask for by themselves."""

_HALF = 58 ** (LENGTH // 2)
_ROUNDS = 10
"""As FF1 has (NIST SP 800-38G), whose construction this is, with BLAKE2b in the place of AES."""
_VALUES = {character: n for n, character in enumerate(ALPHABET)}
_CHOSEN = re.compile(r"[a-z0-9](?:[a-z0-9-]{2,18})[a-z0-9]", re.ASCII)


class Permutation:
    """Serials into codes and back, under one key."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_OCTETS:
            raise ValueError(f"a key of {len(key)} octets")
        self._rounds = [blake2b(digest_size=8, key=key, person=b"smsgw %d" % n) for n in range(_ROUNDS)]

    def code(self, serial: int) -> str:
        """The code of a serial, 0 … ``SERIALS`` - 1."""
        if not 0 <= serial < SERIALS:
            raise ValueError(f"serial {serial}")
        left, right = divmod(serial, _HALF)
        for n in range(_ROUNDS):
            left, right = right, (left + self._round(n, right)) % _HALF
        return _written(left) + _written(right)

    def serial(self, code: str) -> int | None:
        """The serial of a code; None: it cannot be one."""
        if len(code) != LENGTH:
            return None
        left, right = _read(code[: LENGTH // 2]), _read(code[LENGTH // 2 :])
        if left is None or right is None:
            return None
        for n in reversed(range(_ROUNDS)):
            left, right = (right - self._round(n, left)) % _HALF, left
        return left * _HALF + right

    def _round(self, n: int, half: int) -> int:
        keyed = self._rounds[n].copy()
        keyed.update(half.to_bytes(4))
        return int.from_bytes(keyed.digest())


def is_chosen(code: str) -> bool:
    """Whether people may choose it: four to twenty letters, digits and hyphens, in small letters (large ones are taken
    for the same), and not eight characters, as those are that are made here."""
    return code not in RESERVED and len(code) != LENGTH and _CHOSEN.fullmatch(code) is not None


def _written(value: int) -> str:
    characters = ""
    for _ in range(LENGTH // 2):
        value, digit = divmod(value, 58)
        characters = ALPHABET[digit] + characters
    return characters


def _read(text: str) -> int | None:
    value = 0
    for character in text:
        digit = _VALUES.get(character)
        if digit is None:
            return None
        value = value * 58 + digit
    return value
