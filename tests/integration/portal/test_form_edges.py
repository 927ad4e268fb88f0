"""Every field of every form and filter of the portal with the values at the edges of all types: no answer of 5xx, what
is refused stores nothing, nothing comes back as markup, all pages still open afterwards; and a form that is sent as it
is shown is not refused.

Fields are those that forms and filters declare, and those that pages without a declaration are heard to read, so a new
one is tried by being there. What a form refuses by its declaration alone is seen without the server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from databases import beyond, contents
from edges import TYPED, WHOLE, WRITTEN
from harness import until
from reaching import _MOVES, ROUTES, Page, filled, operation, route_of
from test_hostile_pages import World, listen, listening, made_world, rank, world
from test_reach import CASES

from smsgw.admin.kit import forms
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.lists import ListPage
from smsgw.admin.rights import Route

pytestmark = [pytest.mark.shard("attacks"), pytest.mark.asyncio(loop_scope="module"),
              pytest.mark.usefixtures("hurried"), pytest.mark.slow, pytest.mark.timeout(1500)]  # fmt: skip
__all__ = ["listening", "world"]

FREE = (forms.InputKind.TEXT, forms.InputKind.LINES, forms.InputKind.SECRET, forms.InputKind.HIDDEN)
MARKUP = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
NOTED = {"/phrases": "content", "/words": "words", "/contacts": "name", "/templates": "content"}
RAW = ("<img src=x", "<script>alert(2)")
"""What no page may have."""
FEW = ("9999-12-31 23:59", "0001-01-01", str(2**63), "\0", "a\ud800b", MARKUP)
APART = ("POST /logout", "POST /password", "POST /debug", "POST /channels/{id}/wire", "POST /_ui")
"""They end the session; two ask a node, which this site has none of; and one shows what wrong values look like."""
OURS = {"review.expires_at", "job.not_before", "job.leased_until", "staff_sms_code.sent_at", "account_price.valid_from",
        "alarm_receiver.free_at", "task_chunk.counted_at"}  # fmt: skip
"""For ever, or never, as the program itself writes it."""
ROUNDS = 5
UNDER_WAY = """
SELECT FROM job WHERE state IN ('waiting', 'running') AND not_before <= now() AND kind <> 'load_test' LIMIT 1
"""
PARTS = 10
"""So many tests share the addresses."""


def taken(field: forms.Input) -> Iterator[str]:
    """The texts that a field takes, as far as its declaration says, those at its own bounds among them."""
    bounds = (one for one in (field.least, field.most) if one is not None and field.kind is forms.InputKind.NUMBER)
    others = (*WRITTEN, *map(str, (*WHOLE, *bounds)), *list(field.choices)[-1:])
    some = (*TYPED, MARKUP) if field.kind in FREE else others
    for text in dict.fromkeys(some):
        problem, _ = forms._value(field, forms._texts(field, {field.key: text}), field.choices or {})
        if problem is None and "\0" not in text:
            yield text


def right(route: Route, world: World) -> dict[str, str]:
    """What is known to be taken, with its effect confirmed."""
    fields = next((one.fields for one in CASES.get(operation(route), ()) if one.fields), ())
    return {name: filled(value, world.things) for name, value in fields} | {"confirmed": "1"}


async def asked(route: Route, world: World) -> list[dict[str, str]]:
    """What it is asked with."""
    page, known = getattr(route.handler, "__self__", None), right(route, world)
    if isinstance(page, FormPage) and route.method == "POST":
        return [{**known, one.key: text} for one in page.form.fields for text in taken(one)]
    if isinstance(page, ListPage) and route.method == "GET":
        return [{key: text} for key in page.filter.keys for text in FEW] + [{"sort": FEW[0]}, {"at": FEW[0]}]
    names = await listen(world, route)
    whole = [dict.fromkeys(names, text) for text in FEW]
    return whole if route.method == "GET" else whole + [{**known, name: text} for name in names for text in FEW]


async def test_a_form_is_taken_as_it_is_shown(world: World) -> None:
    """What a field shows, it takes; only what it does not show can be missing."""
    sent, faults = set[str](), list[tuple[str, str, object]]()
    for route in sorted((one for one in ROUTES if one.method == "GET"), key=rank):
        answer = await world.ask("GET", path := world.path(route))
        if answer.status != 200:
            continue
        for form in Page(answer.text, path).forms:
            target = route_of("POST", form.action) if form.method == "POST" and form.button else None
            if target is None or target.files or operation(target) in {*APART, *sent}:
                continue
            sent.add(operation(target))
            fields = [(key, value) for key, value in form.fields if key not in ("csrf", "confirmed")]
            said = "&".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in fields)
            back = await world.ask("POST", form.action, said.encode())
            shown, missing = ({key for key, value in fields if bool(value) is given} for given in (True, False))
            wrong = set(re.findall(r'id="(\w+)-problem"', back.text))
            if back.status >= 500 or (back.status >= 400 and (wrong & shown or not (wrong or missing))):
                faults.append((path, operation(target), (back.status, sorted(wrong & shown), fields)))
    print(f"{len(sent)} forms")
    for one in faults:
        print("FAULT", *one)
    assert faults == []


@pytest.mark.parametrize("part", range(PARTS))
async def test_every_field_of_the_portal(world: World, part: int) -> None:
    calls, failed, refused = 0, dict[str, str](), list[tuple[str, bytes]]()

    async def ask(what: str, method: str, path: str, body: bytes = b"") -> int:
        nonlocal calls
        calls += 1
        answer = await world.ask(method, path, body)
        raw = answer.text.lstrip().startswith("<") and any(text in answer.text for text in RAW)
        if answer.status >= 500 or raw:
            failed.setdefault(what, f"{answer.status} {path[:200]} {body[:300]!r} {'markup' if raw else ''}")
        return answer.status

    async def ended() -> bool:
        return not await world.site.db.fetch(UNDER_WAY)

    routes = sorted((one for one in ROUTES if not one.files and operation(one) not in APART), key=rank)
    routes = routes[part::PARTS]
    for route in routes:
        what, path = operation(route), world.path(route)
        for fields in await asked(route, world):
            said = urlencode(fields, errors="surrogatepass")
            if route.method == "GET":
                await ask(f"{what} {said[-60:]}", "GET", f"{path}?{said[:7000]}")
            elif await ask(f"{what} {said[-60:]}", "POST", path, said.encode()) == 422 and "/-/import/" not in path:
                refused.append((path, said.encode()))
    for route in routes:
        if route.method == "GET":
            await ask(f"{operation(route)} afterwards", "GET", world.path(route))
    assert failed == {}
    assert set(await beyond(world.site.db, "1999-12-31 16:00+00", "2100-01-02")) <= OURS
    # What was refused for the state of things, such as a balance, may be taken now, which changes them for others: what
    # is refused in a round in which all are is refused for itself. (Of a table one import goes at a time.)
    for _ in range(ROUNDS):
        await until(ended, what="no job is under way", within=600)
        before = await contents(world.site.db, _MOVES)
        settled = [one for one in refused if await ask("again", "POST", *one) == 422]
        others, refused = set(refused) - set(settled), settled
        if not others:
            break
    after = await contents(world.site.db, _MOVES)
    print(f"{calls} calls of {len(routes)} addresses, {len(refused)} refused for themselves")
    assert (failed, others) == ({}, set())
    assert {name for name, sum_ in after.items() if before[name] != sum_} == set()


@pytest.mark.usefixtures("listening")
async def test_what_looks_like_markup_is_kept_and_shown_as_text(postgres: Any, tmp_path: Path) -> None:
    """Or that no page has it would prove nothing."""
    async with made_world(postgres, tmp_path, "markup") as world:
        for path, name in NOTED.items():
            route = route_of("POST", f"{path}/-/new")
            fields = right(route, world) | {name: f"{MARKUP} n"}
            answer = await world.ask("POST", route.path, urlencode(fields).encode())
            assert answer.status == 303, (path, answer.text)
            shown = (await world.ask("GET", answer.location)).text + (await world.ask("GET", path)).text
            assert "&lt;img src=x" in shown, path
            assert not any(text in shown for text in RAW), path
