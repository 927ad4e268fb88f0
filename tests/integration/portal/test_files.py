"""Stored files: by content, within bounds, gone when nothing means them, with what an earlier release has left."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytest_asyncio
from changes import by_test
from visits import fails

from smsgw.core.errors import Invalid, SmsgwError, Temporary
from smsgw.platform.accounts import service as accounts
from smsgw.platform.campaigns import uploads
from smsgw.platform.campaigns.files import Files
from smsgw.platform.campaigns.uploads import Upload
from smsgw.platform.files import queries, service
from smsgw.platform.files.model import Elsewhere, FileKind, Incoming, StoredFile, plain_name
from smsgw.platform.files.service import COPY_FOR, PIECE, FileStore
from smsgw.store.engine.database import Connection, Database

DAY = timedelta(days=1)
KIND = FileKind("test", 1000, DAY)


class Shelf:
    """A file store with a clock of its own."""

    def __init__(self, database: Database, folder: Path, account_id: int) -> None:
        self.database = database
        self.folder = folder
        self.account_id = account_id
        self.later = timedelta(0)
        self.full = False
        self.last = 10**17
        self.store = self.make()

    def make(self, node: int = 1, total_mb: int = 1) -> FileStore:
        return FileStore(self.database, self.folder, node=node, ids=self.id, total_mb=total_mb,
                         disk=SimpleNamespace(check=self.check_disk), now=self.now)  # fmt: skip

    def id(self) -> int:
        self.last += 1
        return self.last

    def now(self) -> datetime:
        return datetime.now(UTC) + self.later

    def check_disk(self) -> None:
        if self.full:
            raise Temporary("STORAGE_UNAVAILABLE", reason="disk")

    async def coming(self, octets: bytes, kind: FileKind = KIND, name: str = "a.csv") -> Incoming:
        incoming = await self.store.receive(kind, self.account_id, len(octets))
        incoming.path.write_bytes(octets)
        incoming.name = name
        return incoming

    async def keep(self, octets: bytes, kind: FileKind = KIND, name: str = "a.csv") -> StoredFile:
        return await self.store.keep(await self.coming(octets, kind, name), "text/csv", "li")

    def content(self, octets: bytes) -> Path:
        name = sha256(octets).hexdigest()
        return self.folder / name[:2] / name[2:4] / name

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file())


@pytest_asyncio.fixture
async def shelf(dsn: str, tmp_path: Path) -> AsyncIterator[Shelf]:
    database = Database(dsn, size=6)
    await database.open()
    account_id = await accounts.add(by_test(database), "acme")
    yield Shelf(database, tmp_path / "files", account_id)
    await database.close()


async def test_a_file_lies_by_its_content_and_is_ours_alone(shelf: Shelf) -> None:
    file = await shelf.keep(b"one")
    path = await shelf.store.path(file.id)
    assert (path, path.read_bytes()) == (shelf.content(b"one"), b"one")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (file.size, file.sha256, file.media_type) == (3, sha256(b"one").digest(), "text/csv")
    assert await shelf.store.path(1) is None
    assert shelf.files() == [path.name], "no parts are left"


async def test_the_same_octets_lie_once_and_stay_until_the_last_has_gone(shelf: Shelf) -> None:
    first = await shelf.keep(b"one")
    shelf.later = DAY / 2
    second = await shelf.keep(b"one")
    assert len(shelf.files()) == 1
    shelf.later = DAY * 1.2
    assert await shelf.store.sweep([KIND]) == 1
    assert await shelf.store.path(first.id) is None
    assert (await shelf.store.path(second.id) or Path()).read_bytes() == b"one"
    shelf.later = DAY * 2
    assert (await shelf.store.sweep([KIND]), shelf.files()) == (1, [])


async def test_what_is_held_stays(shelf: Shelf) -> None:
    held: set[int] = set()

    async def which(ids: Sequence[int]) -> set[int]:
        return held & set(ids)

    kind = FileKind("held", 1000, DAY, which)
    file = await shelf.keep(b"one", kind)
    held.add(file.id)
    shelf.later = 2 * DAY
    assert await shelf.store.sweep([kind]) == 0
    held.clear()
    assert await shelf.store.sweep([KIND]) == 0, "of a kind that is not swept here"
    assert await shelf.store.sweep([kind]) == 1


async def test_bounds(shelf: Shelf) -> None:
    shelf.store = shelf.make(total_mb=1)
    half = FileKind("half", 2**20, DAY)
    await fails(Invalid, shelf.coming(b"x" * 1001))
    small = await shelf.store.receive(KIND, shelf.account_id, 10)
    small.path.write_bytes(b"x" * 1001)
    await fails(Invalid, shelf.store.keep(small, "text/csv", "li"))
    await shelf.keep(b"x" * 2**19, half)
    await fails(Temporary, shelf.coming(b"y", half), "空间已满")
    other = await accounts.add(by_test(shelf.database), "other")
    incoming = await shelf.store.receive(half, other, 2**18)
    await fails(Temporary, shelf.store.reserve(incoming, 2**20))
    shelf.full = True
    await fails(Temporary, shelf.store.reserve(incoming, 2**18 + 1))
    shelf.store.drop(incoming)
    await fails(Temporary, shelf.store.receive(half, other, 1))
    assert shelf.files() == [sha256(b"x" * 2**19).hexdigest()]


async def test_a_write_that_fails_leaves_nothing(shelf: Shelf) -> None:
    async def refuse(connection: Connection, file: StoredFile) -> None:
        raise Temporary("STORAGE_UNAVAILABLE")

    incoming = await shelf.coming(b"one")
    await fails(Temporary, shelf.store.keep(incoming, "text/csv", "li", refuse))
    assert await queries.get(shelf.database, incoming.id) is None
    assert await pieces(shelf) == 0
    assert not incoming.path.exists()
    await shelf.store.sweep([KIND])
    assert len(shelf.files()) == 1, "somebody may be entering them"
    for path in shelf.folder.rglob("*"):
        os.utime(path, (time.time() - 3 * 3600,) * 2)
    await shelf.store.sweep([KIND])
    assert shelf.files() == []


async def test_a_killed_process_leaves_parts_that_are_swept(shelf: Shelf) -> None:
    await shelf.coming(b"one")
    arriving = await shelf.coming(b"two")
    shelf.store._arriving = {arriving.id: arriving}
    await shelf.store.sweep([KIND])
    assert shelf.files() == [arriving.path.name]


async def test_pieces_of_what_was_never_entered_are_swept(shelf: Shelf) -> None:
    kept = await shelf.keep(b"one")
    await queries.put(shelf.database, 7, 0, b"left by a process that was killed")
    await shelf.store.sweep([KIND])
    assert await pieces(shelf) == 2, "somebody may be entering it"
    await shelf.database.execute("UPDATE file_piece SET put_at = now() - interval '3 hours'")
    await shelf.store.sweep([KIND])
    assert await shelf.database.fetchval("SELECT file_id FROM file_piece") == kept.id


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../etc/passwd", "passwd"), ("C:\\a\\b.csv", "b.csv"), ("", "file"), ("..", ".."), ("a/", "file"),
        ("\x00\x1b[31m\u202eevil\n.csv", "[31mevil.csv"), ("长" * 500, "长" * 128), ("/", "file"),
    ],
)  # fmt: skip
async def test_names_lead_nowhere(shelf: Shelf, given: str, shown: str) -> None:
    assert plain_name(given) == shown
    file = await shelf.keep(given.encode() + b"x", FileKind("test", 10_000, DAY), given)
    assert file.name == shown
    assert (await shelf.store.path(file.id) or Path()).is_relative_to(shelf.folder)


async def pieces(shelf: Shelf) -> int:
    return int(await shelf.database.fetchval("SELECT count(*) FROM file_piece"))


@pytest.mark.parametrize("octets", [b"", b"one", b"1" * PIECE, b"2" * PIECE + b"3"], ids=len)
async def test_another_node_fetches_what_it_has_not_got(shelf: Shelf, tmp_path: Path, octets: bytes) -> None:
    large = FileKind("large", 2**20, DAY)
    file = await shelf.keep(octets, large)
    shelf.folder = tmp_path / "of-another-node"
    there = shelf.make(node=2)
    both = await asyncio.gather(there.path(file.id), there.path(file.id))
    assert (both, shelf.content(octets).read_bytes()) == ([shelf.content(octets)] * 2, octets)
    assert shelf.files() == [sha256(octets).hexdigest()], "no drafts are left"
    assert await pieces(shelf) == max(1, -(-len(octets) // PIECE))
    shelf.later = 2 * DAY
    assert await there.sweep([large]) == 1, "the node that has received it may never come back"
    assert (await pieces(shelf), shelf.files()) == (0, [])
    assert await there.path(file.id) is None


async def test_what_an_earlier_release_keeps_to_itself_is_shared_by_its_node(shelf: Shelf, tmp_path: Path) -> None:
    file = await shelf.keep(b"one")
    await shelf.database.execute("DELETE FROM file_piece")
    await shelf.database.execute("UPDATE file SET pieces = 0")
    home, shelf.folder = shelf.store, tmp_path / "of-another-node"
    there = shelf.make(node=2)
    with pytest.raises(Elsewhere) as caught:
        await there.path(file.id)
    assert caught.value.node == 1
    shelf.later = 2 * DAY
    assert await there.sweep([KIND]) == 0
    shelf.later = timedelta(0)
    await home.sweep([KIND])
    assert (await there.path(file.id) or Path()).read_bytes() == b"one"


async def test_octets_that_are_not_those_of_the_file_are_never_shown(shelf: Shelf, tmp_path: Path) -> None:
    file = await shelf.keep(b"one")
    await fails(Temporary, shelf.store._enter(replace(file, id=shelf.id()), shelf.content(b"one"), None), "摘要不符")
    await shelf.database.execute("UPDATE file_piece SET octets = 'two'")
    shelf.folder = tmp_path / "of-another-node"
    there = shelf.make(node=2)
    await fails(Temporary, there.path(file.id), "摘要不符")
    await shelf.database.execute("DELETE FROM file_piece")
    await fails(Temporary, there.path(file.id), "摘要不符")
    assert shelf.files() == []


async def test_what_can_be_made_anew_lies_on_its_node_alone(shelf: Shelf, tmp_path: Path) -> None:
    anew = FileKind("anew", 1000, DAY, shared=False)
    file = await shelf.keep(b"one", anew)
    home, shelf.folder = shelf.store, tmp_path / "of-another-node"
    await home.sweep([anew])
    assert await pieces(shelf) == 0
    with pytest.raises(Elsewhere, match="节点 1"):
        await shelf.make(node=2).path(file.id)
    assert (await home.path(file.id) or Path()).read_bytes() == b"one"
    shelf.later = 2 * DAY
    assert await home.sweep([anew]) == 1


async def test_pieces_are_tried_again_over_a_short_outage(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    put, times = queries.put, 0

    async def away_at_first(database: Database, file_id: int, n: int, octets: bytes) -> None:
        nonlocal times
        times += 1
        if times == 1:
            raise Temporary("STORAGE_UNAVAILABLE")
        await put(database, file_id, n, octets)

    monkeypatch.setattr(queries, "put", away_at_first)
    await shelf.keep(b"one")
    assert (times, await pieces(shelf)) == (2, 1)
    monkeypatch.setattr(service, "OUTAGE", 0.0)
    times = 0
    await fails(Temporary, shelf.keep(b"two"))
    assert await pieces(shelf) == 1


async def test_a_file_that_cannot_be_removed_keeps_no_other(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "PIECE", 1)
    for octets in (b"stays", b"1" * 150):
        await shelf.keep(octets)
    shelf.content(b"stays").unlink()
    shelf.content(b"stays").mkdir()
    await queries.put(shelf.database, 7, 0, b"left by a process that was killed")
    await shelf.database.execute("UPDATE file_piece SET put_at = now() - interval '3 hours'")
    shelf.later = 2 * DAY
    both = await asyncio.gather(*(shelf.make(node).sweep([KIND]) for node in (1, 2)))
    assert sum(both) == 1, "of all nodes that try, one has removed it"
    assert await pieces(shelf) == len(b"stays")


async def test_copies_have_their_room_and_go_when_nobody_reads_them(shelf: Shelf, tmp_path: Path) -> None:
    large = FileKind("large", 2**20, 9 * DAY)
    files = [await shelf.keep(octets * 2**18, large) for octets in (b"1", b"2")]
    shelf.folder = tmp_path / "of-another-node"
    shelf.store = there = shelf.make(node=2)
    for file in files:
        await there.path(file.id)
    await there.sweep([large])
    assert len(shelf.files()) == 2
    await fails(Temporary, there.receive(large, None, 2**19 + 1), "空间已满")
    shelf.later = COPY_FOR * 0.9
    await there.path(files[0].id)
    shelf.later = COPY_FOR * 1.1
    await there.sweep([large])
    assert shelf.files() == [files[0].sha256.hex()]
    there.drop(await there.receive(large, None, 2**19))
    assert await there.path(files[1].id) == shelf.content(b"2" * 2**18)


async def test_entering_and_removing_the_same_octets_at_once_loses_none(shelf: Shelf) -> None:
    for _ in range(15):
        old = await shelf.keep(b"one", FileKind("test", 1000, -DAY))
        fresh, _ = await asyncio.gather(shelf.keep(b"one"), shelf.store.sweep([KIND]))
        assert await shelf.store.path(old.id) is None
        assert (await shelf.store.path(fresh.id) or Path()).read_bytes() == b"one"
        await shelf.database.execute("DELETE FROM file")


async def test_what_an_earlier_release_has_left_is_taken_over(shelf: Shelf) -> None:
    """Its files lie under their ids; they can be read before and after, and go when their time is over."""
    files = Files(shelf.database, shelf.store, node=1, now=shelf.now)
    shelf.folder.mkdir()
    made: dict[int, bytes] = {}
    for n, octets in enumerate((b"13800000001", b"13800000001", b"13800000002")):
        id_ = shelf.id()
        upload = Upload(id=id_, account_id=shelf.account_id, node=1, name="a.csv", size=len(octets),
                        form={"kind": "csv"}, columns=("A",), phone_column=0, first_rows=[], rows=1, submitter="li",
                        expires_at=shelf.now() + (DAY if n else -DAY))  # fmt: skip
        async with shelf.database.transaction() as connection:
            await uploads.add(connection, upload)
        (shelf.folder / str(id_)).write_bytes(octets)
        made[id_] = octets
    stranger = shelf.folder / str(shelf.id())
    stranger.write_bytes(b"never entered")
    expired, *good = made
    for id_ in good:
        assert (await files.path(id_) or Path()).read_bytes() == made[id_]
    await files.sweep()
    assert shelf.files() == sorted({sha256(made[id_]).hexdigest() for id_ in good})
    for id_ in good:
        assert (await files.path(id_) or Path()).read_bytes() == made[id_]
        assert (await files.get(id_, accounts=None)).name == "a.csv"
    assert await files.path(expired) is None
    await files.sweep()
    assert len(shelf.files()) == 2
    shelf.later = 2 * DAY
    await files.sweep()
    assert shelf.files() == []
    await fails(SmsgwError, files.get(good[0], accounts=None))
