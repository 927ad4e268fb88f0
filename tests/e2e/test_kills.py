"""kill -9 in the middle of everything: what was accepted is neither lost nor sent twice."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import places
import pytest
import pytest_asyncio
from ground import Ground, ground, slow_enough
from harness import dice, site
from storm import storm


@pytest.mark.timeout(400)
@pytest.mark.slow
async def test_daemon_is_killed_five_times(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, behaviour=slow_enough) as built:
        faults = ["kill", "kill", "kill-start", "kill", "kill"]
        windows = await storm(built, dice(), messages=5000, faults=faults)
        books = await built.clean(within=120, unknown=windows)
        assert books.statuses.keys() <= {"delivered", "uncertain"}
        print(books)


@pytest.mark.shard("core")
async def test_database_is_killed(data_dir: Path, embedded_data: None) -> None:
    async with site(data_dir, behaviour=slow_enough) as built:
        await storm(built, dice(), messages=1500, faults=["postgres"])
        # Nobody has forgotten anything: the carriers' answers waited in memory, and reports with the carriers.
        books = await built.clean(within=90)
        assert books.statuses == {"delivered": len(built.customer.sent)}


@pytest.mark.shard("core")
async def test_a_key_has_one_answer_across_a_kill(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, channels=["cmpp30"]) as built:
        customer, client = built.customer, built.client
        content = customer.text()
        body = json.dumps({"to": [customer.number("cmpp30")], "content": content}).encode()
        first = await client.surely("POST", "/messages", body, key="order-1")
        customer.note(first, [content])
        assert "Idempotent-Replayed" not in first.headers
        built.node.kill()
        await built.node.start()
        again = await client.surely("POST", "/messages", body, key="order-1")
        assert (again.status, again.data) == (202, first.data)
        assert again.headers["Idempotent-Replayed"] == "true"
        other = await client.surely("POST", "/messages", body.replace(b"#t", b"#u"), key="order-1")
        assert (other.status, other.code) == (422, "IDEMPOTENCY_MISMATCH")
        books = await built.clean(unknown=1)  # the kill may have met it on its way
        assert books.accepted == 1
        assert books.received + len(books.unknown) >= 1


# --- one gateway, many deaths -----------------------------------------------------------------------------------------

rounds = pytest.mark.asyncio(loop_scope="module")
"""Longer, and many more of them: ``scripts/chaos``."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def played(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    """A gateway for rounds that leave it running."""
    dsn = await postgres.make("kills", postgres.template)
    async with ground(tmp_path_factory.mktemp("kills"), dsn=dsn) as built:
        yield built
    await postgres.drop("kills")


@rounds
@pytest.mark.parametrize(
    "place", ["accept.committed", "claim.committed", "dispatch.recorded", "dispatch.written", "outcomes.committed"]
)
async def test_killed_at_a_place(played: Ground, place: str) -> None:
    windows = await places.play(played, dice(), place)
    books = await played.clean(unknown=windows)
    assert not places.exactly(played, place, books)


@rounds
@pytest.mark.timeout(400)
@pytest.mark.parametrize("faults", [["links", "links"], ["freeze"]], ids="+".join)
@pytest.mark.slow
async def test_links_break_and_the_daemon_stands_still(played: Ground, faults: list[str]) -> None:
    await played.bound()
    await played.fresh()
    windows = await storm(played, dice(), messages=900, faults=faults)
    await played.clean(unknown=windows)
