"""The logs of a fresh installation: nothing that asks for nothing, and no secret."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest
from harness import Node, until

from smsgw.store.engine.embedded import EmbeddedPostgres

pytestmark = pytest.mark.shard("core")

ASKS = {"setup.waiting"}
"""Somebody has to do something."""
TROUBLE = re.compile(r" (WARNING|ERROR|FATAL|PANIC): ")


@pytest.mark.slow
async def test_a_first_start_and_the_next_one_have_nothing_to_complain_of(data_dir: Path) -> None:
    node = Node(data_dir)
    try:
        said: list[str] = []
        for _ in range(2):
            before = len(node.log_lines())
            await node.start()
            await until(
                lambda n=before: any("setup.waiting" in line for line in node.log_lines()[n:]),
                what="it says how to begin",
            )
            code = (await node.ctl("setup-code")).out.split()[0]
            said += node.log_lines()[before:]  # a stop just after is another matter
            assert await node.stop() == 0
        lines = [json.loads(line) for line in said]
        levels = logging.getLevelNamesMapping()
        loud = [line for line in lines if levels[line["level"].upper()] >= logging.WARNING]
        assert [line for line in loud if line["event"] not in ASKS] == []
        home = EmbeddedPostgres(data_dir).home
        server = "".join(file.read_text("utf-8") for file in sorted((home / "pg-log").glob("*.log")))
        assert server.count("ready to accept connections") == 2
        assert [line for line in server.splitlines() if TROUBLE.search(line)] == []
        for text in ("\n".join(node.log_lines()), server):
            assert code not in text
            assert code.replace("-", "") not in text
    finally:
        if node.process is not None:
            node.kill()
        await EmbeddedPostgres(data_dir).discard()
