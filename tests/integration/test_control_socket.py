"""The control socket at whatever depth the data directory lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from aiohttp import web

from smsgw import controlclient
from smsgw.unixpath import LIMIT, reachable


@pytest.mark.parametrize("depth", [0, 3])
async def test_a_socket_is_reached_however_deep_it_lies(tmp_path: Path, depth: int) -> None:
    folder = tmp_path.joinpath(*["d" * 60] * depth)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "control.sock"
    assert (len(os.fsencode(path)) > LIMIT) == bool(depth)

    async def echo(request: web.Request) -> web.Response:
        return web.json_response({"got": await request.json()})

    app = web.Application()
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"code": "NOT_FOUND", "message": "no"}, status=404)

    app.router.add_post("/echo", echo)
    app.router.add_post("/refuse", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    with pytest.raises(controlclient.DaemonAway, match="no daemon answers"):
        await controlclient.call(path, "POST", "/echo", 1)
    with reachable(path) as near:
        await web.UnixSite(runner, near).start()
    try:
        assert path.is_socket()
        open_files = len(os.listdir("/proc/self/fd"))
        assert await controlclient.call(path, "POST", "/echo", {"n": 1}) == {"got": {"n": 1}}
        pieces = [p async for p in controlclient.stream(path, "/echo", 2, timeout_s=5)]
        assert b"".join(pieces) == b'{"got": 2}'
        with pytest.raises(RuntimeError, match="NOT_FOUND: no"):
            await controlclient.call(path, "POST", "/refuse", 1)
        assert len(os.listdir("/proc/self/fd")) <= open_files + 1
    finally:
        await runner.cleanup()
    with pytest.raises(controlclient.DaemonAway):
        await controlclient.call(tmp_path / "none" / ("x" * 120) / "control.sock", "GET", "/")
