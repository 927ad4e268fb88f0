"""Backups by PostgreSQL's own programs: a consistent dump with what each table holds, its trial, its way back."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import unquote

import asyncpg
import structlog

from smsgw.core.states import FINAL, PartState
from smsgw.runtime import aio
from smsgw.runtime.log import safe
from smsgw.store.engine import embedded
from smsgw.store.engine.database import Connection, connect

log = structlog.get_logger(__name__)

CHUNK = 1024 * 1024
RESERVE = 1024**3
"""Octets of a disk that neither a backup nor a trial takes: the platform's own may be on it."""
LONGEST_PROBLEM = 300
DUMPING = 12 * 3600.0
COUNTING = 3600.0
"""Seconds for the rows of one table."""
RESTORING = 6 * 3600.0
LOCK_PATIENCE = 60
"""Seconds for which a table may be held by somebody who lets nobody read it."""
ENDING = 10.0
JOBS = 2
"""Tables that a trial loads side by side."""
OWN_PROGRAMS = ("/usr/lib/postgresql/{major}/bin", "/usr/pgsql-{major}/bin")
"""Where distributions put the programs of a version of PostgreSQL."""
_PASSWORD = re.compile(r"(://[^:/?#@]*+):([^@/]*+)@")
_IN_QUERY = re.compile(r"([?&])password=([^&]*+)&?")
_TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
ORDER BY 1
"""
# The rows of a table and the sum of their hashes, in whatever order they are stored.
_HELD = "SELECT count(*) AS n, COALESCE(sum(hashtextextended(t::text, 0)::numeric), 0)::text AS sum FROM {table} t"
_ALIKE = (
    "SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'postgres'; "
    "SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1"
)
"""Rows as text are the same wherever they are read."""
_OPEN = "SELECT state, count(*) AS n FROM part WHERE state <> ALL($1::smallint[]) GROUP BY state"
_KEY = "SELECT key FROM audit_link ORDER BY seq DESC LIMIT 1"


class DumpError(RuntimeError):
    """No backup was made, or it could not be restored; the text says why."""


class NoTrial(RuntimeError):
    """There was no trial, which says nothing of the backup; the text says why."""


@dataclass(slots=True)
class Written:
    """How far one under way is."""

    octets: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is written beside a backup, so that it can be tried where nothing else is left."""

    file: str
    octets: int
    sha256: str
    schema_version: int
    server_version: str
    size: int
    """Octets of the database."""
    counts: Mapping[str, int]
    """Rows, by table."""
    sums: Mapping[str, str] = field(default_factory=dict)
    """Of their contents, by table; empty: it was made before there were any."""
    at: str = ""
    """The moment that it shows."""
    open: Mapping[str, int] = field(default_factory=dict)
    """Parts without an end at that moment, by state."""
    key: str = ""
    """Id of the key that signed the newest row of the audit log; empty: it is not known."""


def manifest_of(file: Path) -> Path:
    """Where it stands."""
    return file.with_name(file.name + ".json")


def read_manifest(file: Path) -> Manifest:
    """What stands beside a backup. ``DumpError``."""
    try:
        return Manifest(**json.loads(manifest_of(file).read_text()))
    except (OSError, ValueError, TypeError) as exc:
        raise DumpError(f"{manifest_of(file)} cannot be read: {exc}") from exc


def standing(file: Path) -> Manifest | None:
    """What stands beside a backup that is whole, as it is once its file is there; blocks."""
    try:
        kept = read_manifest(file)
        return kept if file.stat().st_size == kept.octets else None
    except (DumpError, OSError):
        return None


