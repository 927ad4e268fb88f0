"""Tests of what channels are set to: whether the carrier lets us in with it, looked at step by step in the background.

Who may write channels may test them. One test at a time for a person and for a channel, bounded in time; what is found
is kept as a code and parameters, and never anything that the other side has sent but the status of its answer and the
names of its certificate.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import asyncpg
import structlog

from smsgw.core.errors import Invalid, Refused, SmsgwError
from smsgw.core.model import ChannelSpec
from smsgw.core.permissions import Permission
from smsgw.core.words import FINDINGS, Wording, fill, phrase
from smsgw.platform.change import Change
from smsgw.runtime import aio, clock
from smsgw.store.config.channels import spec_of
from smsgw.store.engine.database import Database, Row
from smsgw.store.engine.secrets import Sealer

log = structlog.get_logger(__name__)

LONGEST = 90.0
"""Seconds that a test may take; beyond them one that has no end was broken off with its node."""
KEPT = 20
"""Tests of a channel that are kept, the newest."""


class Stage(StrEnum):
    """What is looked at, in this order."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    LOGIN = "login"
    KEEPALIVE = "keepalive"
    CONNECTIONS = "connections"
    REPORTS = "reports"


class Verdict(StrEnum):
    """What came of a stage."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Said(Wording):
    """Words of the catalogue of findings."""

    key: str
    params: Mapping[str, str | int]

    def text(self, english: bool) -> str:
        """The words in one language."""
        return fill(FINDINGS[self.key], self.params, english=english)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one stage has found: ``code`` and ``params`` of the catalogue of findings, ``raw`` the carrier's code."""

    stage: Stage
    verdict: Verdict
    code: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    raw: str = ""
    seconds: float = 0.0

    @property
    def said(self) -> Wording:
        """What was found, in words."""
        return Said(self.code, self.params)

    @property
    def advice(self) -> Wording | None:
        """What to do about it; None: nothing."""
        wanted = self.verdict in (Verdict.BAD, Verdict.WARNING)
        return Said(f"{self.code}.do", self.params) if wanted else None


@dataclass(frozen=True, slots=True)
class Check:
    """A test, under way or over."""

    id: int
    channel_id: int
    begun_by: str
    begun_at: datetime
    ended_at: datetime | None
    done: bool
    """It has come to its own end."""
    findings: tuple[Finding, ...]

    @property
    def broken_off(self) -> bool:
        """Whether it has not come to its own end, and will not."""
        over = self.ended_at is not None or (clock.now() - self.begun_at).total_seconds() > LONGEST
        return over and not self.done

    @property
    def running(self) -> bool:
        """Whether more is to come."""
        return not self.done and not self.broken_off

    @property
    def good(self) -> bool:
        """Whether it has come to its end and nothing is wrong."""
        return self.done and not any(one.verdict is Verdict.BAD for one in self.findings)

    @property
    def left_out(self) -> bool:
        """Whether it stopped in front of the login, which is at work."""
        return any((one.stage, one.verdict) == (Stage.LOGIN, Verdict.SKIPPED) for one in self.findings)

    @property
    def bad(self) -> Finding | None:
        """What is wrong; None: nothing, as far as was looked."""
        return next((one for one in self.findings if one.verdict is Verdict.BAD), None)


Tell = Callable[[Finding], Awaitable[None]]


class Checker(Protocol):
    """Whoever can reach carriers (``channels.wire.checking``)."""

    async def check(self, spec: ChannelSpec, *, login: bool, tell: Tell) -> None:
        """Look at every stage until one is bad. ``login``: also where the same login is at work."""


_ROW = "SELECT * FROM channel WHERE id = $1 AND removed_at IS NULL AND id > 0"
_BROKEN_OFF = """
UPDATE channel_check SET ended_at = now()
WHERE ended_at IS NULL AND (channel_id = $1 OR begun_by = $2) AND begun_at < now() - make_interval(secs => $3)
"""
_BEGIN = "INSERT INTO channel_check (channel_id, begun_by) VALUES ($1, $2) RETURNING id"
_FORGET = """
DELETE FROM channel_check WHERE channel_id = $1 AND id < (
    SELECT min(id) FROM (SELECT id FROM channel_check WHERE channel_id = $1 ORDER BY id DESC LIMIT $2) newest)
"""


