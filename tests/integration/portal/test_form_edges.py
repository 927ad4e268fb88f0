"""Every field of every form and filter of the portal with the values at the edges of all types: no answer of 5xx, what
is refused stores nothing, and all pages still open afterwards.

Fields are those that forms and lists declare, and those that pages without a declaration are heard to read, so a new
one is tried by being there. What a form refuses by its declaration alone is seen without the server.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from databases import beyond, contents
from edges import TYPED, WRITTEN
from reaching import _MOVES, ROUTES, filled, operation
from rotation import share
from test_hostile_pages import World, listen, listening, rank, world
from test_reach import CASES

from smsgw.admin.kit import forms
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.rights import Route

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("hurried")]
__all__ = ["listening", "world"]

FREE = (forms.Kind.TEXT, forms.Kind.LINES, forms.Kind.SECRET, forms.Kind.HIDDEN)
"""Fields that take any text."""
FEW = ("9999-12-31 23:59", "0001-01-01", str(2**63))
APART = ("POST /logout", "POST /password", "POST /debug")
"""They end the session; and one asks a node, which this site has none of."""
OURS = {"review.expires_at", "job.not_before", "job.leased_until", "staff_sms_code.sent_at"}
"""For ever, or never, as the program itself writes it."""


def given(route: Route, world: World) -> list[dict[str, str]]:
    """What the form is given besides, where it is known what is right; an effect is confirmed."""
    cases = [dict(one.fields) for one in CASES.get(operation(route), ()) if one.fields] or [{}]
    return [{name: filled(value, world.things) for name, value in one.items()} | {"confirmed": "1"} for one in cases]


def by_itself(field: forms.Field) -> bool:
    """Whether it may be more than a text: others hide nothing of it, and it hides nothing of them."""
    return field.kind not in FREE or field.check is not None or bool(field.pattern) or (field.most or 255) <= 32


def taken(field: forms.Field) -> Iterator[str]:
    """The texts that a field takes, as far as its declaration says."""
    for text in (*TYPED, *WRITTEN):
        problem, _ = forms._value(field, forms._texts(field, {field.key: text}), field.choices or {})
        if problem is None and (text in TYPED or field.kind not in FREE):
            yield text


async def bodies(route: Route, world: World) -> list[dict[str, str]]:
    """What it is asked with: fields that may be more than a text each by itself, the others together."""
    page, right = getattr(route.handler, "__self__", None), given(route, world)[0]
    if isinstance(page, FormPage) and route.method == "POST":
        alone = [{**right, one.key: text} for one in page.form.fields if by_itself(one) for text in taken(one)]
        together = [one.key for one in page.form.fields if not by_itself(one)]
        return alone + [{**right, **dict.fromkeys(together, text)} for text in TYPED if together]
    names = await listen(world, route)
    some = [dict.fromkeys(names, text) for text in FEW]
    if page is None and route.method == "POST":
        some += [{**right, name: text} for name in names for text in FEW]
    return some


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_every_field_of_the_portal(world: World) -> None:
    calls, failed, refused = 0, dict[str, str](), list[tuple[str, bytes]]()

    async def ask(what: str, method: str, path: str, body: bytes = b"") -> int:
        nonlocal calls
        calls += 1
        answer = await world.ask(method, path, body)
        if answer.status >= 500:
            failed.setdefault(what, f"{answer.status} {path[:200]} {body[:300]!r}")
        return answer.status

    routes = sorted((one for one in ROUTES if not one.files and operation(one) not in APART), key=rank)
    for route in share(routes, 3):
        what, path = operation(route), world.path(route)
        for fields in await bodies(route, world):
            said = urlencode(fields)
            if route.method == "GET":
                await ask(f"{what} {said[-60:]}", "GET", f"{path}?{said[:7000]}")
            elif await ask(f"{what} {said[-60:]}", "POST", path, said.encode()) in (400, 403, 404, 409, 422):
                refused.append((path, said.encode()))
    for route in routes:
        if route.method == "GET":
            await ask(f"{operation(route)} afterwards", "GET", world.path(route))
    print(f"{calls} calls, {len(refused)} refused, {len(failed)} failed")
    for one in failed.items():
        print("FAILED", *one)
    assert failed == {}
    assert set(await beyond(world.site.db, "1999-12-31 16:00+00", "2100-01-02")) <= OURS
    before = await contents(world.site.db, _MOVES)
    taken = [one for one in refused if await ask("again", "POST", *one) < 400]
    after = await contents(world.site.db, _MOVES)
    assert failed == {}
    assert taken == []
    assert {name for name, sum_ in after.items() if before[name] != sum_} == set()
