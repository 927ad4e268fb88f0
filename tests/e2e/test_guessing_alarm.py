"""Who guesses at any of the doors is told of as an alarm."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from pathlib import Path

import aiohttp
import pytest
from harness import alarmed, free_port, site, until

from smsgw.admin.security import masked
from smsgw.core.guessing import MOST

BODY = b"nobody\0wrong\0\0\x34\0\0\0"
BIND = struct.pack(">4I", 16 + len(BODY), 2, 0, 1) + BODY
TOKEN = "A" * 32


@pytest.mark.slow
async def test_guessing_is_an_alarm(dsn: str, data_dir: Path) -> None:
    port = free_port()
    async with site(data_dir, dsn=dsn, channels=(), partners_smpp_listen=f"127.0.0.1:{port}") as built:
        node = built.node
        await node.furnish("user", "add", "root")  # without anybody there is no login to guess at

        async def bind() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(BIND)
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await asyncio.wait_for(reader.readexactly(16), 10)
            writer.close()

        async with aiohttp.ClientSession(node.origin, cookies={"smsgw-visitor": TOKEN}) as session:

            async def call() -> None:
                headers = {"Authorization": "Bearer smk_live_guess"}
                async with session.get("/api/v1/balance", headers=headers) as answer:
                    assert answer.status in (401, 429)

            async def login() -> None:
                fields = {"csrf": masked(TOKEN), "login": "root", "password": "Wrong-Horse-7"}
                async with session.post("/login", data=fields) as answer:
                    assert answer.status in (401, 422, 429)

            for way, guess in (("api", call), ("portal", login), ("partners", bind)):
                assert await alarmed(node, f"{way}: ", wanted=False)
                for _ in range(MOST[way] // 10):
                    await asyncio.gather(*(guess() for _ in range(10)))
                await until(lambda way=way: alarmed(node, f"{way}: {MOST[way]} in 10"), what=way)
            assert await alarmed(node, "1 sources, most from 127.0.0.1 (")
