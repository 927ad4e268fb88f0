"""One address before several nodes: a real HAProxy, which asks each for ``/ready`` and can be told to drain one."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from harness import Node, free_port, until

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
_CONFIG = """
global
    stats socket {socket} mode 600 level admin
    maxconn 2000
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout check 5s
    retries 3
    option redispatch
listen api
    bind 127.0.0.1:{port}
    balance roundrobin
    option httpchk GET /ready
    default-server check inter 500ms rise 1 fall 3
"""


class Front:
    """What customers know: stands where a ``Client`` wants a node."""

    def __init__(self, nodes: Sequence[Node], folder: Path) -> None:
        self._nodes = list(nodes)
        self._folder = folder
        self._socket = folder / "admin"
        self._port = free_port()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        config = self._folder / "haproxy.cfg"
        servers = [f"    server n{n} {node.origin.removeprefix('http://')}" for n, node in enumerate(self._nodes)]
        config.write_text(_CONFIG.format(socket=self._socket, port=self._port) + "\n".join(servers) + "\n")
        assert HAPROXY is not None
        with (self._folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(HAPROXY, "-f", config, stdout=log, stderr=log)
        await until(lambda: self._up(len(self._nodes)), what="the front sees its nodes")

    async def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.wait()

    async def drain(self, node: Node) -> None:
        """Nothing new goes there; what is under way comes to its end."""
        await self._say(f"set server api/n{self._nodes.index(node)} state drain")

        async def empty() -> bool:
            return int((await self._servers())[self._nodes.index(node)]["scur"]) == 0

        await until(empty, within=60, what="calls to the drained node are answered")

    async def ready(self, node: Node) -> None:
        """It is back: it gets calls from its first good answer on."""
        await self._say(f"set server api/n{self._nodes.index(node)} state ready")
        await until(lambda: self._up(len(self._nodes)), within=60, what="the front sees the node again")

    async def _up(self, n: int) -> bool:
        with contextlib.suppress(OSError):
            return sum(line["status"] == "UP" for line in await self._servers()) == n
        return False

    async def _servers(self) -> list[dict[str, str]]:
        head, *lines = (await self._say("show stat")).lstrip("# ").splitlines()
        names = head.split(",")
        found = [dict(zip(names, line.split(","), strict=False)) for line in lines if line]
        return [one for one in found if one["svname"].startswith("n")]

    async def _say(self, command: str) -> str:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_unix_connection(self._socket)
            writer.write(f"{command}\n".encode())
            said = (await reader.read()).decode()
            writer.close()
        return said


@contextlib.asynccontextmanager
async def front(nodes: Sequence[Node]) -> AsyncIterator[Front]:
    """It serves as soon as all nodes do."""
    folder = Path(tempfile.mkdtemp(prefix="smsgw-front-"))  # a path that a socket may have
    made = Front(nodes, folder)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()
        shutil.rmtree(folder, ignore_errors=True)