async def dump(dsn: str, file: Path, schema_version: int, written: Written, expected: int) -> Manifest:
    """A backup of the database as it is at this moment, without holding up anybody; the file appears when it is whole.
    ``expected`` octets, or there is no use to begin. ``DumpError``, and nothing is left behind."""
    part, limit = file.with_name(file.name + ".part"), asyncio.timeout(DUMPING)
    try:
        if (free := shutil.disk_usage(file.parent).free) < expected + RESERVE:
            raise DumpError(f"{file.parent} has {_mib(free)} left, and about {_mib(expected + RESERVE)} are needed")
        with _new(part) as out:
            try:
                async with limit:
                    kept = await _dumped(dsn, file, schema_version, out, written)
                _appear(part, file, kept)  # nothing comes between: it is there, or it is not
            finally:
                part.unlink(missing_ok=True)
    except TimeoutError as exc:
        late = f"it took longer than {DUMPING / 3600:.0f} hours"
        raise DumpError(late if limit.expired() else exc.strerror or "the database does not answer") from exc
    except OSError as exc:
        raise DumpError(f"{file}: {exc.strerror or exc}") from exc
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
        raise DumpError(f"the database: {safe(exc)}") from exc
    return kept


async def _dumped(dsn: str, file: Path, schema_version: int, out: IO[bytes], written: Written) -> Manifest:
    """The dump, and the rows that are in it, found at the same time; what fails of them ends both at once."""
    connection = await connect(dsn, statement_timeout=0, command_timeout=COUNTING)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_PATIENCE}s'")
            snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
            size = await connection.fetchval("SELECT pg_database_size(current_database())")
            at = await connection.fetchval("SELECT now()")
            server = connection.get_server_version()
            arguments: list[str | Path] = [
                _program("pg_dump", server.major), "--format=custom", "--no-password", f"--snapshot={snapshot}",
                f"--lock-wait-timeout={LOCK_PATIENCE}s",
            ]  # fmt: skip
            writing = aio.spawn(_write(arguments, dsn, out, written), name="backup.dump")
            counting = aio.spawn(held(connection), name="backup.count")
            try:
                done, _ = await asyncio.wait((writing, counting), return_when=asyncio.FIRST_EXCEPTION)
                for one in done:
                    one.result()
                sha256, tables = await writing, await counting
            finally:
                await aio.cancel(writing, counting)
            waiting, key = await open_parts(connection), await connection.fetchval(_KEY)
        return Manifest(
            file.name, written.octets, sha256, schema_version, f"{server.major}.{server.minor}", size,
            counts={name: n for name, (n, _) in tables.items()},
            sums={name: sum_ for name, (_, sum_) in tables.items()},
            at=at.isoformat(), open=waiting, key=key or "",
        )  # fmt: skip
    finally:
        with contextlib.suppress(Exception):
            await connection.close(timeout=5)


async def open_parts(connection: Connection) -> dict[str, int]:
    """Parts without an end, by state."""
    return {PartState(row["state"]).name: row["n"] for row in await connection.fetch(_OPEN, sorted(FINAL))}


def _mib(octets: int) -> str:
    return f"{octets / 2**20:,.0f} MiB"


def _new(part: Path) -> IO[bytes]:
    """For its owner alone: everything is in it."""
    return open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb", buffering=0)


def _appear(part: Path, file: Path, kept: Manifest) -> None:
    beside = manifest_of(file)
    note = open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w")
    made = [beside]
    try:
        with note:
            json.dump(asdict(kept), note, indent=1)
            note.flush()
            os.fsync(note.fileno())
        os.link(part, file)  # unlike a rename it never takes the place of another
        made.append(file)
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError:
        for one in made:
            one.unlink()
        raise


async def _write(arguments: Sequence[str | Path], dsn: str, out: IO[bytes], written: Written) -> str:
    """What the program says goes into the file; its SHA-256."""
    digest = hashlib.sha256()
    async with _running(arguments, dsn) as (process, said):
        while process.stdout is not None and (chunk := await process.stdout.read(CHUNK)):
            await asyncio.to_thread(_all, out, chunk)
            digest.update(chunk)
            written.octets += len(chunk)
        if await process.wait() != 0:
            raise DumpError(f"pg_dump: {await said}")
    await asyncio.to_thread(os.fsync, out.fileno())
    return digest.hexdigest()


