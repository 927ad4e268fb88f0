"""Makes a diagnostic bundle: one archive of parts, each found in its time and cut at its size; what could not be found
is said in its place."""

from __future__ import annotations

import asyncio
import io
import json
import platform
import re
import sys
import time
import zipfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime, timedelta
from importlib import metadata
from typing import Any

import asyncpg
import structlog

from smsgw import __version__
from smsgw.core.actor import Actor
from smsgw.core.errors import SmsgwError
from smsgw.core.ids import CHINA
from smsgw.core.model import ChannelStatus
from smsgw.platform.alarms import queries as alarms
from smsgw.platform.board import queries as board
from smsgw.platform.database import queries as databases
from smsgw.platform.diagnostics.cleaning import HIDDEN, cleaned, secrets_of, settings_shown
from smsgw.platform.faults import timeline
from smsgw.platform.faults.timeline import Source
from smsgw.platform.health import report, sizes
from smsgw.platform.nodes import queries as nodes
from smsgw.platform.queues import queries as queues
from smsgw.runtime import clock
from smsgw.runtime.config import Config
from smsgw.runtime.log import recent
from smsgw.store.engine.database import Database

log = structlog.get_logger(__name__)

PATIENCE = 20.0
"""Seconds for one part."""
MOST = 4 * 1024 * 1024
"""Octets of one part; of what is longer the end is kept, where what happened last is."""
SLOW = timedelta(seconds=1)
MOST_STATEMENTS, STATEMENT_PATIENCE = 20, 2.0
BACK = timedelta(days=2)
"""Of the line of time."""
_SYSTEM = Actor.system("diagnostics")
Progress = Callable[[int, int], Awaitable[None]]


async def _untold(_: int, __: int) -> None:
    """Nobody waits for news."""


@dataclass(frozen=True, slots=True)
class Bundles:
    """What the bundles of a node, or of a command, are made from."""

    database: Database
    settings: Config
    keys: int
    """In the key file."""
    node: int | None = None
    """None: no daemon makes it."""
    metrics: Callable[[], bytes] | None = None
    channels: Callable[[], Sequence[ChannelStatus]] | None = None

    async def made(self, progress: Progress = _untold) -> bytes:
        """One of them, as a ZIP archive."""
        secrets = await asyncio.to_thread(secrets_of, self.settings)
        found, contents = dict[str, str](), list[dict[str, Any]]()
        for n, (name, part) in enumerate(_PARTS.items()):
            await progress(n, len(_PARTS))
            begun, problem = time.monotonic(), ""
            try:
                async with asyncio.timeout(PATIENCE):
                    got = await part(self)
                fitted = await asyncio.to_thread(_fit, got, secrets)
            except Exception as exc:  # whatever it is: the others are had
                log.warning("diagnostics.unknown", part=name, error=exc)
                problem = f"not to be had: {type(exc).__name__}"
                fitted = _fit(problem, secrets)
            found[name], octets, cut = fitted
            contents.append({"part": name, "octets": octets, "cut": cut, "problem": problem,
                             "seconds": round(time.monotonic() - begun, 3)})  # fmt: skip
        await progress(len(_PARTS), len(_PARTS))
        found["contents.json"] = _json({"made_at": clock.now(), "node": self.node, "parts": contents})
        return await asyncio.to_thread(_packed, found)


def _fit(got: Any, secrets: set[str]) -> tuple[str, int, bool]:
    """A part as text, cut and then cleaned; its octets, and whether it was cut. Blocks."""
    octets = (got if isinstance(got, str) else _json(got)).encode("utf-8", "replace")
    cut = len(octets) > MOST
    if cut:  # by the line: of half a secret nobody could tell that it is one
        octets = octets[-MOST:].partition(b"\n")[2] or octets[-MOST:]
    octets = cleaned(octets.decode("utf-8", "ignore"), secrets).encode()[-MOST:]
    return octets.decode("utf-8", "ignore"), len(octets), cut


