"""Node numbers: one data directory each, by lease; and what nodes tell each other with each beat."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from databases import change

from smsgw.core.ids import IdSource, first_id
from smsgw.platform.links import queries as links
from smsgw.store.engine import leases, nodes
from smsgw.store.engine.database import Database
from smsgw.store.engine.journal import Journal, node_of
from smsgw.store.engine.migrate import SCHEMA_VERSION

ROOT = Path(__file__).parents[3]


def directory(tmp_path: Path, name: str) -> nodes.Identity:
    """What the data directory of that name says of itself."""
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    return nodes.identity(folder)


async def take(database: Database, tmp_path: Path, name: str, wanted: int = 0) -> nodes.Number:
    """A number for the data directory of that name."""
    return await nodes.take(database, directory(tmp_path, name), wanted)


async def dies(database: Database, number: nodes.Number, ago: str = "1 second") -> None:
    """Its lease is over, and it has not been seen since."""
    for statement in (
        "UPDATE lease SET expires_at = now() - $2::text::interval WHERE resource = 'node/' || $1::int",
        "UPDATE node SET seen_at = now() - $2::text::interval WHERE number = $1",
    ):
        await database.execute(statement, number.number, ago)


async def test_the_age_of_a_database_is_asked_as_the_text_says(database: Database, tmp_path: Path) -> None:
    """One machine of three (docs/ha.md): whether what it has is old decides if people get messages twice."""
    asked = re.search(r"psql smsgw -Atc '(.+?)'", (ROOT / "docs/ha.md").read_text("utf-8"))
    assert asked
    one = await take(database, tmp_path, "one")
    await dies(database, one, "90 minutes")
    old = await database.fetchval(asked[1])
    await nodes.beat(database, one, 0)
    new = await database.fetchval(asked[1])
    assert abs((new - old).total_seconds() - 90 * 60) < 60


async def test_nodes_count_those_that_have_said_so_lately(database: Database, tmp_path: Path) -> None:
    one = await take(database, tmp_path, "one")
    assert (await nodes.beat(database, one, 0)).live == 1
    two = await take(database, tmp_path, "two")
    assert (one.number, two.number) == (1, 2)
    assert (await nodes.beat(database, one, 5)).live == 2
    heard = await nodes.beat(database, two, 3)
    assert (heard.live, heard.newest) == (2, 5)
    assert abs(heard.word.at.timestamp() - datetime.now(UTC).timestamp()) < 5
    await nodes.leave(database, two, 9)
    assert (await nodes.beat(database, one, 6)).live == 1
    assert (await nodes.beat(database, one, 6)).newest == 9
    held = await leases.acquire(database, "channel/1", 3)
    assert held is not None
    assert (await nodes.beat(database, one, 6)).live == 1  # a lease of something else is no sign of life


async def test_a_data_directory_keeps_its_number(database: Database, tmp_path: Path) -> None:
    first = await take(database, tmp_path, "one")
    second = await take(database, tmp_path, "two")
    # Killed and started again, at once; and after weeks, when others have come.
    again = await take(database, tmp_path, "two")
    assert (again.number, again.epoch > second.epoch) == (2, True)
    await dies(database, first, "29 days")
    assert (await take(database, tmp_path, "three")).number == 3
    assert (await take(database, tmp_path, "one")).number == 1
    # The file names it even where the database does not know it any more.
    await change(database.dsn, "DELETE FROM node WHERE number = 3")
    await database.execute("DELETE FROM lease WHERE resource = 'node/3'")
    assert (await take(database, tmp_path, "three")).number == 3


async def test_a_number_that_was_not_seen_for_long_is_free(database: Database, tmp_path: Path) -> None:
    first = await take(database, tmp_path, "one")
    await dies(database, first, "31 days")
    assert (await take(database, tmp_path, "two")).number == 1
    assert (await take(database, tmp_path, "one")).number == 2


async def test_many_at_once_have_numbers_of_their_own(database: Database, tmp_path: Path) -> None:
    taken = await asyncio.gather(*(take(database, tmp_path, str(n)) for n in range(8)))
    assert sorted(number.number for number in taken) == list(range(1, 9))


async def test_a_given_number_is_asserted(database: Database, tmp_path: Path) -> None:
    holder = await take(database, tmp_path, "one", 7)
    with pytest.raises(nodes.NumberTaken) as refused:
        await take(database, tmp_path, "two", 7)
    told = str(refused.value)
    for word in ("node number 7", str(tmp_path / "one"), "since 20", "or 0 for any", "stop the other"):
        assert word in told
    await dies(database, holder)
    taken = await take(database, tmp_path, "two", 7)
    assert taken.number == 7
    with pytest.raises(nodes.NumberTaken, match=r"was taken by \S+two while"):
        await nodes.beat(database, holder, 0)
    assert (await nodes.beat(database, taken, 0)).live == 1, "who has lost it prolongs nothing"
    with pytest.raises(nodes.NumberTaken, match="lives"):
        await take(database, tmp_path, "one", 7)
    assert (await take(database, tmp_path, "one")).number == 1


async def test_a_copied_data_directory_is_noticed(database: Database, tmp_path: Path) -> None:
    """A machine was cloned: both are the same instance, and the later one has the number."""
    original = await take(database, tmp_path, "one")
    copy = await take(database, tmp_path, "one")
    await nodes.beat(database, copy, 0)
    with pytest.raises(nodes.NumberTaken):
        await nodes.beat(database, original, 0)


async def test_what_the_one_before_holds_is_not_ours(database: Database, tmp_path: Path) -> None:
    """Channels of whoever had the number live until their own leases end; a restart has its own back at once."""
    before = await take(database, tmp_path, "one")
    held = await leases.acquire(database, "channel/1", before.number)
    assert held is not None
    assert (await take(database, tmp_path, "one")).number == before.number
    again = await leases.acquire(database, "channel/1", before.number)
    assert again is not None, "a restart"
    await dies(database, before)
    other = await take(database, tmp_path, "two", before.number)
    assert await leases.acquire(database, "channel/1", other.number) is None
    assert await leases.renew(database, [again]) == []
    await database.execute("UPDATE lease SET expires_at = now() WHERE resource = 'channel/1'")
    assert await leases.acquire(database, "channel/1", other.number) is not None


async def test_ids_go_on_above_those_made_before(database: Database, tmp_path: Path) -> None:
    ahead = first_id(datetime(2050, 1, 1, tzinfo=UTC))
    number = await take(database, tmp_path, "one")
    assert number.after == 0
    await nodes.beat(database, number, ahead)
    await nodes.beat(database, number, ahead - 1)
    again = await take(database, tmp_path, "one")
    assert again.after == ahead
    ids = IdSource(again.number, lambda: int(datetime.now(UTC).timestamp() * 1000), after=again.after)
    assert ids.next() > ahead


_OLD_BEAT = """
INSERT INTO lease (resource, node, epoch, expires_at)
VALUES ('node/' || $1::int, $1, 0, clock_timestamp() + interval '15 seconds')
ON CONFLICT (resource) DO UPDATE SET expires_at = excluded.expires_at
"""


@pytest.mark.parametrize("before", [True, False], ids=["journal of the version before", "journal of this one"])
async def test_an_upgrade_goes_on_with_its_number(database: Database, tmp_path: Path, before: bool) -> None:
    """Stopped a moment ago: its lease still runs, and nobody prolongs it."""
    folder = tmp_path / "one"
    if before:
        (folder / "journal").mkdir(parents=True)
        header = b"SMSGWJ01" + (4).to_bytes(4, "big") + b"0" * 36
        (folder / "journal" / "000000000001.journal").write_bytes(header.ljust(1 << 16, b"\0"))
    else:
        journal = Journal(folder / "journal", 4, "0" * 36)
        journal.open()
        journal.close()
    assert node_of(folder / "journal") == 4
    assert node_of(tmp_path) == 0
    await database.execute(_OLD_BEAT, 4)
    held = await leases.acquire(database, "channel/1", 4)
    number = await nodes.take(database, nodes.identity(folder, had=node_of(folder / "journal")), 0)
    assert number.number == 4
    assert held is not None
    assert await leases.acquire(database, "channel/1", 4) is not None, "its channels are its own"


async def test_a_node_of_an_earlier_version_lives(database: Database, tmp_path: Path) -> None:
    await database.execute(_OLD_BEAT, 1)

    async def lives() -> None:
        while True:
            await database.execute(_OLD_BEAT, 1)
            await asyncio.sleep(0.2)

    beating = asyncio.get_running_loop().create_task(lives())
    try:
        assert (await take(database, tmp_path, "one")).number == 2
        with pytest.raises(nodes.NumberTaken, match="an earlier version"):
            await take(database, tmp_path, "two", 1)
    finally:
        beating.cancel()


def test_the_file_of_a_data_directory(tmp_path: Path) -> None:
    new = nodes.identity(tmp_path, had=3)
    assert nodes.identity(tmp_path) == new
    assert new.number == 3
    (tmp_path / nodes.FILE).write_text('{"instance": "x", "number": 1}')
    with pytest.raises(nodes.IdentityUnreadable, match="put it back from a backup, or remove it"):
        nodes.identity(tmp_path)


async def test_a_node_is_behind_whose_program_says_nothing_under_its_lease(database: Database, tmp_path: Path) -> None:
    one = await take(database, tmp_path, "one")
    two = await take(database, tmp_path, "two")
    async with database.acquire(timeout=5) as connection:
        assert await nodes.behind(connection, SCHEMA_VERSION) == []
        assert await nodes.behind(connection, SCHEMA_VERSION + 1) == [one.number, two.number]
        await database.execute("UPDATE lease SET epoch = epoch + 100 WHERE resource = 'node/' || $1::int", one.number)
        assert await nodes.behind(connection, SCHEMA_VERSION) == [one.number], "an older program has taken it back"
        await dies(database, one)
        assert await nodes.behind(connection, SCHEMA_VERSION) == []


async def test_links_that_no_node_serves_are_an_alarm(database: Database, tmp_path: Path) -> None:
    async def alarmed(*hosts: str) -> list[str]:
        return [found.kind for found in await links.unserved(database, hosts)]

    one = await take(database, tmp_path, "one")
    assert await alarmed() == []  # nobody uses any
    assert await alarmed("s.example.cn") == ["links_unserved"]
    two = await nodes.take(database, directory(tmp_path, "two"), 0, serves_links=True)
    assert await alarmed("s.example.cn") == []
    await nodes.leave(database, two, 0)
    assert await alarmed("s.example.cn") == ["links_unserved"]
    await database.execute("UPDATE node SET serves_links = NULL WHERE number = $1", one.number)
    assert await alarmed("s.example.cn") == []  # an earlier version does not say
