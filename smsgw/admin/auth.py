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
from smsgw.admin.failures import FailedLogins
from smsgw.admin.i18n import N_
from smsgw.admin.passwords import Passwords
from smsgw.admin.strength import password_problem
from smsgw.admin.turns import Rank
from smsgw.core.addresses import place_of
from smsgw.core.guard import PORTAL, Guard
from smsgw.core.guessing import Guesses
from smsgw.runtime import clock
from smsgw.store import staff
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import audit
from smsgw.store.staff import Staff, StaffSession


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session just opened: the token goes into the cookie and is kept nowhere else."""

    token: str
    staff: Staff


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
            found = await staff.find_login(self._db, login) if password else None
            person, password_hash = found if found else (None, None)
            if not await self.passwords.verify(password_hash, password) or person is None:
                self.guard.failed(address, login, clock.steady(), device)
                self.failures.note(login, ip)
                return None
            self.guard.succeeded(address, login, clock.steady(), device)
        await staff.note_login(self._db, person.id)
        await audit.record(self._db, person.login, "login", "portal", ip=ip)
        return await self.open(person, ip)

    def _rank(self, address: str, device: str) -> Rank:
        if device:
            return Rank.KNOWN
        return Rank.STRANGER if self.guard.spotless(address, clock.steady()) else Rank.DOUBTFUL

    def _hold_back(self, wait: float, login: str, ip: str | None) -> None:
        if wait:
            self.failures.note(login, ip, slowed=True)
            raise Slowed(wait)

    async def open(self, person: Staff, ip: str | None) -> NewSession:
        """A session for somebody whose password was checked."""
        token = secrets.token_urlsafe(32)
        await staff.create_session(self._db, token_sha256(token), person.id, secrets.token_urlsafe(24), ip)
        return NewSession(token, person)

    async def session(self, token: str, *, passive: bool) -> StaffSession | None:
        """The live session of a token; a ``passive`` look does not keep it alive."""
        digest = token_sha256(token)
        found = await staff.get_session(self._db, digest)
        if found and not passive:
            await staff.touch(self._db, digest)
        return found

    async def logout(self, token: str, person: Staff, ip: str | None) -> None:
        """End the session of a token."""
        if await staff.delete_session(self._db, token_sha256(token)):
            await audit.record(self._db, person.login, "logout", "portal", ip=ip)

    async def change_password(self, person: Staff, old: str, new: str, ip: str | None) -> str | None:
        """Set a new password and end all sessions; gives what is wrong (Chinese source text) or ``None``."""
        if old == new:
            return N_("新密码不能与当前密码相同")
        place, login = "a session", person.login  # guesses with a stolen session are counted by themselves
        async with self.passwords.turn(login, Rank.KNOWN):
            if self.guard.admit("", login, clock.steady(), place):  # first: judging one is work, too
                return N_("尝试次数过多，请稍后再试")
            if problem := await asyncio.to_thread(password_problem, new, login=login, name=person.name):
                return problem
            found = await staff.find_login(self._db, login)
            if not await self.passwords.verify(found[1] if found else None, old):
                self.guard.failed("", login, clock.steady(), place)
                return N_("当前密码不正确")
            hashed = await self.passwords.hash(new)
        ended = await staff.set_password(self._db, person.id, hashed)
        await audit.record(
            self._db, login, "password.change", f"staff:{login}", after={"sessions_ended": ended}, ip=ip
        )
        return None


def token_sha256(token: str) -> bytes:
    """What the database knows of a token."""
    return hashlib.sha256(token.encode()).digest()
