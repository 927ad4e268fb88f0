"""Each address of the portal with each role that comes with the program, with each single permission and with no login,
and each operation of the API with each scope: let in or refused as docs/rights.md says, by the functions that decide
when it runs. (At the control socket and for partners no right decides: all who are let in may the same.)"""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from smsgw.admin import app as portal, proving
from smsgw.admin.call import Call
from smsgw.admin.rights import Route
from smsgw.api.app import _permit
from smsgw.api.routes import ROUTES
from smsgw.core.actor import ScopeKind
from smsgw.core.errors import Refused
from smsgw.core.permissions import SCOPES, Permission
from smsgw.platform.org import queries
from smsgw.platform.org.model import Person, Role
from smsgw.store.engine.database import Database

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "rights.md"
PATTERN = re.compile(r"\{(\w+):(?:[^{}]|\{[^{}]*\})*\}")


def said(head: str) -> Iterator[list[list[str]]]:
    """The rows of a table of the document: in each cell what stands between backticks, or its words."""
    table = DOCUMENT.read_text("utf-8").partition(f"| {head} |\n")[2].partition("\n\n")[0]
    for row in table.splitlines()[1:]:
        yield [re.findall(r"`([^`]+)`", cell) or cell.split() for cell in row[2:-2].split(" | ")]


async def test_the_document_is_up_to_date(roles: list[Role]) -> None:
    made = runpy.run_path(str(ROOT / "scripts" / "docs"))["rights"](roles)
    assert made == DOCUMENT.read_text("utf-8"), "run scripts/docs"


@pytest.fixture
async def roles(dsn: str) -> list[Role]:
    database = Database(dsn)
    await database.open()
    try:
        return await queries.roles(database)
    finally:
        await database.close()


@pytest.mark.slow
async def test_every_address_of_the_portal_with_every_role_and_permission(
    roles: list[Role], monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = {f"{method} {path}": need[0] for paths, *needs in said("addresses | GET | POST")
              for method, need in zip(("GET", "POST"), needs, strict=True) if need for path in paths}  # fmt: skip
    with_it = {right[0]: {*right, *others, "self.edit"} for right, others in said("permission | with it")}
    may = {role[0]: set(with_it) if rights == ["all"] else {*rights, "self.edit"}
           for role, _, _, rights in said("role | name | data | permissions")}  # fmt: skip
    assert {role.code for role in roles} == may.keys()
    single = {right: Role(0, right, "", frozenset({right}), ScopeKind.OWN) for right in Permission}
    who: list[tuple[str, Person | None, set[str]]] = [("nobody", None, set())]
    who += [(role.code, Person(1, "x", "", (role,)), may[role.code]) for role in roles]
    who += [(right, Person(1, "x", "", (role,)), with_it[right]) for right, role in single.items()]
    routes = portal.routes()
    assert {_operation(route) for route in routes} == needed.keys()
    door, wrong = Door(monkeypatch), []
    for name, person, rights in who:
        for route in routes:
            need = needed[_operation(route)]
            right = need == "public" or (person is not None and (need == "self" or need in rights))
            if await door.lets_in(route, person) != right:
                wrong.append((name, _operation(route), "is refused" if right else "is let in"))
    print(f"{len(routes)} addresses × {len(who)} = {len(routes) * len(who)} pairs")
    assert wrong == []


def _operation(route: Route) -> str:
    return f"{route.method} " + PATTERN.sub(r"{\1}", route.path)


class Door:
    """The way of a request to its handler, which only says that it was reached: whose session it is, is given; the
    token of a form, and a fresh proof of who one is, are not asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def identify(call: Call, _: Route) -> bool:
            call.staff = self._person
            return False

        async def nothing(*_: object) -> None:
            return None

        async def reached(_: Call) -> web.StreamResponse:
            return web.Response(status=299)

        monkeypatch.setattr(portal, "_identify", identify)
        monkeypatch.setattr(portal, "_check_change", nothing)
        monkeypatch.setattr(proving, "ask", nothing)
        self._person: Person | None = None
        self._reached = reached
        self._portal: Any = SimpleNamespace(context=SimpleNamespace(trusted_proxies=()))
        self._requests = {method: make_mocked_request(method, "/") for method in ("GET", "POST")}

    async def lets_in(self, route: Route, person: Person | None) -> bool:
        self._person = person
        call = Call(self._requests[route.method], self._portal, "", "zh")
        try:
            response = await portal._answer(call, replace(route, handler=self._reached))
        except web.HTTPForbidden:
            return False
        assert response.status in (299, 302, 303)
        return response.status == 299


def test_every_operation_of_the_api_with_every_scope() -> None:
    needed = {" ".join(operation): scope[0] for operation, scope in said("operation | scope")}
    assert {f"{route.method} {route.path}" for route in ROUTES} == needed.keys()
    every = {scope[0] for scope, _ in said("scope | permissions")}
    assert every == SCOPES.keys()
    keys = [set[str](), every, *({scope} for scope in every), *(every - {scope} for scope in every)]
    wrong = []
    for route in ROUTES:
        for scopes in keys:
            call: Any = SimpleNamespace(key=SimpleNamespace(scopes=frozenset(scopes)))
            try:
                _permit(call, route)
                refused = False
            except Refused as exc:
                refused = exc.code == "SCOPE_DENIED"
            if refused == (needed[f"{route.method} {route.path}"] in scopes):
                wrong.append((route.method, route.path, sorted(scopes)))
    print(f"{len(ROUTES)} operations × {len(keys)} = {len(ROUTES) * len(keys)} pairs")
    assert wrong == []
