"""Every field of every call of the API with the values at the edges of its type: no answer of 5xx, what is refused
stores nothing, and all that the account has can still be read.

Fields and types are those of the routes' own declarations, so a new field is tried by being there.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest
from api_server import BASE, Api
from changes import by_test
from databases import beyond, contents
from edges import DAYS, FRACTIONS, OTHERS, TEXTS, TIMES, WHOLE, WRITTEN
from file_attacks import FILES, KINDS, MOST_SECONDS, form
from msgspec import inspect
from test_foreign_ids import CASES, MARK, OTHER, ask, far, filled, owned

from smsgw.api.decode import decode_body, decode_query, decoder_of
from smsgw.api.route import Route
from smsgw.api.routes import ROUTES
from smsgw.core.errors import SmsgwError
from smsgw.core.permissions import SCOPES
from smsgw.platform.accounts import service as accounts

pytestmark = pytest.mark.shard("attacks")

RIGHT: dict[str, Any] = {
    "PUT /webhooks/{name}": {"url": "https://example.org/"},
    "POST /messages": {"to": [OTHER], "content": MARK},
    "POST /messages/explain": {"to": [OTHER], "content": MARK},
    "POST /messages/batch": {"items": [{"to": OTHER, "content": MARK}]},
    "POST /tasks": {"name": "n", "to": [OTHER], "content": MARK, "send_at": far()},
    "PUT /drafts/{id}": {"name": "n", "to": [OTHER], "content": MARK},
    "POST /drafts": {"name": "n", "to": [OTHER], "content": MARK},
    "POST /scenarios": {"name": "{n}"}, "PUT /scenarios/{id}": {"name": MARK},
    "POST /links": {"name": "n", "target": "https://example.org/"},
    "POST /links/batch": {"items": [{"name": "n", "target": "https://example.org/"}]},
    "POST /links/{id}/target": {"target": "https://example.org/{n}"},
    "POST /links/filings": {"target": "n{n}.example.org"},
    "POST /webhooks/redeliver": {"message_ids": ["{refused}"]},
    "POST /numbers/filters": {"name": "n{n}", "numbers": [OTHER]},
    "POST /audiences": {"name": "n{n}"}, "POST /signs": {"sign": "签{n}"},
    "POST /templates": {"name": "n{n}", "content": "x"},
    "POST /phrases": {"title": "n{n}", "content": "x"}, "PUT /phrases/{id}": {"title": "n", "content": "x"},
}  # fmt: skip
"""Bodies that are taken as they stand; of the other operations the first case of ``test_foreign_ids`` is. ``{n}``:
another each time."""
INNER: dict[str, Any] = {
    "items": [{"name": "n", "number": OTHER, "to": OTHER, "content": MARK, "target": "https://example.org/"}],
    "fallback": {"steps": [{"kind": "sms", "content": "x"}]}, "numbers": [OTHER], "to": [OTHER],
}  # fmt: skip


def values(kind: inspect.Type) -> Iterator[Any]:
    """What a field of such a type is given."""
    match kind:
        case inspect.StructType():
            needed = {f.encode_name: sound(f.type, f.encode_name) for f in kind.fields if f.required}
            for field in kind.fields:
                for value in values(field.type):
                    yield needed | {field.encode_name: value}
        case inspect.ListType() | inspect.VarTupleType():
            yield from ([value] for value in values(kind.item_type))
            yield [sound(kind.item_type)] * 1001
        case inspect.DictType():
            yield from ({"x": value} for value in values(kind.value_type))
            yield from ({text: sound(kind.value_type)} for text in TEXTS)
        case inspect.UnionType():
            for one in kind.types:
                if not isinstance(one, inspect.NoneType):
                    yield from values(one)
            return
        case inspect.IntType():
            yield from (*WHOLE, *FRACTIONS, *map(str, WHOLE[-3:]))
        case inspect.FloatType():
            yield from (*WHOLE, *FRACTIONS)
        case inspect.BoolType():
            yield from (0, 2**63, "")
        case inspect.EnumType() | inspect.LiteralType():
            yield from (*options(kind), *TEXTS)
        case inspect.StrType():
            yield from WRITTEN
        case _:  # times, whatever they are called
            yield from (*TIMES, *DAYS, *TEXTS, *WHOLE, *FRACTIONS)
    yield from OTHERS


def options(kind: inspect.EnumType | inspect.LiteralType) -> list[Any]:
    return list(kind.values) if isinstance(kind, inspect.LiteralType) else [one.value for one in kind.cls]


def sound(kind: inspect.Type, name: str = "", text: str = "", whole: bool = False) -> Any:
    """One that is right for most; with a text wherever one can be, as long as it may be, or all of it."""

    def inner(kind: inspect.Type, name: str = "") -> Any:
        return sound(kind, name, text, whole)

    match kind:
        case _ if name in INNER and not text:
            return INNER[name]
        case inspect.StructType():
            return {f.encode_name: inner(f.type, f.encode_name) for f in kind.fields if f.required or text}
        case inspect.ListType() | inspect.VarTupleType():
            return [inner(kind.item_type)] * (max(2, kind.min_length or 0) if text else 1)
        case inspect.DictType():
            return {inner(kind.key_type): inner(kind.value_type)}
        case inspect.UnionType():
            some = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
            texts = [one for one in some if not isinstance(one, inspect.IntType | inspect.BoolType)]
            return inner(((text and texts) or some)[0])
        case inspect.IntType() | inspect.FloatType():
            return kind.ge or 1
        case inspect.BoolType():
            return True
        case inspect.EnumType() | inspect.LiteralType():
            return options(kind)[0]
        case inspect.StrType() if text:
            return text if whole else (text[: kind.max_length] or "x").ljust(kind.min_length or 0, "x")
        case inspect.StrType():
            return "1" if kind.pattern else "x"
        case inspect.AnyType() if text:
            return text
        case _:
            return far()


class Calls:
    """What was called, and what came of it."""

    def __init__(self, api: Api, ids: Mapping[str, str], token: str) -> None:
        self._api, self._ids, self._auth = api, ids, {"Authorization": f"Bearer {token}"}
        self.n = 0
        self.unread = 0
        self.failed: dict[str, str] = {}
        self.refused: list[tuple[str, str, bytes]] = []

    def path(self, operation: str) -> tuple[str, str, str]:
        """Method, path and query."""
        method, path = operation.split(" ")
        thing, _, query = CASES[operation][0][0].partition("?")
        if "{" not in path:
            return method, BASE + path, ""
        return method, BASE + re.sub(r"\{\w+\}", self._ids[thing], path), query

    def body(self, operation: str) -> dict[str, Any]:
        given = RIGHT.get(operation, CASES[operation][0][1] or {})
        return json.loads(filled(json.dumps(given), {**self._ids, "n": str(self.n)}))

    async def call(self, method: str, path: str, data: bytes, what: str) -> bool:
        """Whether it was taken, or refused for something else than its values: that may be over the next time."""
        answer = await self._api.send(method, path, data=data, headers=self._auth)
        self.n += 1
        if answer.status >= 500:
            self.failed.setdefault(f"{method} {path.partition('?')[0]} {what}", f"{answer.status} {answer.raw[:300]!r}")
        return answer.status != 400 or "DUPLICATE" in answer.code

    async def every_field(self, route: Route) -> None:
        """What cannot be decoded never comes to a handler: that is seen without the server."""
        operation = f"{route.method} {route.path}"
        method, path, query = self.path(operation)
        own, asked = dict([query.split("=")] if query else []), f"{path}?{query}" if query else path
        if route.body is not None:
            decoder = decoder_of(route.body)
            for field in inspect.type_info(route.body).fields:
                for value in values(field.type):
                    data = json.dumps(self.body(operation) | {field.encode_name: value}).encode()
                    try:
                        decode_body(decoder, data)
                    except SmsgwError:
                        self.unread += 1
                    else:
                        if not await self.call(method, asked, data, f"{field.encode_name}={json.dumps(value)[:80]}"):
                            self.refused.append((method, asked, data))
        data = b"" if route.body is None else json.dumps(self.body(operation)).encode()
        for field in inspect.type_info(route.query).fields:
            for text in WRITTEN:
                pairs = own | {field.encode_name: quote(text[:6000], safe="")}
                said = "&".join(f"{name}={value}" for name, value in pairs.items())
                try:
                    decode_query(route.query, said)
                except SmsgwError:
                    self.unread += 1
                else:
                    if not await self.call(method, f"{path}?{said}", data, f"?{field.encode_name}={text[:80]!r}"):
                        self.refused.append((method, f"{path}?{said}", data))

    async def lists(self, when: str) -> None:
        """All that can be read."""
        for route in ROUTES:
            if route.method == "GET":
                method, path, query = self.path(f"GET {route.path}")
                await self.call(method, f"{path}?{query}" if query else path, b"", f"after {when}")


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_every_field_of_the_api(api: Api, hurried: None) -> None:
    db = api.ctx.db
    await accounts.top_up(by_test(db, api.ctx.ids), api.account_id, 10**9, "")
    api.key = await api.add_key(scopes=tuple(SCOPES), requests_per_second=100_000)
    calls = Calls(api, await owned(api), api.key.bearer)
    for route in sorted(ROUTES, key=lambda one: (one.method == "DELETE", one.path)):
        if not route.upload:
            await calls.every_field(route)
            if route.method != "GET":
                await calls.lists(f"{route.method} {route.path}")
    assert calls.failed == {}
    ours = {"review.expires_at", "account_price.valid_from"}
    assert set(await beyond(db, "1999-12-31 16:00+00", "2100-01-02")) <= ours
    # What is refused is refused again, and all that the database holds stays as it was.
    before = await contents(db, MOVES)
    other = [one for one in calls.refused if await calls.call(*one, "again")]
    after = await contents(db, MOVES)
    assert calls.failed == {}
    print(f"{calls.n} calls, {len(calls.refused)} of them refused; {calls.unread} more values cannot be decoded")
    assert other == []
    assert {name for name, sum_ in after.items() if before[name] != sum_} == set()


MOVES = ("lease", "api_key")
"""What moves by itself."""




@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_every_upload_of_the_interface_takes_any_file_without_harm(api: Api) -> None:
    uploads = [route for route in ROUTES if route.upload]
    assert len(uploads) >= 3
    api.key = key = await api.add_key(scopes=SCOPES, requests_per_second=1000)
    ids = await owned(api)
    for route in uploads:
        for what, (name, octets) in FILES.items():
            begun = time.monotonic()
            (query, _), *_ = CASES[f"{route.method} {route.path}"]
            asked = (query, form({}, name, octets))
            kind = "multipart/form-data; boundary=b"
            answer = await ask(api, key, f"{route.method} {route.path}", asked, ids, Content_Type=kind)
            about = (route.path, what, answer.status, answer.raw[:300])
            assert answer.status < 500 or answer.code in ("STORAGE_UNAVAILABLE", "BACKPRESSURE"), about
            assert time.monotonic() - begun < MOST_SECONDS, about
    media = {row["media_type"] for row in await api.ctx.db.fetch("SELECT DISTINCT media_type FROM file")}
    assert media <= KINDS
