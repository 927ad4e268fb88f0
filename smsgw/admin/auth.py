"""Passwords and sessions.

Passwords are argon2id (19 MiB, t=2, p=1), computed in threads, a few at a time. A session is a random
256-bit reference; the database holds only its SHA-256.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from smsgw.admin.i18n import N_
from smsgw.core.errors import Temporary
from smsgw.store import audit, staff
from smsgw.store.db import Database
from smsgw.store.staff import Staff, StaffSession

T = TypeVar("T")

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
_NOBODY = _HASHER.hash(secrets.token_urlsafe(16))
"""Checked for logins that do not exist, so that they take as long as those that do."""

MIN_PASSWORD = 10
MAX_PASSWORD = 128
_KINDS = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^a-zA-Z0-9]")


def hash_password(password: str) -> str:
    """The argon2id hash to store; takes some 20 ms of CPU: not for the event loop."""
    return _HASHER.hash(password)


def password_problem(password: str, *, login: str) -> str | None:
    """Why a new password is not good enough (Chinese source text), or ``None``."""
    if len(password) < MIN_PASSWORD:
        return N_("密码至少 10 位")
    if len(password) > MAX_PASSWORD:
        return N_("密码最多 128 位")
    if sum(bool(re.search(kind, password)) for kind in _KINDS) < 3:
        return N_("密码须包含大写字母、小写字母、数字、符号中的至少三种")
    if login and login.lower() in password.lower():
        return N_("密码不能包含登录账号")
    return None


class Passwords:
    """Hashing in threads with a cap: a flood of logins costs waiting, not memory or the event loop."""

    def __init__(self, *, at_once: int = 2, waiting: int = 32) -> None:
        self._slots = asyncio.Semaphore(at_once)
        self._waiting = 0
        self._max_waiting = waiting

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password fits; ``None`` stands for nobody and takes the same time."""
        return await self._run(_verify, password_hash or _NOBODY, password) and password_hash is not None

    async def hash(self, password: str) -> str:
        """``hash_password`` in a thread."""
        return await self._run(hash_password, password)

    async def _run(self, work: Callable[..., T], *args: str) -> T:
        if self._waiting >= self._max_waiting:
            raise Temporary("BACKPRESSURE", retry_after=5, n=5)
        self._waiting += 1
        try:
            async with self._slots:
                return await asyncio.to_thread(work, *args)
        finally:
            self._waiting -= 1


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session just opened: the token goes into the cookie and is kept nowhere else."""

    token: str
    staff: Staff


class Auth:
    """Opens, finds and ends sessions."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.passwords = Passwords()

    async def login(self, login: str, password: str, ip: str | None) -> NewSession | None:
        """A new session, or ``None``: wrong, unknown, stopped and locked look and take the same."""
        found = await staff.begin_login(self._db, login) if password else None
        person, password_hash = found if found else (None, None)
        if not await self.passwords.verify(password_hash, password) or person is None:
            await audit.record(self._db, login[:64], "login.failed", "portal", ip=ip)
            return None
        await staff.record_login_success(self._db, person.id)
        await audit.record(self._db, person.login, "login", "portal", ip=ip)
        return await self.open(person, ip)

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

    async def logout(self, token: str) -> None:
        """End the session of a token."""
        await staff.delete_session(self._db, token_sha256(token))

    async def change_password(self, person: Staff, old: str, new: str, ip: str | None) -> str | None:
        """Set a new password and end all sessions; gives what is wrong (Chinese source text) or ``None``."""
        if old == new:
            return N_("新密码不能与当前密码相同")
        if problem := password_problem(new, login=person.login):
            return problem
        found = await staff.begin_login(self._db, person.login)  # guesses count here as well
        if not await self.passwords.verify(found[1] if found else None, old):
            return N_("当前密码不正确，或尝试次数过多，请 15 分钟后再试")
        await staff.set_password(self._db, person.id, await self.passwords.hash(new))
        await audit.record(self._db, person.login, "password.change", f"staff:{person.login}", ip=ip)
        return None


def token_sha256(token: str) -> bytes:
    """What the database knows of a token."""
    return hashlib.sha256(token.encode()).digest()
