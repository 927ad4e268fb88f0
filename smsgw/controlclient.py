"""The other end of the control socket: asking a running daemon."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, UnixConnector


class DaemonAway(RuntimeError):
    """No daemon answers on the control socket."""


async def call(socket: Path, method: str, path: str, body: Any = None, *, timeout_s: float = 15.0) -> Any:
    """Ask the daemon behind ``socket``. Raises ``DaemonAway``, or ``SmsgwError``-like text as ``RuntimeError``."""
    try:
        async with (
            ClientSession(connector=UnixConnector(str(socket)), timeout=ClientTimeout(timeout_s)) as session,
            session.request(method, f"http://smsgw{path}", json=body) as response,
        ):
            answer = msgspec.json.decode(await response.read())
            if response.status >= 400:
                raise RuntimeError(f"{answer.get('code')}: {answer.get('message')}")
            return answer
    except (ClientError, OSError, TimeoutError) as exc:
        raise DaemonAway(
            f"no daemon answers on {socket}: is `smsgwctl run` running with this configuration?"
        ) from exc


async def stream(socket: Path, path: str, body: Any, *, timeout_s: float) -> AsyncGenerator[bytes, None]:
    """What the daemon answers, piece by piece as it comes. Raises as ``call``."""
    try:
        async with (
            ClientSession(connector=UnixConnector(str(socket)), timeout=ClientTimeout(timeout_s)) as session,
            session.post(f"http://smsgw{path}", json=body) as response,
        ):
            if response.status >= 400:
                answer = msgspec.json.decode(await response.read())
                raise RuntimeError(f"{answer.get('code')}: {answer.get('message')}")
            async for piece in response.content.iter_any():
                yield piece
    except (ClientError, OSError, TimeoutError) as exc:
        raise DaemonAway(
            f"no daemon answers on {socket}: is `smsgwctl run` running with this configuration?"
        ) from exc
