"""What is known of numbers: learned from reports, taken back by them, brought in by files, asked for, acted upon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from api_server import Answer, Api, running
from changes import by_test

from smsgw.core import number_state
from smsgw.core.errors import Invalid, Refused
from smsgw.core.model import Report
from smsgw.core.number_state import NumberState
from smsgw.core.permissions import SCOPES, Permission
from smsgw.core.states import PartState
from smsgw.platform.numbers import service as number_service
from smsgw.platform.paging import Window
from smsgw.platform.policies import service as policies
from smsgw.platform.routing import prefix_imports, prefixes
from smsgw.platform.routing.prefix_imports import Difference, Import, Undone
from smsgw.platform.settings import service as settings_service
from smsgw.store.config import number_status as store, numbers
from smsgw.store.engine.database import Database

PHONE, OTHER = "13800138000", "13800138001"


@pytest_asyncio.fixture
async def api(dsn: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with running(dsn, tmp_path, now=lambda: datetime.now(UTC)) as built:
        await policies.put(by_test(built.ctx.db), "drop_empty", "true")
        await policies.put(by_test(built.ctx.db), "identical_seconds", "off")
        await built.ctx.snapshots.follow()
        yield built


async def send(api: Api, to: str = PHONE, **fields: Any) -> Answer:
    return await api.post("/messages", {"to": [to], "content": "您好", **fields})


async def reported(api: Api, cls: str, to: str = PHONE, *, test: bool = False) -> None:
    key = await api.add_key(test=True) if test else api.key
    answer = await api.post("/messages", {"to": [to], "content": "您好"}, key=key)
    assert answer.status == 202, answer.body
    id_ = int(answer.data["items"][0]["message_id"])
    channel = -1 if test else 7
    await api.ctx.db.execute(
        "UPDATE part SET state = 30, channel_id = $2, carrier_id = $3, answered_at = now() WHERE id = $1",
        id_, channel, str(id_),
    )  # fmt: skip
    state = PartState.UNDELIVERABLE if cls else PartState.DELIVERED
    await api.outcomes.report(Report(channel, str(id_), state, "X", cls, f"86{to}", datetime.now(UTC)))
    await api.numbers.step()


async def known(api: Api, *numbers: str) -> list[str]:
    key = await api.add_key(scopes=SCOPES)
    data = (await api.post("/numbers/check", {"numbers": list(numbers or [PHONE])}, key=key)).data
    return [item["state"] for item in data["items"]]


async def test_a_report_teaches_and_a_delivery_takes_it_back(api: Api) -> None:
    await reported(api, "POWERED_OFF")
    assert await known(api) == ["unknown"]
    await reported(api, "EMPTY_NUMBER")
    answer = await send(api)
    assert (answer.status, answer.code) == (400, "NUMBER_EMPTY")
    record = (await api.get(f"/messages/{answer.data['items'][0]['message_id']}")).data
    assert (record["status"], record["class"]) == ("rejected", "EMPTY_NUMBER")
    line = (await api.post("/messages/explain", {"to": [PHONE], "content": "您好"})).data["items"][0]
    assert {c["check"]: c["code"] for c in line["checks"]}["空号"] == "NUMBER_EMPTY"
    assert (await send(api, OTHER)).status == 202
    # Somebody whose policy lets it, sends, and it arrives.
    await policies.put(by_test(api.ctx.db), "drop_empty", "false", account_id=api.account_id)
    await api.ctx.snapshots.follow()
    await reported(api, "")
    assert await known(api) == ["live"]
    await policies.put(by_test(api.ctx.db), "drop_empty", "true", account_id=api.account_id)
    await api.ctx.snapshots.follow()
    assert (await send(api)).status == 202


async def test_test_messages_teach_nothing_and_what_is_suspended_is_shown_and_not_refused(api: Api) -> None:
    await reported(api, "EMPTY_NUMBER", test=True)
    assert await known(api) == ["unknown"]
    for cls, state in (("SUSPENDED", "suspended"), ("", "live")):
        await reported(api, cls)
        assert await known(api) == [state]


async def test_our_own_refusals_teach_nothing(api: Api) -> None:
    await number_service.learn(by_test(api.ctx.db), {f"86{PHONE}": NumberState.EMPTY}, datetime.now(UTC))
    await api.numbers.step()
    message_id = (await send(api)).data["items"][0]["message_id"]
    await number_service.forget(by_test(api.ctx.db), [f"86{PHONE}"])
    await api.numbers.step()
    assert (await send(api)).status == 202
    async with api.ctx.db.transaction() as connection:
        assert await store.learn(connection, [int(message_id)], {}) == 0


async def test_the_newest_word_counts_and_old_ones_do_not(api: Api) -> None:
    db, number, now = api.ctx.db, f"86{PHONE}", datetime.now(UTC)
    assert await number_service.learn(by_test(db), {number: NumberState.LIVE}, now) == 1
    assert await number_service.learn(by_test(db), {number: NumberState.EMPTY}, now - timedelta(days=1)) == 0
    assert await known(api) == ["live"]
    assert await number_service.learn(by_test(db), {number: NumberState.EMPTY}, now + timedelta(seconds=1)) == 1
    await api.numbers.step()
    assert api.numbers.empty(number)
    await number_service.forget(by_test(db), [number])
    assert await number_service.learn(by_test(db), {number: NumberState.EMPTY}, now - timedelta(days=80)) == 0, (
        "it was forgotten since"
    )
    other = f"86{OTHER}"
    assert await number_service.learn(by_test(db), {other: NumberState.EMPTY}, now - timedelta(days=80)) == 1
    await api.numbers.step()
    assert (api.numbers.empty(number), api.numbers.empty(other)) == (False, True)
    await settings_service.put(by_test(db), "number_status_days", 60)
    await api.ctx.snapshots.follow()
    await api.numbers.step()
    assert not api.numbers.empty(other)
    assert await known(api, OTHER) == ["unknown"]
    async with db.transaction() as connection:
        await store.sweep(connection, 60)
    assert await db.fetchval("SELECT count(*) FROM number_status") == 1  # the news of a removal


async def test_there_is_room_for_so_many_and_the_newest_stay(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    db, now = api.ctx.db, datetime.now(UTC)
    monkeypatch.setattr(number_service, "CHUNK", 2)
    for n in range(5):
        await number_service.learn(by_test(db), {f"86138{n:08d}": NumberState.EMPTY}, now)
    monkeypatch.setattr(store, "MAX_KNOWN", 3)
    await api.numbers.load()
    assert [n for n in range(5) if api.numbers.empty(f"86138{n:08d}")] == [2, 3, 4]
    async with db.transaction() as connection:
        await store.sweep(connection, 90, 3)
    assert await db.fetchval("SELECT array_agg(number % 10 ORDER BY number) FROM number_status") == [2, 3, 4]


async def test_what_is_asked_is_answered_in_order(api: Api) -> None:
    await number_service.learn(by_test(api.ctx.db), {f"86{OTHER}": NumberState.SILENT}, datetime.now(UTC))
    key = await api.add_key(scopes=SCOPES)
    answer = await api.post("/numbers/check", {"numbers": [PHONE, OTHER, "12"]}, key=key)
    assert answer.data["counts"] == {"unknown": 1, "silent": 1, "invalid": 1}
    assert [i["number"] for i in answer.data["items"]] == [PHONE, OTHER, "12"]
    assert (answer.data["items"][1]["state_name"], answer.data["items"][1]["source"]) == ("沉默号", "import")
    assert (await api.post("/numbers/check", {"numbers": []}, key=key)).code == "TO_EMPTY"
    assert (await api.post("/numbers/check", {"numbers": [PHONE] * 1001}, key=key)).code == "TO_TOO_MANY"


async def test_names_and_providers_codes() -> None:
    assert [number_state.parse(t) for t in ("空号", "0", "EMPTY ", "1", "2", "沉默号", "5")] == [
        "empty", "empty", "empty", "live", "suspended", "silent", "risky",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="空号"):
        number_state.parse("9")


FILE = "号段,运营商,省\n1380013,联通,北京\n13900139000,CTCC\n1700000,移动,\n"


async def there(database: Database) -> dict[str, tuple[str, str, str]]:
    rows = await database.fetch("SELECT prefix, carrier, province, source FROM number_override")
    return {row["prefix"]: (row["carrier"], row["province"], row["source"]) for row in rows}


async def brought(database: Database, name: str, entries: prefix_imports.Entries) -> int:
    return await prefix_imports.bring_in(by_test(database), name, entries)


async def latest(database: Database) -> Sequence[Import]:
    return (await prefix_imports.IMPORTS.search(database, by_test(database).actor, None, Window("id"))).rows


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
    found = await prefix_imports.IMPORTS.get(database, by_test(database).actor, id_)
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
        {"1380013": ("CUCC", ""), "1710000": ("CBN", "")},
        {"1380013": ("CTCC", ""), "1710000": ("CUCC", "")},
        {"1710000": ("CTCC", "")},
    )
    ids = [await brought(database, "f.csv", entries) for entries in files]
    newest = await latest(database)
    assert await prefix_imports.would_take_back(database, newest) == Undone(2, 0), "each entry once"
    assert await prefix_imports.would_take_back(database, newest[1:2]) == Undone(1, 1)
    for id_, done in zip(ids, (Undone(0, 2), Undone(1, 1), Undone(1, 0)), strict=True):
        assert await taken_back(database, id_) == done
    assert await there(database) == before


async def test_a_file_that_changes_nothing_takes_no_place(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix_imports, "KEPT", 1)
    id_ = await brought(database, "a.csv", {"1380013": ("CUCC", "")})
    same = await brought(database, "a.csv", {"1380013": ("CUCC", "")})
    assert [(one.id, one.open) for one in await latest(database)][1:] == [(id_, True)]
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
