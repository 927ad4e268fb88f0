"""Pages and answers do not depend on other accounts' data: a person of one department of the demo, with all
permissions, and the key of its account see the same before and after the rows of all other departments and accounts are
deleted."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from pathlib import Path

import asyncpg
import pytest
from api_server import Api, running as api_running
from browsing import Browser
from databases import admin
from foreign_things import furnish
from portal_site import PASSWORD_HASH, SEALER, by_test, running
from reaching import ROUTES, Page, operation, route_of

from smsgw.api.routes import ROUTES as OPERATIONS
from smsgw.core.permissions import ALL, SCOPES, Permission
from smsgw.demo.fill import fill
from smsgw.platform.keys.model import NewKey
from smsgw.runtime import clock
from smsgw.store.engine.database import Database

DEPARTMENT = "政务服务中心"
EACH = 1
"""Addresses of each route that are opened: with the ids and the filters of the first links that lead to it."""
NOT_OPENED = re.compile("/_ui|/logout|/login")
PLATFORM_WIDE = re.compile(r"/audit|/channels|/duty$|/numbers|/retention$|/security$|/tickets/\d+/assign$")
"""Show figures of the whole platform to whoever may see them; the audit log shows that pages are opened."""
QUERIES = {
    "/statistics": "?group=sign,channel",
    "/usage": "?group=account,department,key",
    "/webhooks/deliveries": "?state=any",
}
"""Of an operation that needs more than its path."""
_VOLATILE = re.compile(
    r"""(?xs) [\w.-]{16,} | "[\w-]{16,}" | \d\d:\d\d(:\d\d)?(\.\d+)? | \d\d%3A\d\d | 已等\ [\d ]+\ \w+
    | \d+\ 分(\ \d+\ 秒)? | <ul\ class="looks">.*?</ul> | <b\ data-audit="all">\d+</b>"""
)
"""Tokens, the time of day, and what has been looked at."""
_OWN = "SELECT id FROM department WHERE id = $1 OR parent_id = $1"
_ROLE = """
WITH made AS (
    INSERT INTO role (code, name, permissions, scope) VALUES ('whole', 'whole', $1, 'below') RETURNING id
), given AS (
    INSERT INTO staff_role (staff_id, role_id) SELECT $2, id FROM made
)
DELETE FROM staff_role WHERE staff_id = $2
"""
"""No role of the portal could have all of them: duties are kept apart."""
_TABLES_WITH = """
SELECT c.table_name FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND column_name = $1
  AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.table_name::regclass)
"""


async def delete_all_but(dsn: str, departments: list[int], accounts: list[int]) -> int:
    """Delete the rows of all other accounts and departments; how many. Account 0 stands for all of them."""
    connection = await asyncpg.connect(admin(dsn), timeout=60, command_timeout=300)
    gone = 0
    try:
        await connection.execute("SET session_replication_role = replica")  # without triggers and foreign keys
        for column, own in (("account_id", [0, *accounts]), ("department_id", departments)):
            for (table,) in await connection.fetch(_TABLES_WITH, column):
                told = await connection.execute(f"DELETE FROM {table} WHERE {column} <> ALL($1)", own)  # noqa: S608
                gone += int(told.split()[1])
        await connection.execute("DELETE FROM account WHERE id <> ALL($1)", accounts)
        await connection.execute("DELETE FROM department WHERE id <> ALL($1)", departments)
    finally:
        await connection.close()
    return gone


@pytest.mark.slow
async def test_pages_and_answers_do_not_depend_on_others_data(dsn: str, tmp_path: Path) -> None:
    database = Database(dsn, sealer=lambda: SEALER)
    await database.open()
    await fill(database, SEALER, password_hash=PASSWORD_HASH, now=clock.now(), days=9, daily=120)
    await database.close()
    async with (
        running(dsn, tmp_path) as site,
        api_running(dsn, tmp_path / "api", sealer=SEALER) as api,
        Browser(site) as browser,
    ):
        department = await site.db.fetchval("SELECT id FROM department WHERE name = $1", DEPARTMENT)
        departments = [row["id"] for row in await site.db.fetch(_OWN, department)]
        owned = await site.db.fetch("SELECT id FROM account WHERE department_id = ANY($1::bigint[])", departments)
        accounts = [row["id"] for row in owned]
        staff = await site.add_staff("walker", "operator")
        await site.db.execute("UPDATE staff SET department_id = $2 WHERE id = $1", staff, department)
        await site.db.execute(_ROLE, sorted(ALL - {Permission.SELF_EDIT}), staff)
        await furnish(site, by_test(site.db))
        await browser.login("walker")
        others = await site.db.fetch("SELECT name, login FROM staff WHERE department_id <> ALL($1)", departments)
        names = re.compile("|".join(sorted({re.escape(name) for row in others for name in row}, reverse=True)))
        key = await api.add_key(accounts[0], scopes=SCOPES)
        pages, told = await walk(browser), await answers(api, key)
        assert await delete_all_but(dsn, departments, accounts) > 1000
        changed = {}
        for path, text in pages.items():
            now = without_volatile(await browser.get(path))
            # who has done something keeps their name
            one, other = (names.sub("?", each).splitlines() for each in (text, now))
            if one != other and not PLATFORM_WIDE.match(path):
                changed[path] = [line for line in difflib.ndiff(one, other) if line[0] in "+-"]
        assert await answers(api, key) == told
    assert changed == {}, "\n".join(map(str, changed.items()))
    print(f"{len(pages)} pages do not depend on what belongs to others")


async def answers(api: Api, key: NewKey) -> dict[str, str]:
    """Path of each operation that reads a list or a sum -> what it answers with."""
    found = {}
    for path in (route.path for route in OPERATIONS if route.method == "GET" and "{" not in route.path):
        answer = await api.get(path + QUERIES.get(path, ""), key=key)
        assert answer.status == 200, (path, answer.body)
        found[path] = without_volatile(answer.raw.decode())
    return found


async def walk(browser: Browser) -> dict[str, str]:
    """Address -> what it shows, wherever links lead."""
    pages: dict[str, str] = {}
    seen: Counter[str] = Counter()
    waiting = ["/", *(route.path for route in ROUTES if route.method == "GET" and "{" not in route.path)]
    for path in waiting:
        route = route_of("GET", path)
        if route is None or path in pages or NOT_OPENED.match(path):
            continue
        name = operation(route)
        if seen[name] == EACH:
            continue
        seen[name] += 1
        text = await browser.get(path)
        assert browser.status < 500, (path, text)
        if browser.status == 200:
            pages[path] = without_volatile(text)
            if "html" in browser.headers.get("Content-Type", ""):
                waiting += Page(text, browser.path).links
    return pages


def without_volatile(text: str) -> str:
    """Without what differs from one request to the next."""
    return _VOLATILE.sub("?", text)
