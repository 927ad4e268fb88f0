"""Passwords, second factors and sessions.

Passwords are argon2id (19 MiB, t=2, p=1), computed in processes of their own, a few at a time (``admin/passwords``),
and judged when they are set (``admin/strength``). Who guesses is slowed down (``core/guard``), nobody is locked out. A
session is a random 256-bit reference; the database holds only its SHA-256. Where a second factor is asked for, a right
password begins a login (``platform/login/pending``), which opens nothing; the session that it ends in has a new token.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from smsgw.admin.devices import Devices
from smsgw.admin.passwords import Passwords, Rank
from smsgw.admin.strength import password_problem
from smsgw.admin.words import passwords as said
from smsgw.core.addresses import place_of
from smsgw.core.errors import Temporary
from smsgw.core.guard import FACTORS, PORTAL
from smsgw.core.guessing import Guesses
from smsgw.pipeline.periodic import Periodic
from smsgw.platform.change import Change
from smsgw.platform.handles import Database, Sealer
from smsgw.platform.login import passkeys, pending, queries as login_queries
from smsgw.platform.login.model import STRONG, Begun, Demand, Factor
from smsgw.platform.login.passkeys import Site
from smsgw.platform.org import factors, queries, service, sessions
from smsgw.platform.org.failed_logins import FailedLogins
from smsgw.platform.org.model import OpenSession, Person
from smsgw.runtime import clock

GATE_SECONDS = 2.0
FORGIVEN_EVERY = 5.0
"""Seconds between two looks for people whose waits an administrator has ended."""


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session just opened: the token goes into the cookie and is kept nowhere else."""

    token: str
    person: Person


@dataclass(frozen=True, slots=True)
class BegunLogin:
    """A login whose password was right, and that takes a second factor; the token goes into a cookie of its own."""

    token: str
    person: Person