def _all(out: IO[bytes], chunk: bytes) -> None:
    disk = os.fstatvfs(out.fileno())
    if disk.f_bavail * disk.f_frsize < RESERVE:
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} but for {_mib(RESERVE)}")
    left = memoryview(chunk)
    while left:
        left = left[out.write(left) :]


@contextlib.asynccontextmanager
async def _running(
    arguments: Sequence[str | Path], dsn: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.Task[str]]]:
    """A program of PostgreSQL, and what it complains of. A password is in its environment, which others cannot read;
    in its arguments they could."""
    address, password = _apart(dsn)
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": os.environ.get("HOME", "/")}
    process = await asyncio.create_subprocess_exec(
        *arguments, f"--dbname={address}", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env=environment | ({"PGPASSWORD": password} if password else {}),
    )  # fmt: skip
    said = aio.spawn(_complaint(process), name="backup.complaints")
    try:
        yield process, said
    finally:
        for end in (process.terminate, process.kill):
            if process.returncode is None:
                end()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ENDING):
                    await _ended(process)
                break
        await aio.cancel(said)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """What nobody wants any more is read, too: before its pipe is empty it has not ended."""
    while process.stdout is not None and await process.stdout.read(CHUNK):
        """Away."""
    await process.wait()


async def _complaint(process: asyncio.subprocess.Process) -> str:
    kept = b""
    while process.stderr is not None and (chunk := await process.stderr.read(4096)):
        kept = (kept + chunk)[:4096]
    lines = kept.decode(errors="replace").strip().splitlines()
    return " ".join(lines)[:LONGEST_PROBLEM] or "no word why"


def _apart(dsn: str) -> tuple[str, str]:
    """An address without its password, and that."""
    found = _IN_QUERY.search(dsn) or _PASSWORD.search(dsn)
    address = _PASSWORD.sub(r"\1@", _IN_QUERY.sub(r"\1", dsn)).rstrip("?&")
    return address, unquote(found[2]) if found else ""


def _program(name: str, major: int) -> Path:
    """Of the server's version, or of the next one that there is: an older one does not understand it. Dumps are made by
    what has come with the server where that is here: its release may keep in its catalog what its own program alone
    leaves out (17.12: ``pg_attver``), and a server that does not know that takes no such dump."""
    own = (Path(place.format(major=major), name) for place in OWN_PROGRAMS)
    if name == "pg_dump" and (beside := next((one for one in own if one.exists()), None)):
        return beside
    found = sorted((version, folder) for version, folder in embedded.programs().items() if version >= major)
    for _, folder in found:
        if (folder / name).exists():
            return folder / name
    path = shutil.which(name)
    if path is None:
        raise DumpError(f"there is no {name} for PostgreSQL {major}: install postgresql-client-{major}")
    return Path(path)


Tables = Mapping[str, tuple[int, str]]
"""Rows of each table, and the sum of their contents."""


async def held(connection: Connection) -> dict[str, tuple[int, str]]:
    """What each table holds, as the transaction sees it."""
    await connection.execute(_ALIKE)
    tables = [row[0] for row in await connection.fetch(_TABLES)]
    found = [await connection.fetchrow(_HELD.format(table=table)) for table in tables]
    return {table: (row["n"], row["sum"]) for table, row in zip(tables, found, strict=True) if row is not None}


def differing(kept: Manifest, tables: Tables) -> dict[str, str]:
    """Tables that hold other than what the backup was made of, and how they differ: rows in the backup and restored, or
    what is in them."""
    found = {}
    for name in sorted(kept.counts.keys() | tables.keys()):
        was, (n, sum_) = kept.counts.get(name), tables.get(name, (None, ""))
        if was != n:
            found[name] = f"{was}/{n}"
        elif kept.sums and kept.sums.get(name) != sum_:
            found[name] = "other contents"
    return found


# --- trial -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trial:
    """A backup that was restored into a database of its own."""

    seconds: float
    differing: Mapping[str, str]
    """Tables that hold other than what the backup was made of, and how."""


