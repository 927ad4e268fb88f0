"""Malformed requests and calls at the edges of the schema: refused as such, at every address: no answer of 5xx, no
traceback, few lines. Whoever asks may do everything, and what an address names is there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import hypothesis
import pytest
import schemathesis
from adversarial import ACCOUNT, BOUND, TEXTS as DEAR, checker
from api_server import BASE, Api
from changes import by_test
from databases import beyond, contents
from edges import DAYS, FRACTIONS, OTHERS, TEXTS, TIMES, WHOLE, WRITTEN
from file_attacks import FILES, KINDS, MOST_SECONDS, form
from foreign_things import OWNER, furnish
from msgspec import inspect
from portal_site import PASSWORD, Site
from reaching import SEED, THINGS, odd, place
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks
from spending import Visitor
from structlog.testing import capture_logs
from test_foreign_ids import CASES, MARK, OTHER, ask, far, filled, owned

from smsgw.admin.app import routes as portal_routes
from smsgw.admin.rights import Route as Page
from smsgw.api import auth
from smsgw.api.decode import decode_body, decode_query, decoder_of
from smsgw.api.route import Route
from smsgw.api.routes import PUBLIC, ROUTES
from smsgw.core.actor import Actor
from smsgw.core.errors import SmsgwError
from smsgw.core.guard import Rate
from smsgw.core.model import MessageType, Origin
from smsgw.core.permissions import SCOPES
from smsgw.pipeline.accept.requests import SendItem, SendRequest
from smsgw.platform.accounts import service as accounts
from smsgw.platform.audience import book
from smsgw.platform.audience.model import EntryDraft, Sharing
from smsgw.platform.change import Change
from smsgw.platform.content import service as content
from smsgw.platform.org import service as org
from smsgw.runtime import aio

pytestmark = pytest.mark.shard("attacks")

RIGHT: dict[str, Any] = {
    "PUT /webhooks/{name}": {"url": "https://example.org/"}, "POST /messages": {"to": [OTHER], "content": MARK},
    "POST /messages/explain": {"to": [OTHER], "content": MARK},
    "POST /messages/batch": {"items": [{"to": OTHER, "content": MARK}]},
    "POST /tasks": {"name": "n", "to": [OTHER], "content": MARK, "send_at": far()},
    "PUT /drafts/{id}": {"name": "n", "to": [OTHER], "content": MARK},
    "POST /drafts": {"name": "n", "to": [OTHER], "content": MARK}, "POST /scenarios": {"name": "{n}"},
    "PUT /scenarios/{id}": {"name": MARK}, "POST /links": {"name": "n", "target": "https://example.org/"},
    "POST /links/batch": {"items": [{"name": "n", "target": "https://example.org/"}]},
    "POST /links/{id}/target": {"target": "https://example.org/{n}"},
    "POST /links/filings": {"target": "n{n}.example.org"}, "POST /webhooks/redeliver": {"message_ids": ["{refused}"]},
    "POST /numbers/filters": {"name": "n{n}", "numbers": [OTHER]}, "POST /audiences": {"name": "n{n}"},
    "POST /signs": {"sign": "签{n}"}, "POST /templates": {"name": "n{n}", "content": "x"},
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
        case inspect.Metadata() if text:
            return inner(kind.type)
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
    def __init__(self, api: Api, ids: Mapping[str, str], token: str) -> None:
        self._api, self._ids, self._auth = api, ids, {"Authorization": f"Bearer {token}"}
        self.n = 0
        self.unread = 0
        self.failed: dict[str, str] = {}
        self.refused: list[tuple[str, str, bytes]] = []

    def path(self, operation: str) -> tuple[str, str, str]:
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


DEAR_KINDS = (
    "braces", "a brace, a name, then blanks", "a greeting and commas", "marks in the wrong order", "lone surrogates",
    "ligatures that unfold to eighteen", "NULs", "nested arrays", "labels", "dotted paths", "backquotes", "quotes",
)  # fmt: skip


FIELDS: dict[str, Any] = {
    "to": ["13800138000"], "numbers": ["13800138000"], "content": "您好", "type": "notice", "name": "x", "title": "x",
    "sign": "测试", "target": "example.cn", "url": "https://example.org/",
    "items": [{"to": "13800138000", "content": "a"}],
}  # fmt: skip
"""What a body has beside the field that is looked at, where it has such a field."""


def bodies(form: Any, text: str) -> Iterator[dict[str, Any]]:
    """The text in all fields at once, and as long as it may be in each of them while the others are right."""
    yield sound(form, "", text, whole=True)
    right = {f.encode_name: FIELDS.get(f.encode_name, sound(f.type, "", "x")) for f in form.fields if f.required}
    right |= {name: FIELDS[name] for name in ("to", "content") if name in {f.encode_name for f in form.fields}}
    for field in form.fields:
        beside = {n: v for n, v in right.items() if n != "content" or field.encode_name != "template_id"}
        yield beside | {field.encode_name: sound(field.type, "", text)}


async def test_calls_with_bad_texts(api: Api, hurried: None) -> None:
    """Every operation with a body: the text as long as its schema has it, and 64 KiB of it in each of its fields."""
    async with Visitor(api.origin) as visitor:
        key = await api.add_key(scopes=tuple(SCOPES))
        headers = {"Authorization": f"Bearer {key.bearer}", "Content-Type": "application/json"}
        dear, reached = {}, defaultdict[str, set[int]](set)
        for turn, route in enumerate(route for route in ROUTES if route.body is not None):
            form = inspect.type_info(route.body)
            path = BASE + re.sub(r"\{\w+\}", "1", route.path)
            for kind in DEAR_KINDS[turn % 3 :: 3]:
                for body in bodies(form, DEAR[kind]):
                    octets, best = json.dumps(body).encode()[:1_000_000], 9.0
                    for _ in range(4):
                        answer = await visitor.ask(
                            route.method, path, octets, headers | {"Content-Length": str(len(octets))}
                        )
                        assert answer.status < 500, f"{route.method} {path} {kind}: {answer.text}"
                        reached[route.path].add(answer.status)
                        best = min(best, answer.seconds)
                        if best < BOUND:
                            break
                    if best > BOUND:
                        dear[f"{route.method} {route.path} {kind}"] = f"{1000 * best:.0f} ms"
        assert not dear
        assert {200, 202} & reached["/messages"]
        beyond = [path for path, said in reached.items() if said - {400, 401, 403, 413, 429}]
        assert len(beyond) > 0.6 * len(reached), reached


async def test_a_batch_of_dear_texts_leaves_the_loop_to_others(api: Api) -> None:
    """Each text is within its bound, but a call may have a thousand: others have their say in between."""
    api.acceptor._checker = checker(
        sign_policy="approved", review="untemplated", filed_links="marketing", optout="append"
    )
    bad = DEAR["ligatures that unfold to eighteen"][:900]
    items = [{"to": f"138{n:08}", "content": f"{bad}{n}"} for n in range(600)]
    longest = 0.0

    async def others() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    request = SendRequest(ACCOUNT, tuple(SendItem(**item) for item in items), MessageType.MARKETING, Origin.API, "key")
    tries = []
    for _ in range(4):  # the best of them: a collection of all that the tests before have left is not of the call
        watching = aio.spawn(others(), name="others")
        await asyncio.sleep(0)
        longest = 0.0
        with contextlib.suppress(SmsgwError):
            await api.acceptor.send(request)
        await aio.cancel(watching)
        tries.append(longest)
        if longest < BOUND:
            break
    assert min(tries) < BOUND, f"the loop was kept from everything else: {tries}"


EXAMPLES = 15
NOT_CHECKED = [
    # A sound shape may still be refused by the pipeline: an unknown number, a blank text, a time gone by.
    checks.positive_data_acceptance
]


SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES, database=None, deadline=None, derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck), phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)  # fmt: skip


def attempt(operation: schemathesis.APIOperation, mode: GenerationMode, headers: dict[str, str]) -> int:
    """Send examples of one operation and check the answers; how many."""
    count = 0

    @SETTINGS
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def run(case: schemathesis.Case) -> None:
        nonlocal count
        count += 1
        if isinstance(case.body, dict) and case.body.get("wait_s") in range(1, 21):
            case.body["wait_s"] = 0  # there is nothing to wait for
        case.call_and_validate(headers=headers, excluded_checks=NOT_CHECKED, timeout=30)

    run()
    return count


def fuzz(origin: str, tokens: dict[str, str]) -> dict[str, int]:
    """Try every operation; how many requests each got."""
    config = schemathesis.Config()
    config.projects.default.generation.update(with_security_parameters=False)
    document = schemathesis.openapi.from_url(f"{origin}{BASE}/openapi.json", config=config)
    tried: dict[str, int] = {}
    for result in document.get_all_operations():
        operation = result.ok()
        token = tokens.get(operation.label)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        tried[operation.label] = attempt(operation, GenerationMode.POSITIVE, headers)
        if operation.body or operation.query:
            tried[operation.label] += attempt(operation, GenerationMode.NEGATIVE, headers)
    return tried


@pytest.fixture
def many_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every operation is tried with wrong credentials, too: the API, which is made after this, takes so many."""
    monkeypatch.setattr(auth, "FAILURES", Rate(100_000, 1.0))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("hurried", "many_failures")
