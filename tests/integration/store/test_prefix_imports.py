"""Files of prefixes and ported numbers: the difference is told, all or nothing is brought in, and it is taken back."""

from __future__ import annotations

import asyncio

import pytest
from changes import by_test

from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.platform.routing import prefix_imports, prefixes
from smsgw.platform.routing.prefix_imports import Difference, Undone
from smsgw.store.config import numbers
from smsgw.store.engine.database import Database

FILE = "号段,运营商,省\n1380013,联通,北京\n13900139000,CTCC\n1700000,移动,\n"


async def there(database: Database) -> dict[str, tuple[str, str, str]]:
    rows = await database.fetch("SELECT prefix, carrier, province, source FROM number_override")
    return {row["prefix"]: (row["carrier"], row["province"], row["source"]) for row in rows}


async def brought(database: Database, name: str, entries: prefix_imports.Entries) -> int:
    return await prefix_imports.bring_in(by_test(database), name, entries)


async def taken_back(database: Database, id_: int) -> Undone:
    return await prefix_imports.take_back(by_test(database), id_)


async def known_before(database: Database) -> dict[str, tuple[str, str, str]]:
    await prefixes.put(by_test(database), "1380013", "CMCC", "上海")
    await prefixes.put(by_test(database), "1700000", "CMCC")
    async with database.transaction() as connection:
        await numbers.learn(connection, "13900139000", "CUCC", "NP:1")
    return await there(database)


def test_a_file_is_read_with_its_lines_that_are_none() -> None:
    found = prefix_imports.parse(FILE)
    assert found.entries == {"1380013": ("CUCC", "北京"), "13900139000": ("CTCC", ""), "1700000": ("CMCC", "")}
    assert found.problems == []
    assert prefix_imports.parse(prefix_imports.decode(FILE.encode("gbk"))) == found
    assert prefix_imports.parse(prefix_imports.decode(FILE.encode("utf-8-sig"))) == found
    bad = prefix_imports.parse("12,CMCC\n1380013,nobody\n\n1380014\n")
    assert [one.line for one in bad.problems] == [1, 2, 4]
    for first in ("+861380013,CMCC", "x,移动", "l380013,电信", "号段1380013,"):
        assert [one.line for one in prefix_imports.parse(f"{first}\n1380014,CMCC\n").problems] == [1], first
    broken = prefix_imports.parse('1380014,CMCC\n"' + "1" * 200_000 + "\n")
    assert [one.line for one in broken.problems] == [2]


async def test_the_difference_is_told_before_and_taken_back_afterwards(database: Database) -> None:
    before, entries = await known_before(database), prefix_imports.parse(FILE + "1710000,广电\n").entries
    told = await prefix_imports.difference(database, entries)
    assert told == Difference(added=1, changed=2, same=1, learned=1, messages=0, moved=0)
    assert await there(database) == before, "only told"
    id_ = await brought(database, "f.csv", entries)
    after = await there(database)
    assert after["1380013"] == ("CUCC", "北京", "import")
    assert after["13900139000"] == ("CTCC", "", "import")
    found = await prefix_imports.one(database, id_)
    assert (found.added, found.changed, found.same, found.open) == (1, 2, 1, True)
    assert await prefix_imports.would_take_back(database, [found]) == Undone(3, 0)
    assert await taken_back(database, id_) == Undone(3, 0)
    assert await there(database) == before
    with pytest.raises(Refused):
        await taken_back(database, id_)


async def test_what_something_else_has_changed_since_stays(database: Database) -> None:
    before, entries = await known_before(database), prefix_imports.parse(FILE).entries
    id_ = await brought(database, "f.csv", entries)
    async with database.transaction() as connection:
        await numbers.learn(connection, "13900139000", "CMCC", "NP:2")
    assert await taken_back(database, id_) == Undone(1, 1)
    assert await there(database) == before | {"13900139000": ("CMCC", "", "learned")}


async def test_reports_wait_for_no_file(database: Database) -> None:
    """What a carrier's code says while a file is brought in is let go; afterwards it is learned as ever."""
    change = by_test(database)
    async with change.unit(Permission.NUMBER_EDIT) as unit:
        await prefix_imports.bring_in(change, "f.csv", {"13900139000": ("CUCC", "")})
        async with asyncio.timeout(5), database.transaction() as connection:
            await numbers.learn(connection, "13900139000", "CTCC", "NP:1")
        unit.unchanged()
    assert (await there(database))["13900139000"][0] == "CUCC"
    async with database.transaction() as connection:
        await numbers.learn(connection, "13900139000", "CTCC", "NP:1")
    assert (await there(database))["13900139000"][0] == "CTCC"


async def test_files_that_overlap_are_taken_back_in_any_order(database: Database) -> None:
    """What was withdrawn does not come again when what has replaced it is taken back, too."""
    await prefixes.put(by_test(database), "1380013", "CMCC", "上海")
    before = await there(database)
    files: tuple[prefix_imports.Entries, ...] = (
        {"1380013": ("CUCC", ""), "1710000": ("CBN", "")}, {"1380013": ("CTCC", ""), "1710000": ("CUCC", "")},
        {"1710000": ("CTCC", "")},
    )  # fmt: skip
    ids = [await brought(database, "f.csv", entries) for entries in files]
    newest = await prefix_imports.latest(database)
    assert await prefix_imports.would_take_back(database, newest) == Undone(2, 0), "each entry once"
    assert await prefix_imports.would_take_back(database, newest[1:2]) == Undone(1, 1)
    for id_, done in zip(ids, (Undone(0, 2), Undone(1, 1), Undone(1, 0)), strict=True):
        assert await taken_back(database, id_) == done
    assert await there(database) == before


async def test_a_file_that_changes_nothing_takes_no_place(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix_imports, "KEPT", 1)
    id_ = await brought(database, "a.csv", {"1380013": ("CUCC", "")})
    same = await brought(database, "a.csv", {"1380013": ("CUCC", "")})
    assert [(one.id, one.open) for one in await prefix_imports.latest(database)][1:] == [(id_, True)]
    with pytest.raises(Refused):
        await taken_back(database, same)
    assert await taken_back(database, id_) == Undone(1, 0)


async def test_old_imports_cannot_be_taken_back(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix_imports, "KEPT", 1)
    first = await brought(database, "a.csv", {"1380013": ("CUCC", "")})
    await brought(database, "b.csv", {"1380014": ("CTCC", "")})
    with pytest.raises(Refused):
        await taken_back(database, first)
    with pytest.raises(Invalid):
        await brought(database, "c.csv", {})
    with pytest.raises(Refused):
        await taken_back(database, 99)