def place_of(scratch: Path) -> Path:
    """Where trials are made below a folder, one at a time: what a killed one has left is found there."""
    return scratch.resolve() / f"smsgw-trial-{os.geteuid()}"


async def clear(place: Path) -> None:
    """Stop the server that a killed trial has left, and remove its copy. ``NoTrial`` while one is under way there."""
    if await asyncio.to_thread(place.exists):
        async with _server(place):
            """It is gone when this begins."""


async def rehearse(file: Path, sha256: str, place: Path) -> Trial:
    """Restore a backup into a new server at this place, compare what each table holds, and remove it again.
    ``DumpError`` when the file is not what was written, or it cannot be restored; ``NoTrial``."""
    begun = time.monotonic()
    kept = await asyncio.to_thread(as_written, file, sha256)
    try:
        if (free := shutil.disk_usage(place.parent).free) < kept.size + RESERVE:
            raise NoTrial(f"{place.parent} has {_mib(free)} left, and {_mib(kept.size + RESERVE)} are needed")
        async with _server(place) as server:
            await server.start()
            tables = await restored(file, kept, server.owner_dsn)
    except embedded.EmbeddedError as exc:
        raise NoTrial(str(exc)) from exc
    except OSError as exc:
        raise NoTrial(f"{place}: {exc.strerror or exc}") from exc
    return Trial(time.monotonic() - begun, differing(kept, tables))


def as_written(file: Path, sha256: str) -> Manifest:
    """What stands beside a file that is the one which was entered; blocks."""
    try:
        with file.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as exc:
        raise DumpError(f"{file}: {exc.strerror or exc}") from exc
    if found != sha256:
        raise DumpError(f"{file} is not what was written: SHA-256 {found}, and {sha256} was entered")
    kept = read_manifest(file)
    if kept.sha256 != sha256:
        raise DumpError(f"{manifest_of(file)} is of another backup: SHA-256 {kept.sha256}")
    return kept


@contextlib.asynccontextmanager
async def _server(place: Path) -> AsyncIterator[embedded.EmbeddedPostgres]:
    """A server of its own, of which nothing is left; nor of one before."""
    held = _locked(place)
    try:
        server = embedded.EmbeddedPostgres(place / "data", home=place / "home")
        await server.discard()
        try:
            yield server
        finally:
            await server.discard()
            os.rmdir(place)
    finally:
        os.close(held)


def _locked(place: Path) -> int:
    """The folder, made and held; its inside is nobody else's, though root's server must be able to walk in."""
    with contextlib.suppress(FileExistsError):
        place.mkdir(mode=0o700)
    held = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(held)
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022:
            raise NoTrial(f"{place} is not ours: remove it, or choose another folder")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NoTrial(f"another trial is under way in {place}") from None
        os.fchmod(held, 0o711)
    except BaseException:
        os.close(held)
        raise
    return held


async def restored(file: Path, kept: Manifest, dsn: str) -> Tables:
    """Load a backup into an empty database, as its owner; what each table holds then. ``DumpError``, ``NoTrial``."""
    try:
        program = _program("pg_restore", int(kept.server_version.split(".")[0]))
    except DumpError as exc:
        raise NoTrial(str(exc)) from exc
    arguments: list[str | Path] = [
        program, "--exit-on-error", "--no-owner", "--no-privileges", "--no-password", f"--jobs={JOBS}", file,
    ]  # fmt: skip
    try:
        async with asyncio.timeout(RESTORING), _running(arguments, dsn) as (process, said):
            if await process.wait() != 0:
                raise DumpError(f"pg_restore: {await said}")
        connection = await connect(dsn, statement_timeout=0, command_timeout=COUNTING, unfinished=True)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                return await held(connection)
        finally:
            await connection.close(timeout=5)
    except TimeoutError as exc:
        raise DumpError(f"it took longer than {RESTORING / 3600:.0f} hours") from exc
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
        raise DumpError(f"the restored database: {safe(exc)}") from exc
