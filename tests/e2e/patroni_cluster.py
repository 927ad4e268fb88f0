"""PostgreSQL under Patroni, with etcd and HAProxy, on loopback: the files of ``conf/ha`` with other addresses.

Each member is a machine: its processes are killed, stopped and started together, and its cable (a HAProxy of its own
that all its traffic goes through) is cut by stopping it: connections stand, and nothing passes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
from harness import ROOT, free_port, until

from smsgw.bench.processes import children
from smsgw.store.engine.database_roles import APPLICATION, OWNER
from smsgw.store.engine.migrate import migrate

CONF = ROOT / "conf" / "ha"
SECRET = "a secret of the tests"
NAMES = ("db1", "db2", "db3")
FAILED_OVER = 90.0
"""Seconds in which there is a primary again: the ttl of ``patroni.yml``, and a machine with more to do."""
WHOLE = 180.0
"""Seconds in which all members are again what they were."""
_DEMANDED = ("patroni", "etcd", "haproxy")


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _binaries() -> Path | None:
    """The newest PostgreSQL of the system."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_rewind"), key=lambda path: int(path.parts[4]))
    return found[-1].parent if found else None


def missing() -> str:
    """What keeps this machine from running one; empty: nothing."""
    lacks = [name for name in _DEMANDED if _program(name) is None]
    lacks += ["postgresql"] if _binaries() is None else []
    lacks += [] if Path("/usr/lib/python3/dist-packages/etcd").is_dir() else ["python3-etcd"]
    return ", ".join(lacks)


