"""Passwords and sessions.

Passwords are argon2id (19 MiB, t=2, p=1), computed in processes of their own, a few at a time (``admin/passwords``),
and judged when they are set (``admin/strength``). Who guesses is slowed down (``core/guard``), nobody is locked out. A
session is a random 256-bit reference; the database holds only its SHA-256.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from dataclasses import dataclass

from smsgw.admin.devices import Devices
from smsgw.admin.passwords import Passwords
from smsgw.admin.strength import password_problem
from smsgw.admin.turns import Rank
from smsgw.admin.words import passwords as said
from smsgw.core.addresses import place_of
from smsgw.core.guard import PORTAL, Guard
from smsgw.core.guessing import Guesses
from smsgw.platform.change import Change
from smsgw.platform.handles import Database, Sealer
from smsgw.platform.org import queries, service, sessions
from smsgw.platform.org.failed_logins import FailedLogins
from smsgw.platform.org.model import OpenSession, Person
from smsgw.runtime import clock


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session just opened: the token goes into the cookie and is kept nowhere else."""

    token: str
    person: Person


class Slowed(Exception):
    """Too many were wrong: the password was not looked at."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"{wait:.0f} s")
        self.wait = wait
        """Seconds."""


class Auth:
    """Opens, finds and ends sessions."""

    def __init__(self, db: Database, sealer: Sealer, guesses: Guesses | None = None) -> None:
        self._db = db
        self.passwords = Passwords()
        self.guard = Guard(PORTAL)
        self.devices = Devices(sealer)
        self.failures = FailedLogins(db, guesses or Guesses())

    async def login(self, login: str, password: str, ip: str | None, device: str = "") -> NewSession | None:
        """A new session, or ``None``: wrong, unknown and stopped look and take the same. Raises ``Slowed``.

        ``device``: of the login's own, by its cookie.
        """
        address = ip or ""
        self._hold_back(self.guard.wait(address, login, clock.steady(), device), login, ip)
        async with self.passwords.turn(login if device else place_of(address), self._rank(address, device)):
            self._hold_back(self.guard.admit(address, login, clock.steady(), device), login, ip)
            found = await queries.person_to_check(self._db, login) if password else None
            person, password_hash = found if found else (None, None)
            if not await self.passwords.verify(password_hash, password) or person is None:
                self.guard.failed(address, login, clock.steady(), device)
                self.failures.note(login, ip)
                return None
            self.guard.succeeded(address, login, clock.steady(), device)
        opened = await self._open(person, str(password_hash), ip)
        if opened is not None:
            await sessions.log_in(self._db, person, ip)
        return opened

    def _rank(self, address: str, device: str) -> Rank:
        if device:
            return Rank.KNOWN
        return Rank.STRANGER if self.guard.spotless(address, clock.steady()) else Rank.DOUBTFUL

    def _hold_back(self, wait: float, login: str, ip: str | None) -> None:
        if wait:
            self.failures.note(login, ip, slowed=True)
            raise Slowed(wait)

    async def _open(self, person: Person, password_hash: str, ip: str | None) -> NewSession | None:
        """A session for somebody whose password was checked against this hash; None: it is another one by now."""
        token = secrets.token_urlsafe(32)
        csrf = secrets.token_urlsafe(24)
        opened = await sessions.open_session(self._db, person, password_hash, token_sha256(token), csrf, ip)
        return NewSession(token, person) if opened else None

    async def session(self, token: str, *, passive: bool) -> OpenSession | None:
        """The live session of a token; a ``passive`` look does not keep it alive."""
        digest = token_sha256(token)
        found = await queries.session(self._db, digest)
        if found and not passive:
            await sessions.touch(self._db, digest)
        return found

    async def logout(self, token: str, person: Person, ip: str | None) -> None:
        """End the session of a token."""
        await sessions.close_session(self._db, person, token_sha256(token), ip)

    async def change_password(
        self, change: Change, person: Person, old: str, new: str, ip: str | None
    ) -> NewSession | str:
        """Set a new password, end all sessions and open one; or what is wrong (Chinese source text)."""
        if old == new:
            return said.SAME_PASSWORD
        place, login = "a session", person.login  # guesses with a stolen session are counted by themselves
        async with self.passwords.turn(login, Rank.KNOWN):
            if self.guard.admit("", login, clock.steady(), place):  # first: judging one is work, too
                return said.TOO_MANY_TRIES
            if problem := await asyncio.to_thread(password_problem, new, login=login, name=person.name):
                return problem
            found = await queries.person_to_check(self._db, login)
            former = found[1] if found else None
            if not await self.passwords.verify(former, old):
                self.guard.failed("", login, clock.steady(), place)
                return said.WRONG_PASSWORD
            for earlier in await queries.earlier_passwords(self._db, person.id):
                if await self.passwords.verify(earlier, new):
                    return said.USED_PASSWORD
            hashed = await self.passwords.hash(new)
        await service.change_password(change, hashed, former=str(former))
        return await self._open(person, hashed, ip) or said.WRONG_PASSWORD  # reset meanwhile


def token_sha256(token: str) -> bytes:
    """What the database knows of a token."""
    return hashlib.sha256(token.encode()).digest()
