"""The other end of the control socket: asking a running daemon."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, UnixConnector

from smsgw.net.unix_paths import reachable


class DaemonAway(RuntimeError):
    """No daemon answers on the control socket."""


class DaemonRefusal(RuntimeError):
    """The daemon has refused, with this code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


async def call(socket: Path, method: str, path: str, body: Any = None, *, timeout_s: float = 15.0) -> Any:
    """Ask the daemon behind ``socket``. Raises ``DaemonAway``, ``DaemonRefusal``."""
    async with _asked(socket, method, path, body, timeout_s) as response:
        return msgspec.json.decode(await response.read())


async def stream(socket: Path, path: str, body: Any, *, timeout_s: float) -> AsyncGenerator[bytes, None]:
    """What the daemon answers, piece by piece as it comes. Raises as ``call``."""
    async with _asked(socket, "POST", path, body, timeout_s) as response:
        async for piece in response.content.iter_any():
            yield piece


@asynccontextmanager
async def _asked(socket: Path, method: str, path: str, body: Any, timeout_s: float) -> AsyncIterator[ClientResponse]:
    """The answer to a request that the daemon has not refused."""
    try:
        with reachable(socket) as near:
            async with (
                ClientSession(connector=UnixConnector(near), timeout=ClientTimeout(timeout_s)) as session,
                session.request(method, f"http://smsgw{path}", json=body) as response,
            ):
                if response.status >= 400:
                    answer = msgspec.json.decode(await response.read())
                    raise DaemonRefusal(str(answer.get("code")), str(answer.get("message")))
                yield response
    except (ClientError, OSError, TimeoutError) as exc:
        raise DaemonAway(f"no daemon answers on {socket}: is `smsgwctl run` running with this configuration?") from exc