needs_patroni = pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()}")


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def replaced(text: str, changes: dict[str, str]) -> str:
    """The text with each of these replaced; one that is not there is an error of the caller's."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@dataclass
class Process:
    """A program with a log of its own, in a session of its own."""

    command: list[str]
    folder: Path
    log: str
    user: str | None
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert self.running is None
        with (self.folder / self.log).open("ab") as log:
            self.running = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "HOME": str(self.folder)},
                user=self.user, group=None if self.user is None else pwd.getpwnam(self.user).pw_gid,
                extra_groups=None if self.user is None else [], start_new_session=True,
            )  # fmt: skip

    @property
    def pids(self) -> list[int]:
        """It and what it has started."""
        found = [] if self.running is None else [self.running.pid]
        for pid in found:
            found += children(pid)
        return found

    def end(self) -> None:
        """At once."""
        if self.running is None:
            return
        pids = self.pids
        _signal(pids, signal.SIGKILL)
        _signal(pids, signal.SIGCONT)
        self.running.wait(timeout=10)
        self.running = None


@dataclass
class Member:
    """A machine with PostgreSQL and Patroni."""

    name: str
    folder: Path
    patroni: Process
    cable: Process
    rest: int
    """Port of Patroni's REST, at the machine itself."""
    far_postgres: int
    """Port of PostgreSQL at the far end of the cable …"""
    far_rest: int
    """… and of Patroni's REST."""
    frozen: list[int] = field(default_factory=list)

    @property
    def postmaster(self) -> int | None:
        """Its process, if there is one."""
        try:
            pid = int((self.folder / "data" / "postmaster.pid").read_text("ascii").split("\n", 1)[0])
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if str(self.folder).encode() in command else None

    @property
    def server(self) -> list[int]:
        """The processes of PostgreSQL."""
        pid = self.postmaster
        return [] if pid is None else [pid, *children(pid)]

    def kill(self, *, machine: bool = True) -> None:
        """SIGKILL to PostgreSQL; ``machine``: and to Patroni. Nobody outlives another by a moment."""
        pids = self.server + (self.patroni.pids if machine else [])
        _signal(pids, signal.SIGSTOP)
        pids += self.server
        _signal(pids, signal.SIGKILL)
        _signal(pids, signal.SIGCONT)
        if machine:
            self.patroni.end()

    def freeze(self) -> None:
        """All of it stands still."""
        for _ in range(3):  # what was begun meanwhile
            self.frozen = [*self.patroni.pids, *self.server]
            _signal(self.frozen, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on, as if nothing had been."""
        _signal(self.frozen, signal.SIGCONT)
        self.frozen = []

    def cut(self) -> None:
        """Nothing reaches it and it reaches nothing; connections stand."""
        _signal(self.cable.pids, signal.SIGSTOP)

    def mend(self) -> None:
        """What was on its way arrives."""
        _signal(self.cable.pids, signal.SIGCONT)

    def end(self) -> None:
        self.thaw()
        self.mend()
        self.kill()
        self.cable.end()


class Cluster:
    """Three members, three etcd, and the HAProxy that smsgw speaks to at ``port``."""

    def __init__(self, folder: Path, user: str | None) -> None:
        self.folder = folder
        self._user = user
        (folder / "etcd").mkdir()
        self._etcd = self._etcds()
        self.members = {name: self._member(n, name) for n, name in enumerate(NAMES)}
        self.port, self.replicas = free_port(), free_port()
        self.front = self._front()
        self._session: aiohttp.ClientSession | None = None

    # --- what runs --------------------------------------------------------------------------------------------

    def _run(self, name: str, *command: str, user: str | None = None) -> Process:
        path = _program(command[0])
        assert path is not None
        return Process([path, *command[1:]], self.folder, f"{name}.log", user)

    def _etcds(self) -> list[Process]:
        """As ``/etc/default/etcd`` of docs/ha.md has them."""
        self._etcd_ports = [free_port() for _ in NAMES]
        peers = [free_port() for _ in NAMES]
        everyone = ",".join(f"etcd{n}=http://127.0.0.1:{port}" for n, port in enumerate(peers))
        return [
            self._run(
                f"etcd{n}", "etcd", "--name", f"etcd{n}", "--data-dir", str(self.folder / "etcd" / str(n)),
                "--listen-client-urls", f"http://127.0.0.1:{client}",
                "--advertise-client-urls", f"http://127.0.0.1:{client}",
                "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
                "--initial-cluster", everyone, "--initial-cluster-state", "new", "--initial-cluster-token", "smsgw",
                "--heartbeat-interval", "500", "--election-timeout", "5000", "--auto-compaction-retention", "1h",
            )
            for n, (client, peer) in enumerate(zip(self._etcd_ports, peers, strict=True))
        ]  # fmt: skip

    def _member(self, n: int, name: str) -> Member:
        folder = self.folder / name
        for part in (folder, folder / "run"):
            part.mkdir(mode=0o700)
            if self._user is not None:
                shutil.chown(part, self._user)
        postgres, rest = free_port(), free_port()
        outside = {"postgres": free_port(), "rest": free_port(), "etcd": free_port()}
        bin_dir = _binaries()
        text = replaced((CONF / "patroni.yml").read_text("utf-8"), {
            "name: db1": f"name: {name}",
            "  listen: 10.0.0.11:8008": f"  listen: 127.0.0.1:{rest}",
            "connect_address: 10.0.0.11:8008": f"connect_address: 127.0.0.1:{outside['rest']}",
            "  listen: 10.0.0.11:5432": f"  listen: 127.0.0.1:{postgres}",
            "connect_address: 10.0.0.11:5432": f"connect_address: 127.0.0.1:{outside['postgres']}",
            # etcd tells its own addresses, which are no way through the cable
            "hosts: 10.0.0.11:2379,10.0.0.12:2379,10.0.0.13:2379":
                f"hosts: 127.0.0.1:{outside['etcd']}\n  use_proxies: true",
            "10.0.0.0/24": "127.0.0.1/32",
            "/var/lib/postgresql/17/smsgw": str(folder / "data"),
            "/usr/lib/postgresql/17/bin": str(bin_dir),
            "/var/lib/postgresql/patroni.pgpass": str(folder / "pgpass"),
            "/var/run/postgresql": str(folder / "run"),
            "local all postgres peer": "local all postgres scram-sha-256",
            "shared_buffers: 2GB": "shared_buffers: 128MB",
            "max_wal_size: 8GB": "max_wal_size: 1GB",
            "wal_keep_size: 8GB": "wal_keep_size: 2GB",
            # of a server that is killed no segment stays in /dev/shm
            "min_wal_size: 1GB": "min_wal_size: 256MB\n        dynamic_shared_memory_type: mmap",
        })  # fmt: skip
        conf = folder / "patroni.yml"
        conf.write_text(re.sub(r"CHANGE-ME-\w+", SECRET, text), "utf-8")
        conf.chmod(0o600)
        if self._user is not None:
            shutil.chown(conf, self._user)
        return Member(
            name, folder, self._run(name, "patroni", str(conf), user=self._user),
            self._cable(name, {
                outside["postgres"]: [postgres], outside["rest"]: [rest],
                outside["etcd"]: self._etcd_ports[n:] + self._etcd_ports[:n],
            }),
            rest, outside["postgres"], outside["rest"],
        )  # fmt: skip

    def _cable(self, name: str, ways: dict[int, list[int]]) -> Process:
        lines = ["global", "  nbthread 1", "defaults", "  mode tcp", "  timeout connect 3s", "  timeout client 1h",
                 "  timeout server 1h", "  retries 1", "  option redispatch"]  # fmt: skip
        for port, targets in ways.items():
            lines += [f"listen way{port}", f"  bind 127.0.0.1:{port}", "  balance first"]
            lines += [
                f"  server s{n} 127.0.0.1:{to}" + (" check inter 500ms fall 2 rise 1" if len(targets) > 1 else "")
                for n, to in enumerate(targets)
            ]
        conf = self.folder / f"cable-{name}.cfg"
        conf.write_text("\n".join([*lines, ""]), "ascii")
        return self._run(f"cable-{name}", "haproxy", "-db", "-f", str(conf))

    def _front(self) -> Process:
        """``conf/ha/haproxy.cfg``, of which the tests use the way to the database."""
        text = (CONF / "haproxy.cfg").read_text("utf-8")
        ours = {
            "    log /dev/log local0\n": "    nbthread 1\n",
            "maxconn 20000": "maxconn 1000",
            "    user haproxy\n    group haproxy\n": "",
            "/run/haproxy/admin.sock mode 660": f"{self.folder}/front.sock mode 600",
            "127.0.0.1:5000": f"127.0.0.1:{self.port}",
            "127.0.0.1:5001": f"127.0.0.1:{self.replicas}",
        }
        for n, member in enumerate(self.members.values(), start=1):
            ours[f"server db{n} 10.0.0.1{n}:5432 check port 8008"] = (
                f"server db{n} 127.0.0.1:{member.far_postgres} check port {member.far_rest}"
            )
        text = replaced(text, ours)
        conf = self.folder / "haproxy.cfg"
        conf.write_text(text.partition("# --- API and portal")[0], "utf-8")
        return self._run("haproxy", "haproxy", "-db", "-f", str(conf))

    # --- the whole --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Up, with all members in their places and the roles made."""
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3))
        for one in self._etcd:
            one.start()
        for member in self.members.values():
            member.cable.start()
        self.front.start()
        await until(self._etcd_agrees, within=WHOLE, what="etcd has a leader", every=0.25)
        for member in self.members.values():
            member.patroni.start()
        await self.whole()
        connection = await until(self._administered, within=WHOLE, what="HAProxy leads to it", every=0.25)
        assert connection is not None
        try:
            text = re.sub(r"CHANGE-ME-\w+", SECRET, (CONF / "roles.sql").read_text("utf-8"))
            for statement in re.sub("--.*", "", text).split(";"):
                if statement.strip():
                    await connection.execute(statement)
        finally:
            await connection.close()
        await migrate(self.address(OWNER), application=self.dsn)

    async def _administered(self) -> asyncpg.Connection | None:
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            return await asyncpg.connect(self.address("postgres", "postgres"), timeout=10, command_timeout=60)
        return None

    async def end(self) -> None:
        """All of it, whatever it is in the midst of."""
        self.front.end()
        for member in self.members.values():
            member.end()
        for one in self._etcd:
            one.end()
        if self._session is not None:
            await self._session.close()

    def address(self, role: str, database: str = "smsgw") -> str:
        """By way of HAProxy."""
        return f"postgresql://{role}:{SECRET.replace(' ', '%20')}@127.0.0.1:{self.port}/{database}"

    @property
    def dsn(self) -> str:
        """For the application, by way of HAProxy."""
        return self.address(APPLICATION)

    async def _etcd_agrees(self) -> bool:
        assert self._session is not None
        for port in self._etcd_ports:
            try:
                async with self._session.get(f"http://127.0.0.1:{port}/health") as answer:
                    healthy = (await answer.json(content_type=None))["health"] == "true"
                async with self._session.get(f"http://127.0.0.1:{port}/version") as answer:
                    healthy = healthy and (await answer.json(content_type=None))["etcdcluster"] != "not_decided"
            except (aiohttp.ClientError, TimeoutError):
                return False
            if not healthy:
                return False
        return True

    # --- who is what ------------------------------------------------------------------------------------------

    async def _states(self) -> dict[str, dict[str, Any]]:
        """What the members say of themselves; those that answer."""
        assert self._session is not None
        found = {}
        for member in self.members.values():
            if member.frozen:
                continue
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError):
                async with self._session.get(f"http://127.0.0.1:{member.rest}/cluster") as answer:
                    for one in (await answer.json())["members"]:
                        found.setdefault(one["name"], one)
                break  # all see the same, who sees etcd
        return found

    async def primary(self, *, other: str = "", within: float = FAILED_OVER) -> Member:
        """Who has the lock and answers as the primary; ``other``: than this one."""

        async def look() -> Member | None:
            assert self._session is not None
            for name, member in self.members.items():
                if name == other or member.frozen:
                    continue
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with self._session.get(f"http://127.0.0.1:{member.rest}/primary") as answer:
                        if answer.status == 200:
                            return member
            return None

        found = await until(look, within=within, what=f"a primary\n{self.told()}", every=0.25)
        assert found is not None
        return found

    async def whole(self, *, within: float = WHOLE) -> None:
        """Wait until there is a primary, one that is synchronous with it, and a third that follows."""

        async def look() -> bool:
            dead = [m.name for m in self.members.values() if m.patroni.running and m.patroni.running.poll() is not None]
            assert not dead, f"Patroni of {dead} has ended"
            states = await self._states()
            roles = {one["role"]: one for one in states.values() if one["state"] in ("running", "streaming")}
            # One that runs and does not stream is about to be rewound.
            follow = [one for role, one in roles.items() if role != "leader" and one["state"] == "streaming"]
            lines = {one.get("timeline", 0) for one in roles.values()}
            return roles.keys() == {"leader", "replica", "sync_standby"} and len(follow) == 2 and len(lines) == 1

        try:
            await until(look, within=within, what="all members are in their places", every=0.25)
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{await self._states()}\n{self.told()}") from None

    def told(self, lines: int = 15) -> str:
        """The ends of the logs."""
        ends = []
        for name in NAMES:
            path = self.folder / f"{name}.log"
            if path.exists():
                ends += [f"--- {name}", *path.read_text("utf-8", "replace").splitlines()[-lines:]]
        return "\n".join(ends)


_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it
_ENOUGH = 6 << 30
_serial = itertools.count(1)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """One that other users may enter."""
    memory = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH
    folder = Path(tempfile.mkdtemp(prefix=f"smsgw-ha-{os.getpid()}-{next(_serial)}-", dir=_MEMORY if memory else None))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        if not os.environ.get("TESTS_KEEP_HA"):
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def patroni() -> AsyncIterator[Cluster]:
    """A cluster, whole and migrated. Nothing is left of it afterwards."""
    with _folder() as folder:
        cluster = Cluster(folder, "postgres" if os.geteuid() == 0 else None)
        try:
            began = time.monotonic()
            await cluster.start()
            print(f"the cluster was up after {time.monotonic() - began:.0f} s")
            yield cluster
        finally:
            await asyncio.shield(cluster.end())
