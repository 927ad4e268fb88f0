"""The control socket at whatever depth the data directory lies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import socket
import sys
import tempfile
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import web
from click.testing import CliRunner

from smsgw.cli import main
from smsgw.net.unix_paths import LIMIT, reachable
from smsgw.node import control, control_client
from smsgw.platform.diagnostics.bundle import Bundles
from smsgw.runtime.config import Config
from smsgw.store.engine.database import Database


@contextlib.asynccontextmanager
async def answering(app: web.Application, path: Path) -> AsyncIterator[None]:
    runner = web.AppRunner(app)
    await runner.setup()
    with reachable(path) as near:
        await web.UnixSite(runner, near).start()
    try:
        yield
    finally:
        await runner.cleanup()


def daemon(**parts: object) -> web.Application:
    """What answers for a daemon that has these parts."""
    return control.application(SimpleNamespace(**parts))  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", [0, 3])
async def test_a_socket_is_reached_however_deep_it_lies(tmp_path: Path, depth: int) -> None:
    folder = tmp_path.joinpath(*["d" * 60] * depth)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "control.sock"
    assert (len(os.fsencode(path)) > LIMIT) == bool(depth)

    async def echo(request: web.Request) -> web.Response:
        return web.json_response({"got": await request.json()})

    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"code": "NOT_FOUND", "message": "no"}, status=404)

    app = web.Application()
    app.router.add_post("/echo", echo)
    app.router.add_post("/refuse", refuse)
    with pytest.raises(control_client.DaemonAway, match="no daemon answers"):
        await control_client.call(path, "POST", "/echo", 1)
    async with answering(app, path):
        assert path.is_socket()
        open_files = len(os.listdir("/proc/self/fd"))
        assert await control_client.call(path, "POST", "/echo", {"n": 1}) == {"got": {"n": 1}}
        pieces = [p async for p in control_client.stream(path, "/echo", 2, timeout_s=5)]
        assert b"".join(pieces) == b'{"got": 2}'
        with pytest.raises(RuntimeError, match="NOT_FOUND: no"):
            await control_client.call(path, "POST", "/refuse", 1)
        assert len(os.listdir("/proc/self/fd")) <= open_files + 1
    with pytest.raises(control_client.DaemonAway):
        await control_client.call(tmp_path / "none" / ("x" * 120) / "control.sock", "GET", "/")


@pytest.mark.root_only
async def test_another_user_is_refused_even_where_the_rights_let_him_in() -> None:
    """The kernel says who is there: what somebody has made of socket and folder does not matter."""

    async def status(_: web.Request) -> web.Response:
        return web.json_response({"ready": True})

    app = web.Application(middlewares=[control.only_ours])
    app.router.add_get("/status", status)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "control.sock")
        async with answering(app, path):
            os.chmod(folder, 0o755)  # noqa: S103 - on purpose
            path.chmod(0o777)
            assert await control_client.call(path, "GET", "/status") == {"ready": True}
            stranger = socket.socket(socket.AF_UNIX)
            os.seteuid(pwd.getpwnam("nobody").pw_uid)  # whose it is, the kernel notes when it connects
            try:
                stranger.connect(str(path))
            finally:
                os.seteuid(0)
            stranger.setblocking(False)
            reader, writer = await asyncio.open_unix_connection(sock=stranger)
            writer.write(b"GET /status HTTP/1.1\r\nHost: smsgw\r\nConnection: close\r\n\r\n")
            answer = await asyncio.wait_for(reader.read(), 30)
            writer.close()
            await writer.wait_closed()
            assert answer.startswith(b"HTTP/1.1 403")
            assert b"FORBIDDEN" in answer


ASK = """
import asyncio, contextlib, pathlib, sys
from smsgw.node import control_client
with contextlib.suppress(OSError):
    pathlib.Path("/proc/self/loginuid").write_text(sys.argv[2])
path = pathlib.Path(sys.argv[1])
print(asyncio.run(control_client.call(path, "POST", "/facts/retry", {"ids": [], "actor": "cli:mallory"})))
"""


@pytest.mark.root_only
async def test_who_asks_is_named_by_the_kernel(database: Database, tmp_path: Path) -> None:
    """Neither the body nor the environment puts another's name into the audit log."""
    path, who = tmp_path / "control.sock", pwd.getpwnam("nobody")
    async with answering(daemon(database=database, outcomes=None), path):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ASK, str(path), str(who.pw_uid), env=os.environ | {"LOGNAME": "mallory"},
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, _ = await asyncio.wait_for(child.communicate(), 20)
        assert b"'applied': 0" in said
        known = Path("/proc/self/loginuid").exists()  # a kernel with audit
        row = await database.fetchrow("SELECT actor, action FROM audit")
        assert row is not None
        assert (row["actor"], row["action"]) == (f"cli:{who.pw_name if known else 'root'}", "fact.retry")


async def test_a_bundle_of_a_running_node_comes_through_and_its_file_is_the_owners(
    dsn: str, database: Database, tmp_path: Path
) -> None:
    bundles = Bundles(database, Config(), 1, 5, lambda: b"smsgw_up 1\n", list)
    file = tmp_path / "bundle.zip"
    settings = {"SMSGW_DATABASE_DSN": dsn, "SMSGW_NODE_DATA_DIR": str(tmp_path)}
    async with answering(daemon(database=database, bundles=bundles), tmp_path / "control.sock"):
        ask = CliRunner(env=settings).invoke
        result = await asyncio.to_thread(ask, main, ["diagnose", "--out", str(file)])
        assert result.exit_code == 0, result.output
        assert file.stat().st_mode & 0o777 == 0o600
        with zipfile.ZipFile(file) as archive:
            assert archive.read("metrics.txt") == b"smsgw_up 1\n"
        again = await asyncio.to_thread(ask, main, ["diagnose", "--out", str(file)])
        assert again.exit_code == 1, "a file that is there is not written over"
        assert await database.fetchval("SELECT count(*) FROM audit WHERE action = 'diagnostics.take'") == 2
