"""The way of the command line to the database."""

from __future__ import annotations

import asyncio

import pytest

from smsgw.node import opening
from smsgw.runtime.config import load


async def test_a_proxy_that_has_no_database_behind_it() -> None:
    """HAProxy takes the connection and hangs up: the message says whose trouble it is."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = load(None, {"SMSGW_DATABASE_DSN": f"postgresql://smsgw:x@127.0.0.1:{port}/smsgw"})
        with pytest.raises(ConnectionError, match="the database does not answer"):
            async with opening.database(settings):
                pytest.fail("it has opened what is not there")