def _packed(found: Mapping[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in found.items():
            archive.writestr(name, text)
    return out.getvalue()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, default=_plain)


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


# --- parts: values or texts, of which a thread makes what is written ------------------------------------------------


def _packages() -> list[str]:
    return sorted(f"{one.metadata['Name']} {one.version}" for one in metadata.distributions())


async def _about(of: Bundles) -> Any:
    return {
        "version": __version__, "python": sys.version, "system": platform.platform(), "time": clock.now(),
        "schema": await databases.schema(of.database), "known_schema": databases.KNOWN_SCHEMA,
        "database": await databases.server(of.database), "packages": await asyncio.to_thread(_packages),
    }  # fmt: skip


async def _config(of: Bundles) -> Any:
    return settings_shown(of.settings)


async def _metrics(of: Bundles) -> str:
    return "no daemon made this bundle\n" if of.metrics is None else of.metrics().decode()


async def _log(of: Bundles) -> str:
    if of.node is None:
        return "no daemon made this bundle: look into the journal of the service\n"
    return "\n".join(recent.lines)


async def _channels(of: Bundles) -> Any:
    return None if of.channels is None else list(of.channels())


async def _alarms(of: Bundles) -> Any:
    return list(await alarms.page(of.database, everything=True))


async def _timeline(of: Bundles) -> Any:
    now = clock.now()
    return await timeline.seen(of.database, _SYSTEM, now - BACK, now, [one.value for one in Source])


async def _health(of: Bundles) -> Any:
    now = clock.now()
    day = now.astimezone(CHINA).date() - timedelta(days=1)
    configured = report.Configured.of(of.settings, of.keys)
    return await report.made(of.database, configured, day, day, now, within=PATIENCE * 0.8)


async def _nodes(of: Bundles) -> Any:
    return list(await nodes.listed(of.database, _SYSTEM))


async def _queues(of: Bundles) -> Any:
    return await queues.standing(of.database)


_TABLES = """
SELECT c.relname AS name, c.reltuples::bigint AS rows, pg_total_relation_size(c.oid) AS octets,
       pg_indexes_size(c.oid) AS indexes, s.n_dead_tup AS dead, s.seq_scan, s.idx_scan,
       GREATEST(s.last_vacuum, s.last_autovacuum) AS vacuumed, GREATEST(s.last_analyze, s.last_autoanalyze) AS analyzed
FROM pg_class c LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
ORDER BY octets DESC LIMIT 300
"""


async def _sizes(of: Bundles) -> Any:
    return {
        "database": await board.database_facts(of.database),
        "disks": list(await sizes.sizes(of.database)),
        "tables": [dict(row) for row in await of.database.fetch(_TABLES, timeout=PATIENCE)],
    }


# Texts of our statements hold no values: those are given beside them. What somebody has typed does, and is masked.
_RUNNING = """
SELECT a.query, EXTRACT(epoch FROM now() - a.query_start)::float8 AS seconds, a.wait_event_type, a.wait_event,
       cardinality(pg_blocking_pids(a.pid)) AS blocked_by
FROM pg_stat_activity a
WHERE a.datname = current_database() AND a.state <> 'idle' AND a.pid <> pg_backend_pid()
  AND a.query_start < now() - $1::interval ORDER BY a.query_start LIMIT $2
"""
_COLLECTED = "SELECT to_regclass('pg_stat_statements') IS NOT NULL"
_COSTLY = """
SELECT query, calls, round(total_exec_time)::bigint AS total_ms, round(mean_exec_time::numeric, 2)::float8 AS mean_ms,
       rows
FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY total_exec_time DESC LIMIT $1
"""
_VALUE = re.compile(r"\$([0-9]{1,4})")
# Comments first, in which an apostrophe begins nothing; then names, and values; after a dollar quote all that follows.
_QUOTED = re.compile(
    r"""--[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/)?|(?P<name>"[^"]*+"?)|"""
    r"""\b[eE]'(?:[^'\\]|\\.|'')*+'?|'(?:[^']|'')*+'?|\$[A-Za-z_]{0,63}+\$.*+""",
    re.DOTALL,
)
_PLANNED = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")


def _unquoted(query: str) -> str:
    """The statement without the values that somebody has written into it, and without comments."""
    return _QUOTED.sub(lambda found: found["name"] or ("" if found[0][:2] in ("--", "/*") else f"'{HIDDEN}'"), query)


async def _statements(of: Bundles) -> Any:
    database, until = of.database, time.monotonic() + PATIENCE * 0.8
    running = [dict(row) for row in await database.fetch(_RUNNING, SLOW, MOST_STATEMENTS)]
    collected = await database.fetchval(_COLLECTED)
    costly = [dict(row) for row in await database.fetch(_COSTLY, MOST_STATEMENTS)] if collected else []
    for one in (*running, *costly):
        left = until - time.monotonic()
        one["plan"] = await _plan(database, one["query"], min(STATEMENT_PATIENCE, left)) if left > 0 else "no time left"
        one["query"] = _unquoted(one["query"])
    told = "" if collected else "the server does not collect statements (pg_stat_statements); those under way alone"
    return {"note": told, "running": running, "costly": costly}


async def _plan(database: Database, query: str, within: float) -> list[str] | str:
    """How the server would go about it, whatever its values; nothing is run, and nobody waits for it."""
    if not query.lstrip().upper().startswith(_PLANNED):
        return ""
    try:
        async with database.transaction(timeout=within) as connection:
            await connection.execute("SET TRANSACTION READ ONLY")
            await connection.execute("SET LOCAL lock_timeout = '100ms'")
            # Its values are asked for, and not looked at.
            values = [None] * max((int(n) for n in _VALUE.findall(query)), default=0)
            rows = await connection.fetch(f"EXPLAIN (GENERIC_PLAN) {query}", *values)
            return [_unquoted(row[0]) for row in rows]
    except (SmsgwError, asyncpg.PostgresError) as exc:
        return f"not to be had: {type(exc).__name__}"


_PARTS: Mapping[str, Callable[[Bundles], Awaitable[Any]]] = {
    "about.json": _about, "config.json": _config, "health.json": _health, "alarms.json": _alarms,
    "timeline.json": _timeline, "channels.json": _channels, "queues.json": _queues, "nodes.json": _nodes,
    "sizes.json": _sizes, "statements.json": _statements, "metrics.txt": _metrics, "log.jsonl": _log,
}  # fmt: skip
STEPS = len(_PARTS)


def name_of(now: datetime, node: int | None) -> str:
    """Of the file."""
    return f"diagnostics-{f'node{node}-' if node is not None else ''}{now.astimezone(CHINA):%Y%m%d-%H%M%S}.zip"