async def begin(change: Change, checker: Checker, sealer: Sealer, channel_id: int, *, login: bool = False) -> int:
    """Begin to test a channel, in the background; the test's id. ``NOT_FOUND``; ``STATE_CONFLICT`` while the person or
    somebody else for this channel has one under way, and for the simulated carrier."""
    id_, spec = await enter(change, sealer, channel_id, login=login)
    aio.spawn(run(change.database, checker, spec, id_, login=login), name=f"check.{id_}")
    return id_


async def enter(change: Change, sealer: Sealer, channel_id: int, *, login: bool = False) -> tuple[int, ChannelSpec]:
    """Enter a test of a channel, for ``run``: its id, and what is tested. As ``begin``."""
    async with change.unit(Permission.CHANNEL_EDIT) as unit:
        row = await unit.connection.fetchrow(_ROW, channel_id)
        if row is None:
            raise Invalid("NOT_FOUND")
        spec = spec_of(row, sealer)
        if spec.profile.get("simulated"):
            raise Refused("STATE_CONFLICT", reason=phrase("check.simulated"))
        await unit.connection.execute(_BROKEN_OFF, channel_id, unit.actor.label, LONGEST)
        try:
            async with unit.connection.transaction():
                id_: int = await unit.connection.fetchval(_BEGIN, channel_id, unit.actor.label)
        except asyncpg.UniqueViolationError as exc:
            raise Refused("STATE_CONFLICT", reason=phrase("check.running")) from exc
        await unit.connection.execute(_FORGET, channel_id, KEPT)
        unit.record(
            "channel.check", f"channel/{spec.name}", after={"host": spec.host, "port": spec.port, "login": login}
        )
    return id_, spec


_TELL = "UPDATE channel_check SET findings = findings || $2::jsonb WHERE id = $1 AND ended_at IS NULL"
_END = "UPDATE channel_check SET ended_at = now(), done = $2 WHERE id = $1 AND ended_at IS NULL"


async def run(database: Database, checker: Checker, spec: ChannelSpec, id_: int, *, login: bool) -> None:
    """Do a test that was entered, to its end."""
    stage, done = Stage.RESOLVE, False

    async def tell(one: Finding) -> None:
        nonlocal stage
        stage = one.stage
        said = {"stage": one.stage, "verdict": one.verdict, "code": one.code, "params": dict(one.params),
                "raw": one.raw, "seconds": round(one.seconds, 3)}  # fmt: skip
        await database.execute(_TELL, id_, json.dumps([said]))

    try:
        async with asyncio.timeout(LONGEST - 10):
            await checker.check(spec, login=login, tell=tell)
        done = True
    except TimeoutError:
        await tell(Finding(stage, Verdict.BAD, "too_long"))
        done = True
    except Exception as exc:  # whoever looks at it must not take it for a test that was passed
        log.exception("channel.check_failed", channel=spec.name, check=id_)
        await tell(Finding(stage, Verdict.BAD, "failed", {"kind": type(exc).__name__}))
        done = True
    finally:
        with contextlib.suppress(SmsgwError):  # without an end it is called broken off
            await database.execute(_END, id_, done)


_LAST = "SELECT * FROM channel_check WHERE channel_id = $1 ORDER BY id DESC LIMIT 1"


async def last(database: Database, channel_id: int) -> Check | None:
    """The newest test of a channel."""
    row = await database.fetchrow(_LAST, channel_id)
    return None if row is None else _check(row)


_ONE = "SELECT * FROM channel_check WHERE id = $1"


async def one(database: Database, id_: int) -> Check | None:
    """A test by its id."""
    row = await database.fetchrow(_ONE, id_)
    return None if row is None else _check(row)


def _check(row: Row) -> Check:
    found = tuple(_finding(one) for one in json.loads(row["findings"]))
    return Check(row["id"], row["channel_id"], row["begun_by"], row["begun_at"], row["ended_at"], row["done"], found)


def _finding(said: Mapping[str, Any]) -> Finding:
    return Finding(
        Stage(said["stage"]), Verdict(said["verdict"]), said["code"], said["params"], said["raw"], said["seconds"]
    )