class Elsewhere(Exception):
    """The password was right, and the person must not come from this address."""


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
        self._sealer = sealer
        guesses = guesses or Guesses()
        self.guard = guesses.guard("portal", PORTAL)
        self.factor_guard = guesses.guard("factors", FACTORS)
        self._forgiven: datetime | None = None
        self._gate: Demand | None = None
        self._gate_until = 0.0
        self.devices = Devices(sealer)
        self.failures = FailedLogins(db, guesses)

    async def login(
        self, login: str, password: str, ip: str | None, device: str = "", agent: str = ""
    ) -> NewSession | BegunLogin | None:
        """A new session, or the first half of one; ``None``: wrong, unknown and stopped look and take the same. Raises
        ``Slowed``, ``Elsewhere``.

        ``device``: of the login's own, by its cookie. ``agent``: how the browser calls itself.
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
        return await self._through_or_begun(person, str(password_hash), ip, device, agent)

    async def _through_or_begun(
        self, person: Person, password_hash: str, ip: str | None, device: str, agent: str
    ) -> NewSession | BegunLogin | None:
        standing = await login_queries.standing(self._db, person.id)
        if not standing.admits(ip):
            await sessions.refused(self._db, person, ip)
            raise Elsewhere
        if standing.through(()):
            self.guard.succeeded(ip or "", person.login, clock.steady(), device)
            return await self._open(person, password_hash, ip, agent=agent, log=True)
        token = secrets.token_urlsafe(32)
        await pending.begin(self._db, person, password_hash, token_sha256(token), ip, agent)
        return BegunLogin(token, person)

    def _rank(self, address: str, device: str) -> Rank:
        if device:
            return Rank.KNOWN
        return Rank.STRANGER if self.guard.spotless(address, clock.steady()) else Rank.DOUBTFUL

    def _hold_back(self, wait: float, login: str, ip: str | None) -> None:
        if wait:
            self.failures.note(login, ip, slowed=True)
            raise Slowed(wait)

    async def _open(
        self, person: Person, password_hash: str, ip: str | None, *, agent: str = "",
        proven: frozenset[Factor] = frozenset(), log: bool = False,
    ) -> NewSession | None:  # fmt: skip
        """A session for somebody whose password was checked against this hash; None: it is another one by now."""
        token = secrets.token_urlsafe(32)
        csrf = secrets.token_urlsafe(24)
        opened = await sessions.open_session(
            self._db, person, password_hash, token_sha256(token), csrf, ip,
            agent=agent, factors=[factor.value for factor in proven], strong=bool(proven & STRONG),
        )  # fmt: skip
        if opened and log:
            await sessions.log_in(self._db, person, ip, [factor.value for factor in proven])
        return NewSession(token, person) if opened else None

    async def session(self, token: str, *, passive: bool, address: str | None = None) -> OpenSession | None:
        """The live session of a token; a ``passive`` look does not keep it alive."""
        digest = token_sha256(token)
        found = await queries.session(self._db, digest, address)
        if found and found.admitted and not passive:
            await sessions.touch(self._db, digest)
        return found

    async def admits(self, ip: str | None) -> bool:
        """Whether visitors from this address see the portal at all. Looked up every two seconds: a flood of visitors
        costs the database nothing; while it is away, what was known holds."""
        now = clock.steady()
        if self._gate is None or now >= self._gate_until:
            self._gate_until = now + GATE_SECONDS
            try:
                self._gate = (await login_queries.policy(self._db)).demand
            except Temporary:
                if self._gate is None:
                    raise
        return self._gate.admits(ip)

    # --- second factors ------------------------------------------------------------------------------------------

    async def begun(self, token: str) -> Begun | None:
        """The login that has begun with this token, while it can go on."""
        return await pending.find(self._db, token_sha256(token))

    async def right(
        self, person: Person, factor: Factor, shown: str, site: Site, challenge: bytes | None, ip: str | None,
        device: str = "",
    ) -> bool:  # fmt: skip
        """Whether a person has shown a factor: a code, or what a passkey has answered. Wrong ones are counted for the
        person, apart from passwords. Raises ``Slowed``."""
        address, login = ip or "", person.login
        if factor is Factor.PASSKEY:  # nothing to guess
            return await passkeys.check(self._db, person.id, shown, challenge, site)
        self._hold_back(self.factor_guard.admit(address, login, clock.steady(), device), login, ip)
        shown = "".join(shown.split())[:64]
        if factor is Factor.TOTP:
            good = await factors.check_totp(self._db, self._sealer, person.id, shown)
        elif factor is Factor.SMS:
            good = await factors.check_sms_code(self._db, self._sealer, person.id, "login", shown)
        else:
            good = await factors.use_recovery_code(self._db, person.id, shown)
        if not good:
            self.factor_guard.failed(address, login, clock.steady(), device)
            self.failures.note(login, ip)
            return False
        self.factor_guard.succeeded(address, login, clock.steady(), device)
        return True

    async def wrong(self, begun: Begun) -> None:
        """A login has shown a wrong factor; after some it takes the password again."""
        await pending.wrong(self._db, begun)

    async def proven(self, begun: Begun, factor: Factor, ip: str | None, device: str = "") -> NewSession | Begun | None:
        """A login has shown a factor: the session, or the login as it goes on; None: it can go on no more."""
        now = await pending.prove(self._db, begun, factor)
        person = await queries.person(self._db, begun.login)
        if now is None or person is None:
            return None
        standing = await login_queries.standing(self._db, person.id)
        if not standing.through(now.proven):
            return now
        if not standing.admits(ip):
            await sessions.refused(self._db, person, ip)
            raise Elsewhere
        if not await pending.end(self._db, now):
            return None
        self.guard.succeeded(ip or "", person.login, clock.steady(), device)
        return await self._open(person, now.password_hash, ip, agent=now.agent, proven=now.proven, log=True)

    async def know_password(self, person: Person, password: str) -> bool:
        """Whether it is the person's password, asked for within a session, whose guesses are counted by themselves.
        Raises ``Slowed``."""
        place = "a session"
        async with self.passwords.turn(person.login, Rank.KNOWN):
            wait = self.guard.admit("", person.login, clock.steady(), place)
            if wait:
                raise Slowed(wait)
            found = await queries.person_to_check(self._db, person.login)
            right = await self.passwords.verify(found[1] if found else None, password)
        if not right:
            self.guard.failed("", person.login, clock.steady(), place)
        return right

    # --- help ----------------------------------------------------------------------------------------------------

    async def _forgive(self) -> None:
        """Take up whose waits an administrator has ended, here or on another node."""
        for login, at in await login_queries.forgiven(self._db, self._forgiven):
            self._forgiven = at
            self.forgive(login)

    def forgive(self, login: str) -> None:
        """This node forgets what was wrong about a person; others follow within seconds."""
        self.guard.forgive(login)
        self.factor_guard.forgive(login)

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return (*self.failures.periodics(), Periodic("logins.forgiven", FORGIVEN_EVERY, self._forgive))

    async def logout(self, token: str, person: Person, ip: str | None) -> None:
        """End the session of a token."""
        await sessions.close_session(self._db, person, token_sha256(token), ip)

    async def change_password(
        self, change: Change, person: Person, old: str, new: str, ip: str | None, *, agent: str, brand: Iterable[str]
    ) -> NewSession | str:
        """Set a new password, end all sessions and open one; or what is wrong (Chinese source text). ``brand``: what
        the platform and its purchaser are called."""
        if old == new:
            return said.SAME_PASSWORD
        place, login = "a session", person.login  # guesses with a stolen session are counted by themselves
        async with self.passwords.turn(login, Rank.KNOWN):
            if self.guard.admit("", login, clock.steady(), place):  # first: judging one is work, too
                return said.TOO_MANY_TRIES
            policy = await login_queries.password_policy(self._db)
            if problem := await asyncio.to_thread(
                password_problem,
                new,
                login=login,
                name=person.name,
                brand=brand,
                length=policy.length,
                classes=policy.classes,
            ):
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
        return await self._open(person, hashed, ip, agent=agent) or said.WRONG_PASSWORD  # reset meanwhile


def token_sha256(token: str) -> bytes:
    """What the database knows of a token."""
    return hashlib.sha256(token.encode()).digest()
