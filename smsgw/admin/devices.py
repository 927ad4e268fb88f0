"""The cookie by which a person's own devices are known at the login: it opens nothing, but guesses of others do not
slow down its owner.

Each entry is sealed for one login with the key file, which all nodes share, and holds a name of the device and when it
was made. A browser that several people use has an entry for each of the last few.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Iterator

from smsgw.platform.handles import KeyFileError, Sealer

DAYS = 180
"""After the last login from it a device is forgotten."""
MAX_PEOPLE = 4
"""Whom one browser's cookie remembers."""
_MAX_ENTRY = 200


class Devices:
    """Reads and writes the cookie."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def find(self, cookie: str, login: str, now: float) -> str:
        """The name of the device when it is this login's, else empty. ``now``: seconds since 1970."""
        return next((device for device, _ in self._of(cookie, login, now)), "")

    def renew(self, cookie: str, login: str, now: float) -> str:
        """The cookie after a login."""
        mine = dict(self._of(cookie, login, now))
        device = next(iter(mine), "") or secrets.token_hex(8)
        others = [entry for entry in _entries(cookie) if entry not in mine.values()]
        sealed = self._sealer.seal(f"{device} {int(now)}", _context(login))
        return ".".join([base64.urlsafe_b64encode(sealed).decode().rstrip("="), *others][:MAX_PEOPLE])

    def _of(self, cookie: str, login: str, now: float) -> Iterator[tuple[str, str]]:
        for entry in _entries(cookie):
            try:
                octets = base64.urlsafe_b64decode(entry + "=" * (-len(entry) % 4))
                device, _, made = self._sealer.open(octets, _context(login)).partition(" ")
            except (KeyFileError, binascii.Error, ValueError):
                continue
            if now - int(made) < DAYS * 86_400:
                yield device, entry


def _context(login: str) -> str:
    return f"device of {login}"


def _entries(cookie: str) -> list[str]:
    return [entry for entry in cookie.split(".")[:MAX_PEOPLE] if 0 < len(entry) <= _MAX_ENTRY and entry.isascii()]