async def test_the_api_is_as_documented(api: Api) -> None:
    labels = {f"{route.method} {BASE}{route.path}" for route in ROUTES}
    tokens = {label: (await api.add_key(scopes=SCOPES)).bearer for label in labels}  # each with a limit of its own
    tried = await asyncio.to_thread(fuzz, api.origin, tokens)
    labels |= {f"GET {p.path if p.root else BASE + p.path}" for p in PUBLIC}
    assert set(tried) == labels - {f"GET {BASE}/openapi.json"}  # the document is where it all comes from
    assert sum(tried.values()) > len(labels) * EXAMPLES
    # whatever was sent, the API still does its work
    answer = await api.post("/messages", {"to": ["13800138000"], "content": "还在"})
    assert answer.status == 202


FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"

BODIES: list[tuple[str, bytes]] = [
    ("application/json; charset=foo", b"{}"),
    ("application/json; charset=utf-16", b"{}"),
    ("application/json", b'{"a": "\xff\xfe"}'),
    ("application/json", b'\xed\xa0\x80'),
    ("application/json", b'{"a": "\\ud800"}'),
    ("application/json", b"[" * 3000),
    ("application/json", b"null"),
    ("application/json", b"{}"),
    (f"{FORM}; charset=foo", b"a=b"),
    (f"{FORM}; charset=utf-7", b"a=+AAA-"),
    (f"{FORM}; charset=base64", b"a=b"),
    (f'{FORM}; charset="\xc3\xa9"'.encode("latin-1").decode("latin-1"), b"a=b"),
    (FORM, b"login=\xff\xfe"),
    (FORM, b"login=%ff%fe&password=%zz&next=%"),
    (FORM, b"login=%00"),
    (FORM, b"&" * 5000),
    (MULTIPART, b""),
    (MULTIPART, b"no part at all"),
    (MULTIPART, b"--b\r\n"),
    (MULTIPART, b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
    (MULTIPART, b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx'),
    (MULTIPART, b'--b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n\xff\r\n--b--\r\n'),
    (MULTIPART, b"--b\r\n\xff\xff\r\n\r\nx\r\n--b--\r\n"),
    (MULTIPART, b"--b\r\nContent-Type: text/plain; charset=foo\r\n"
                b'Content-Disposition: form-data; name="login"\r\n\r\nx\r\n--b--\r\n'),
    (MULTIPART, b"--b\r\nContent-Transfer-Encoding: base64\r\n"
                b'Content-Disposition: form-data; name="login"\r\n\r\n!\r\n--b--\r\n'),
    (MULTIPART, b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--\r\n"),
    ("multipart/form-data", b"x"),
    ("multipart/form-data; boundary=" + "b" * 100, b"x"),
    (";;;", b"x"),
    ("", b"x"),
]  # fmt: skip
BROKEN_FILES: list[bytes] = [
    # what follows the token, which is the first part
    b"",
    b"--b--\r\n",
    b"--b\r\n",
    b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
    b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--b--\r\n',
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n13800',
    b'--b\r\nContent-Disposition: form-data; name="\xff"; filename="\xff"\r\n\r\n\xff\r\n--b--\r\n',
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="../../x"\r\n\r\n\0\0\0\r\n--b--\r\n',
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="x\0.csv"\r\n\r\nx\r\n--b--\r\n',
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s.csv"\r\n\r\na,b\r\n--b--\r\n' % (b"x" * 3000),
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n\r\n\x89PNG\r\n\x1a\n\0\0\r\n--b--\r\n',
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.xlsx"\r\n\r\nPK\x03\x04\xff\r\n--b--\r\n',
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n\xff\xfe\xff,"\r\n--b--\r\n',
    b'--b\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n'
    b"!\r\n--b--\r\n",
    b'--b\r\nContent-Encoding: gzip\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n'
    b"no gzip\r\n--b--\r\n",
    b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--\r\n",
    b'--b\r\nContent-Disposition: form-data; name="csrf"\r\n\r\nagain\r\n--b--\r\n',
]
PATHS = ["%ff", "%zz", "%", "%00", "%2e%2e%2f", "..", "%E4%B8", "a%0d%0ab", "%ed%a0%80", "9" * 400, "-1",
         "%F0%9F%98%80"]  # fmt: skip
QUERIES = ["%ff", "a=%ff", "a=%zz", "a=%00", "%", "=", "&&&", "a=%ed%a0%80", "a=%0d%0aX: y", "limit=%ff", "next=%ff",
           "cursor=%ff", "time=%ff&number=%ff&status=%ff", "lang=%ff", "page=99999999999999999999",
           "next=//evil.com"]  # fmt: skip
COOKIES = ["smsgw=\xff", "smsgw=%00", ";=;", "smsgw-visitor=\xff", "smsgw-language=\xff\xfe", "a" * 3000]


class Wire:
    """A connection that says exactly what it is told, and reads one answer a request."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.statuses: list[tuple[str, int]] = []

    async def say(self, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, bytes]:
        named = {"Host": "sms.example.org", "Connection": "close"} | headers
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
        if body or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
            raw = await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.close()
        assert raw, (method, target, headers)
        status = int(raw.split(b" ", 2)[1])
        self.statuses.append((f"{method} {target} {headers} {body[:40]!r}", status))
        return status, raw

    def failures(self) -> list[tuple[str, int]]:
        return [one for one in self.statuses if one[1] >= 500]


def tracebacks(logs: list, caplog: pytest.LogCaptureFixture) -> list:
    return [line for line in logs if line.get("exc_info") or line["log_level"] in ("error", "critical")] + list(
        caplog.records
    )


def api_paths() -> list[tuple[str, str]]:
    return [(r.method, BASE + r.path) for r in ROUTES] + [("GET", BASE + p.path) for p in PUBLIC if not p.root] + [
        ("GET", BASE + "/nothing"), ("GET", BASE), ("GET", "/health"), ("GET", "/ready"),
    ]  # fmt: skip


async def api_things(api: Api) -> dict[str, str]:
    by, account = by_test(api.ctx.db), api.account_id
    message = await api.call("POST", "/messages", {"to": ["13800138000"], "content": "您好"})
    assert message.status == 202, message.raw
    return {
        "/messages": message.data["items"][0]["message_id"],
        "/contacts": str(await book.add(by, EntryDraft(account, "8613800138000", "n"))),
        "/audiences": str(await book.add_group(by, account, "n", Sharing())),
        "/signs": str(await content.add_sign(by, account, "又一个")),
        "/templates": str(await content.add_template(by, account, "n", "notice", "x", {})),
    }


@pytest.mark.usefixtures("hurried")
async def test_the_api_refuses_what_is_malformed(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    key = await api.add_key(scopes=tuple(SCOPES), requests_per_second=100_000)
    auth = {"Authorization": f"Bearer {key.bearer}"}
    things = await api_things(api)
    wire = Wire(api.port)
    with capture_logs() as logs:
        for method, path in api_paths():
            plain = re.sub(r"\{[^}]*\}", things.get("/" + path.split("/")[3] if "{" in path else "", "1"), path)
            for kind, body in BODIES if method in ("POST", "PUT", "PATCH") else BODIES[:1]:
                await wire.say(method, plain, auth | ({"Content-Type": kind} if kind else {}), body)
            for query in QUERIES:
                await wire.say(method, f"{plain}?{query}", auth)
            for value in PATHS if "{" in path else PATHS[:2]:
                target = re.sub(r"\{[^}]*\}", value, path) if "{" in path else f"{path}/{value}"
                await wire.say(method, target, auth)
        assert {what for what, status in wire.statuses if status == 403} == set(), "nothing of it was read"
        for header in (
            {"Authorization": "Bearer \xff"}, {"X-Sms-Key": "\xff"}, {"Idempotency-Key": "\xff"},
            {"Accept-Language": "\xff;q=x"}, {"X-Request-Id": "\xff"}, {"Cookie": "\xff"}, {"Host": "\xff"},
            {"Content-Encoding": "x"}, {"Expect": "x"}, {"Range": "bytes=x"}, {"If-None-Match": "\xff"},
        ):  # fmt: skip
            await wire.say("POST", f"{BASE}/messages", auth | header, b"{}")
            await wire.say("GET", f"{BASE}/balance", auth | header)
    assert not wire.failures(), "\n".join(f"{status} {what}" for what, status in wire.failures())
    assert not tracebacks(logs, caplog)


_CHECKED = """
INSERT INTO figure_check (span, day, checked_at, compared, different, differences, accepted, submitted, refused, held)
VALUES ('day', current_date, now(), 1, 0, '[]', 1, 1, 0, 0) RETURNING id
"""
_EXCLUSIONS = """
INSERT INTO exclusion_version VALUES (1, current_date, 'why', 'test') RETURNING version
"""


async def everything(site: Site) -> dict[str, str]:
    by = Change(site.db, Actor.system("test"), ids=site.ids.next)
    things = await furnish(site, by)
    await org.grant(by, OWNER, ["super"])
    return things | {
        "channel": str(site.channel_id), "brand": str(await site.db.fetchval("SELECT min(id) FROM brand")),
        "check": str(await site.db.fetchval(_CHECKED)), "exclusion": str(await site.db.fetchval(_EXCLUSIONS)),
        "role": str(await site.db.fetchval("SELECT id FROM role WHERE code = 'foreign'")),
    }  # fmt: skip


async def logged_in(site: Site, wire: Wire) -> tuple[dict[str, str], str]:
    _, raw = await wire.say("GET", "/login", {"Cookie": "smsgw-visitor=" + "v" * 32})
    masked = re.search(rb'name="csrf" value="([^"]+)"', raw)
    assert masked
    form = f"login={OWNER}&password={PASSWORD}&csrf={masked[1].decode()}&next=/".encode()
    asked = {"Cookie": "smsgw-visitor=" + "v" * 32, "Content-Type": FORM}
    _, raw = await wire.say("POST", "/login", asked, form)
    session = re.search(rb"Set-Cookie: (smsgw=[^;]+)", raw)
    assert session
    await site.db.execute("UPDATE portal_session SET factor_at = now() + interval '1 hour'")
    cookie = {"Cookie": session[1].decode()}
    _, raw = await wire.say("GET", "/", cookie)
    found = re.search(rb'name="csrf" value="([^"]+)"', raw)
    assert found
    return cookie, found[1].decode()


def malformed_bodies(route: Page, token: str) -> list[tuple[str, bytes]]:
    """What is said to a form; to one with files, what follows its token, too."""
    first = b'--b\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n' + token.encode() + b"\r\n"
    return BODIES + [(MULTIPART, first + rest) for rest in BROKEN_FILES] if route.files else BODIES


@pytest.mark.timeout(900)  # every form of every page
@pytest.mark.usefixtures("hurried")
@pytest.mark.slow
@pytest.mark.parametrize("known", [False, True])
async def test_the_portal_refuses_what_is_malformed(site: Site, known: bool, caplog: pytest.LogCaptureFixture) -> None:
    wire, chance = Wire(int(site.url.rpartition(":")[2])), random.Random(SEED)  # noqa: S311
    cookie, token = {"Cookie": "smsgw-visitor=" + "v" * 32}, "v" * 32
    things = dict.fromkeys({*THINGS.values(), "nobody"}, "1")
    if known:
        things = await everything(site)
        cookie, token = await logged_in(site, wire)

    def some(what: list, n: int) -> list:
        return chance.sample(what, n) if known and n < len(what) else what

    routes = sorted(portal_routes(), key=lambda route: (route.path, route.method))
    with capture_logs() as logs:
        for route in routes:
            if (route.method, route.path) == ("POST", "/logout"):
                continue
            plain = place(route, things)
            if route.method == "POST":
                said = malformed_bodies(route, token)
                for kind, body in [*some(BODIES, 10), *some(said[len(BODIES) :], 10)]:
                    sent = {"Content-Type": kind} if kind else {}
                    await wire.say("POST", plain, cookie | sent | {"X-CSRF-Token": token}, body)
            for query in some(QUERIES, 5):
                await wire.say(route.method, f"{plain}?{query}", cookie | {"X-CSRF-Token": token})
            for value in some(PATHS, 4) if "{" in route.path else PATHS[:2]:
                target = odd(route.path, value) if "{" in route.path else f"{route.path.rstrip('/')}/{value}"
                await wire.say(route.method, target, cookie | {"X-CSRF-Token": token})
        if known:
            status, _ = await wire.say("GET", "/", cookie)
            assert status == 200, "they are not logged in any more"
        for method, path in (
            ("GET", "/static/1/x.css"), ("GET", "/nothing"), ("POST", "/nothing"), ("GET", "/favicon.ico"),
        ):  # fmt: skip
            for query in QUERIES:
                await wire.say(method, f"{path}?{query}", cookie)
        for crumb in COOKIES:
            await wire.say("GET", "/login", {"Cookie": crumb})
        for header in (
            {"Host": "\xff"}, {"Host": "["}, {"Origin": "http://[x"}, {"HX-Current-URL": "\xff", "HX-Request": "true"},
            {"X-CSRF-Token": "\xff"}, {"X-Request-Id": "\xff"}, {"Accept-Language": "\xff"},
            {"If-None-Match": "\xff"}, {"If-Modified-Since": "x"}, {"Range": "bytes=x"}, {"Expect": "x"},
        ):  # fmt: skip
            for method, path in (("GET", "/login"), ("POST", "/login"), ("GET", "/records")):
                sent = cookie | {"Content-Type": FORM} | header
                await wire.say(method, path, sent, b"login=x" if method == "POST" else b"")
    print(f"SMSGW_SEED={SEED}")
    assert not wire.failures(), "\n".join(f"{status} {what}" for what, status in wire.failures())
    assert not tracebacks(logs, caplog)
