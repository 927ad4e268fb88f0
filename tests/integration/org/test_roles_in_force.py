"""Roles have no section: what they let do is read with every request, whole, on every node (docs/adr/051)."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest_asyncio
from changes import by_test
from databases import owner

from smsgw.core.actor import ScopeKind
from smsgw.core.permissions import Permission
from smsgw.pipeline.snapshot import SnapshotFollower
from smsgw.platform.org import queries, service as org, sessions
from smsgw.platform.org.model import Person
from smsgw.runtime import aio
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer

P = Permission
TOKEN = hashlib.sha256(b"of the cookie").digest()


@pytest_asyncio.fixture
async def database(database: Database) -> Database:
    await org.add_role(by_test(database), "desk", "窗口", [P.MESSAGE_VIEW], ScopeKind.ALL)
    await org.add_person(by_test(database), "zhang", "张三", ["desk"], "hash")
    found = await queries.person(database, "zhang")
    assert found is not None
    assert await sessions.open_session(database, found, "hash", TOKEN, "csrf", "127.0.0.1")
    return database


@pytest_asyncio.fixture
async def writer(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(owner(dsn))
    yield connection
    await connection.close()


async def seen(database: Database) -> Person:
    session = await queries.session(database, TOKEN, "127.0.0.1")
    return session.person


async def test_editing_a_role_reloads_nothing_and_counts_with_the_next_request_on_every_node(
    database: Database, dsn: str
) -> None:
    follower = SnapshotFollower(database, Sealer(bytes(32)))
    await follower.follow()
    follower.loads.clear()
    before = follower.current
    elsewhere = Database(dsn)
    await elsewhere.open()
    try:
        assert (await seen(elsewhere)).permissions == {P.MESSAGE_VIEW}
        for permissions, scope in (([P.AUDIT_VIEW], ScopeKind.OWN), ([], ScopeKind.ACCOUNTS)):
            await org.set_role(by_test(database), "desk", name="台", permissions=permissions, scope=scope)
            for node in (database, elsewhere):
                person = await seen(node)
                assert person.permissions == set(permissions)
                assert person.scope.accounts == ()
        await org.add_person(by_test(database), "keeper", "管", ["super"], "hash")
        await org.grant(by_test(database), "zhang", ["super"])
        assert (await seen(elsewhere)).scope.accounts is None
        await org.stop_person(by_test(database), "zhang")
        assert await queries.session(elsewhere, TOKEN, "127.0.0.1") is None
    finally:
        await elsewhere.close()
    assert not await follower.follow()
    assert follower.current is before
    assert not follower.loads


async def test_a_request_sees_all_of_a_changed_role_or_nothing(database: Database, writer: asyncpg.Connection) -> None:
    """Rights, scope and what is the person's own are changed one after the other in a transaction."""
    narrow = (frozenset({P.MESSAGE_VIEW, P.MESSAGE_SEND}), "zhang")
    wide = (frozenset({P.AUDIT_VIEW, P.AUDIT_EXPORT}), None)
    states = ((narrow, "own", "message.view", "message.send"), (wide, "all", "audit.view", "audit.export"))

    async def write() -> None:
        for n in itertools.count():
            if n >= 120 and (min(counted[narrow], counted[wide]) > 3 or time.monotonic() > deadline):
                return
            _, scope, of_role, own = states[n % 2]
            async with writer.transaction():
                await writer.execute("UPDATE role SET permissions = ARRAY[$1] WHERE code = 'desk'", of_role)
                await asyncio.sleep(0)
                await writer.execute("DELETE FROM staff_permission")
                await writer.execute(
                    "INSERT INTO staff_permission SELECT id, $1, true FROM staff WHERE login = 'zhang'", own
                )
                await asyncio.sleep(0)
                await writer.execute("UPDATE role SET scope = $1 WHERE code = 'desk'", scope)

    first = await seen(database)
    known = {(first.permissions, first.scope.submitter), narrow, wide}
    counted = dict.fromkeys(known, 0)
    deadline = time.monotonic() + 30
    writing = aio.spawn(write(), name="writing")
    while not writing.done():
        person = await seen(database)
        counted[person.permissions, person.scope.submitter] += 1  # KeyError: half of a change
    await writing
    assert counted[narrow] > 3
    assert counted[wide] > 3


_MANY = """
INSERT INTO department (name, parent_id) SELECT 'd' || n, NULL FROM generate_series(1, 20) n;
INSERT INTO department (name, parent_id)
SELECT 'e' || n, d.id FROM generate_series(1, 400) n JOIN department d ON d.name = 'd' || (1 + n % 20);
INSERT INTO account (name, department_id)
SELECT 'a' || n, (SELECT min(id) FROM department) + n % 400 FROM generate_series(1, 3000) n;
INSERT INTO staff (login, name, password_hash, department_id)
SELECT 'p' || n, 'p', 'h', (SELECT min(id) FROM department) + n % 400 FROM generate_series(1, 5000) n;
INSERT INTO staff_role
SELECT s.id, r.id FROM staff s, role r WHERE s.login LIKE 'p%' AND r.code IN ('operator', 'dept');
INSERT INTO staff_permission SELECT id, 'audit.view', true FROM staff WHERE login LIKE 'p%';
INSERT INTO staff_account
SELECT s.id, a.id FROM staff s JOIN account a ON a.name = 'a' || (1 + s.id % 3000) WHERE s.login LIKE 'p%';
INSERT INTO portal_session (token_sha256, staff_id, csrf, ip)
SELECT sha256(convert_to(n || '/' || id, 'utf8')), id, 'c', '127.0.0.1' FROM staff, generate_series(1, 3) n
WHERE login LIKE 'p%';
UPDATE staff SET department_id = (SELECT min(id) FROM department) WHERE login = 'zhang';
ANALYZE;
"""
LARGE = {"staff", "staff_role", "staff_account", "staff_permission", "portal_session", "account"}


def scans(plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Table and node of everything in a plan that reads one."""
    if "Relation Name" in plan:
        yield plan["Relation Name"], plan["Node Type"]
    for below in plan.get("Plans", ()):
        yield from scans(below)


async def test_what_a_request_reads_of_its_person_does_not_grow_with_their_number(
    database: Database, writer: asyncpg.Connection
) -> None:
    """Three thousand accounts, five thousand people with three sessions each: one statement, by indexes."""
    await writer.execute(_MANY)
    told = await writer.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {queries._SESSION}", TOKEN, "127.0.0.1", timeout=60)
    (whole,) = json.loads(told)
    read = set(scans(whole["Plan"]))
    assert {table for table, _ in read} >= LARGE
    assert [one for one in read if one[0] in LARGE and one[1] == "Seq Scan"] == []
    assert (await seen(database)).scope.accounts is None
