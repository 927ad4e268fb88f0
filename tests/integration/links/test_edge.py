"""The edge (``node/link_server``) in this process: what it begins with, and by whose number it goes."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from changes import by_test

from smsgw.core.short_codes import KEY_OCTETS
from smsgw.net import unix_paths
from smsgw.node import database_setup, link_server as edges, probes
from smsgw.node.build import clicks_of
from smsgw.node.link_server import Edge
from smsgw.platform.accounts import service as accounts
from smsgw.platform.links import queries, service
from smsgw.platform.links.clicks import Clicks
from smsgw.platform.links.model import NewLink
from smsgw.runtime import worker_pool
from smsgw.runtime.config import Config, DatabaseConfig, NodeConfig, OpsConfig, PublicConfig
from smsgw.runtime.worker_pool import Place
from smsgw.store.engine import nodes, rows
from smsgw.store.engine.database import Database
from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.engine.secrets import Sealer

HOST, TARGET = "s.example.cn", "https://www.example.cn/spring"
NUMBER = 7


@pytest.fixture
def settings(dsn: str, tmp_path: Path) -> Config:
    """Of an installation whose first worker has been there."""
    first = nodes.identity(tmp_path)
    first.number = NUMBER
    first.save()
    return Config(
        node=NodeConfig(data_dir=tmp_path), database=DatabaseConfig(dsn=dsn), ops=OpsConfig("127.0.0.1:0"),
        public=PublicConfig(listen="127.0.0.1:0", hosts=(HOST,), own_process=True),
    )  # fmt: skip


def edge_of(settings: Config) -> Edge:
    place = Place(settings.node.data_dir, worker_pool.EDGE, 1, crewed=True, edge=True)
    place.folder.mkdir(parents=True, exist_ok=True)
    return Edge(settings, place)


@contextlib.asynccontextmanager
async def begun(settings: Config) -> AsyncIterator[Edge]:
    edge = edge_of(settings)
    await edge.start()
    try:
        yield edge
    finally:
        await edge.stop()


async def test_an_edge_that_cannot_read_the_links_leads_on_when_it_can(database: Database, settings: Config) -> None:
    """Else the supervisor would end the nodes with it: messages do not hang on links."""
    account = await accounts.add(by_test(database), "acme")
    other = Sealer(b"of another installation".ljust(32))
    for chosen in ("", "spring"):
        wanted = NewLink(account, "spring", TARGET, chosen=chosen)
        await service.make(by_test(database), other, wanted, (HOST,), now=datetime.now(UTC))
    async with begun(settings) as edge, aiohttp.ClientSession(headers={"Host": HOST}) as session:

        async def status(path: str) -> int:
            async with session.get(f"{edge._urls['public']}{path}", allow_redirects=False) as answer:
                return answer.status

        assert (await status("/ready"), await status("/spring")) == (503, 503)
        sealed = database_setup.sealer(settings).seal(secrets.token_hex(KEY_OCTETS), queries.KEY_CONTEXT)
        await database.execute("UPDATE short_link_key SET sealed = $1", sealed)
        async with asyncio.timeout(30):
            while await status("/spring") != 302:  # noqa: ASYNC110 - it looks each second
                await asyncio.sleep(0.1)
        assert await status("/ready") == 200
    assert await database.fetchval("SELECT count(*) FROM link_click") == 1, "entered by the stop at the latest"


async def test_it_goes_by_the_number_of_the_first_worker(database: Database, settings: Config) -> None:
    """Where the file is gone that says so, the first worker makes another, by what its journal is of."""
    file = settings.node.data_dir / nodes.FILE
    async with begun(settings) as edge:
        said = file.read_text()
        file.unlink()
        await edge._hear(database, NUMBER)
        assert not file.exists()
        assert not edge.ended.is_set(), "nobody else makes ids under its number yet"
        file.write_text(said)
        await edge._hear(database, NUMBER)
        assert not edge.ended.is_set()
        another = nodes.identity(settings.node.data_dir)
        another.number = NUMBER + 1
        another.save()
        await edge._hear(database, NUMBER)
        assert edge.ended.is_set()
    file.unlink()
    with pytest.raises(RuntimeError, match="no node yet"):
        await edge_of(settings).start()
    assert not file.exists()


async def test_clicks_leave_room_where_the_supervisors_database_lies(
    database: Database, settings: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may lie on another disk, and messages go first there, too."""
    root = settings.node.data_dir
    (root / "postgres.id").write_text("0123456789ab")
    seen: list[Sequence[Path]] = []

    def noted(*given: Any) -> Clicks:
        seen.append(given[3])
        return clicks_of(*given)

    monkeypatch.setattr(edges, "clicks_of", noted)
    async with begun(settings):
        monkeypatch.setattr(EmbeddedPostgres, "dsn", settings.database.dsn)
    async with begun(settings):
        assert seen == [[root], [root, EmbeddedPostgres(root).home]]


async def test_the_first_worker_tells_what_is_wrong_with_it(
    database: Database, settings: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it is not there, too, or that nobody understands what it says."""
    root = settings.node.data_dir
    async with begun(settings) as edge:
        assert await probes._of_edge(root, "node/7") == []
        with monkeypatch.context() as patch:
            patch.setattr(rows, "_skipped", {"short_link": {"5": "5"}})
            assert [one.kind for one in await probes._of_edge(root, "node/7")] == ["rows_skipped"]
        control = root / "workers" / "edge" / worker_pool.CONTROL
        for answer in (
            web.Response(status=500, text="500 Internal Server Error"),
            web.json_response([["links_stale"]]),
            web.json_response([["links_stale", "node/7", "warning", {"phrase": "of a later release", "with": {}}]]),
        ):
            async with answering(control, answer):
                assert await _told(root) == ("links_stale", "node/7", True)
        assert not edge.ended.is_set()
    assert await _told(root) == ("links_stale", "node/7", True)


async def _told(root: Path) -> tuple[str, str, bool]:
    (one,) = await probes._of_edge(root, "node/7")
    return one.kind, one.object, one.after == probes.EDGE_BEGINS_WITHIN


@contextlib.asynccontextmanager
async def answering(socket: Path, answer: web.Response) -> AsyncIterator[None]:
    async def say(_: web.Request) -> web.StreamResponse:
        return answer

    application = web.Application()
    application.router.add_get("/edge/findings", say)
    runner = web.AppRunner(application)
    await runner.setup()
    socket.unlink(missing_ok=True)
    with unix_paths.reachable(socket) as near:
        await web.UnixSite(runner, near).start()
    try:
        yield
    finally:
        await runner.cleanup()
