"""What a caller is told: bodies, queries, envelopes, the manual, and calls that are tried again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from smsgw.api import decode, manual, openapi, words as api_words
from smsgw.api.decode import decoder_of
from smsgw.api.messages import SearchQuery
from smsgw.api.reports import PullBody
from smsgw.api.routes import PUBLIC, ROUTES
from smsgw.api.sending import BatchBody, SendBody
from smsgw.api.tasks import TaskBody
from smsgw.api.trying import operations
from smsgw.core import words
from smsgw.core.errors import CODES, SmsgwError, Temporary
from smsgw.core.trying import GETS, POSTS, refilled
from smsgw.platform.calls import masking
from smsgw.web import envelope
from smsgw.web.envelope import failure
from smsgw.web.request_ids import RequestIds
from smsgw.web.serving import API_BASE as BASE

SEND = msgspec.json.Decoder(SendBody)
BATCH = msgspec.json.Decoder(BatchBody)
PULL = msgspec.json.Decoder(PullBody)
TASK = msgspec.json.Decoder(TaskBody)


def refused(body: bytes, decoder: Any = SEND) -> SmsgwError:
    with pytest.raises(SmsgwError) as caught:
        decode.decode_body(decoder, body)
    return caught.value


def test_what_is_wrong_in_a_body_is_named() -> None:
    for body in (
        b"{", b'{"to":["1"]} trailing', b"\xef\xbb\xbf{}", b'{"to":["\xff"]}', b'{"to":["\\ud800"]}', b'{"to":[NaN]}',
        b'{"to":["a\x00"]}',
    ):  # fmt: skip
        assert refused(body).code == "JSON_INVALID"
    for body, field in (  # wrong fields are named
        (b"[]", "body"), (b'"x"', "body"), (b'{"to":"13800138000"}', "to"), (b'{"to":[13800138000]}', "to[0]"),
        (b'{"to":[null]}', "to[0]"), (b'{"to":["1"],"content":5}', "content"), (b'{"to":["1"],"typo":5}', "typo"),
        (b'{"to":["1"],"type":["notice"]}', "type"), (b'{"to":["1"],"client_ref":"%b"}' % (b"x" * 65), "client_ref"),
        (b'{"to":["1"],"ext":"%b"}' % (b"x" * 257), "ext"), (b'{"to":["1"],"extend_code":12}', "extend_code"),
        (b'{"to":["1"],"send_at":"2026-05-01T09:00:00"}', "send_at"),
        (b'{"to":["1"],"send_at":"tomorrow"}', "send_at"), (b'{"to":["1"],"send_at":1790000000}', "send_at"),
        (b'{"to":["1"],"dry_run":"yes"}', "dry_run"), (b'{"to":["1"],"content":"a\\u0000b"}', "content"),
        (b'{"to":["1\\u0000"]}', "to[0]"), (b'{"to":' + b"[" * 100_000, "to[0]"),
    ):  # fmt: skip
        error = refused(body)
        assert (error.code, error.detail["field"]) == ("PARAM_INVALID", field)
        _, answer, _ = failure(error, "R", english=False)
        message = msgspec.json.decode(answer)["message"]
        assert field in message
        assert any("\u4e00" <= c <= "\u9fff" for c in str(error.detail["reason"]))
        assert error.detail["reason"].english.isascii()
    two = b'{"items":[{"to":"1"},{"content":"x"}]}'  # missing fields and those it serves are named
    for body, decoder, field in ((b"{}", SEND, "to"), (two, BATCH, "items[1].to")):
        error = refused(body, decoder)
        assert (error.code, error.detail["field"]) == ("PARAM_MISSING", field)
    body = b'{"to":["1"],"content":"x","link":{"target":"https://a.example","type":"each"}}'
    for error, field in ((refused(body), "link.type"), (refused(b'{"name":"x","fallback":7}', TASK), "fallback")):
        assert (error.code, error.detail["field"]) == ("PARAM_INVALID", field)
        assert error.detail["reason"].english != "not available on this server"
    for field, value in (("fallback", b'[{"kind":"sms"}]'), ("channel_hint", b"7"), ("kind", b'"rcs"')):
        error = refused(b'{"to":["1"],"content":"x","%b":%b}' % (field.encode(), value))
        assert (error.code, error.detail["field"]) == ("PARAM_INVALID", field)
        assert str(error.detail["reason"]) == "本服务器不支持此参数"
        assert error.detail["reason"].english == "not available on this server"


def test_odd_bodies_and_queries_are_understood_and_wrong_ones_named() -> None:
    body = decode.decode_body(SEND, b'{"to":["1"],"content":"a\\\\u0000b"}')
    assert body.content == "a\\u0000b"
    assert (decode.decode_body(PULL, b"").limit, refused(b"").code) == (500, "PARAM_MISSING")
    assert decode.decode_body(SEND, b'{"to":["1"],"to":["2"]}').to == ["2"]
    body = decode.decode_body(
        SEND,
        b'{"to":["1"],"content":"x","kind":"sms","template_id":null,"params":{},"link":null,"fallback":[],'
        b'"callback_url":null,"dedupe":null,"channel_hint":null,"report":true,"sign":null,"type":null,'
        b'"client_ref":null,"ext":null,"extend_code":null,"send_at":null,"expire_at":null,"dry_run":null}',
    )
    assert body.content == "x"
    assert decode.decode_body(SEND, b'{"to":["1"],"content":"x","kind":null,"params":null}').kind is None
    for query, field in (  # wrong queries are named
        ("limit=0", "limit"), ("limit=501", "limit"), ("limit=x", "limit"), ("limit=1&limit=2", "limit"),
        ("nothing=1", "nothing"), ("status=great", "status"), ("cursor=abc", "cursor"), ("cursor=-5", "cursor"),
        ("client_ref=%00", "client_ref"), ("from_time=2026-05-01T09:00:00", "from_time"), ("client_ref=%ff", "query"),
        ("client_ref=\udcff", "query"), ("&".join(f"a{n}=1" for n in range(51)), "query"),
    ):  # fmt: skip
        with pytest.raises(SmsgwError) as caught:
            decode.decode_query(SearchQuery, query)
        assert (caught.value.code, caught.value.detail["field"]) == ("PARAM_INVALID", field)
    query = decode.decode_query(SearchQuery, "from_time=2026-05-01T09:00:00+08:00&to=+8613800138000")
    assert (query.from_time.isoformat(), query.to) == ("2026-05-01T09:00:00+08:00", "+8613800138000")
    query = decode.decode_query(SearchQuery, "to_time=2026-05-01%2009:00:00Z&to=%2B86+138-0013+8000")
    assert query.to_time is not None
    assert (query.to, query.limit) == ("+86 138-0013 8000", 50)
    for value in ("", "x" * 65, "a b", "é", "a\tb"):  # idempotency keys are visible and short
        with pytest.raises(SmsgwError) as caught:
            decode.idempotency_key(value)
        assert caught.value.detail["field"] == "Idempotency-Key"
    assert decode.idempotency_key(None) is None
    assert decode.idempotency_key("!" + "x" * 62 + "~") == "!" + "x" * 62 + "~"


def test_answers_and_errors_have_one_shape_in_both_languages() -> None:
    body = msgspec.json.decode(envelope.success({"a": 1}, "R", english=False))
    assert body == {"code": "OK", "message": "成功", "message_en": "OK", "request_id": "R", "data": {"a": 1}}
    assert msgspec.json.decode(envelope.success(None, "R", english=True))["message"] == "OK"
    error = SmsgwError("PARAM_INVALID", field="to", reason=words.phrase("text.at_most", limit=5))
    answer = msgspec.json.decode(envelope.failure(error, "R", english=True)[1])
    said = error.detail["reason"].english
    assert answer["message"] == answer["message_en"] == f"Invalid parameter to: {said}"
    assert answer["data"] == {"field": "to", "reason": said}
    assert said.isascii()
    status, body, _ = envelope.failure(SmsgwError("SURPRISE", password="x"), "REQ", english=False)
    assert status == 500
    answer = msgspec.json.decode(body)
    assert (answer["code"], answer["data"]) == ("INTERNAL", {"request_id": "REQ"})
    assert "REQ" in answer["message"]
    _, body, headers = envelope.failure(Temporary("RATE_LIMITED", retry_after=2.2), "R", english=False)
    assert headers == {"Retry-After": "3"}
    assert "3 秒" in msgspec.json.decode(body)["message"]
    assert envelope.failure(Temporary("IDEMPOTENCY_IN_PROGRESS"), "R", english=False)[2] == {"Retry-After": "1"}
    assert envelope.failure(SmsgwError("NOT_FOUND"), "R", english=False)[2] == {}
    for header, english in (  # accept language
        ("", False), ("zh-CN,zh;q=0.9,en;q=0.8", False), ("en", True), ("en-US,en;q=0.9", True),
        ("en-US;q=0.9,en;q=0.9,zh;q=0.95", False), ("fr", False), ("*", False), ("en;q=0", False), ("en;q=x", False),
        ("EN-gb", True), (",;=,", False),
    ):  # fmt: skip
        assert envelope.prefers_english(header) is english
    times = iter([1.0, 1.0, 0.5, 1.001, 1.0])  # request ids are ordered ulids
    ids = RequestIds(lambda: next(times))
    made = [ids.next() for _ in range(5)]
    assert made == sorted(set(made))
    assert all(re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", i) for i in made)
    assert made[0][:10] == "00000000Z8"  # 1000 ms


CHAPTERS = manual.chapters()
OPERATIONS = {(o.method, o.path): o for chapter in CHAPTERS for o in chapter.operations}


def texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("description", "summary") and isinstance(value, str):
                yield value
            else:
                yield from texts(value)
    elif isinstance(node, list):
        for one in node:
            yield from texts(one)


def test_the_manual_says_everything_in_both_languages() -> None:
    missing = {text for text in texts(openapi.document(chinese=True)) if not re.search(r"[\u4e00-\u9fff]", text)}
    assert not missing, "add their Chinese to smsgw/api/words.py"
    assert set(api_words.CHINESE) <= set(texts(openapi.document())), "remove them from smsgw/api/words.py"
    assert [c.title for c in CHAPTERS if c.title.isascii()] == []
    silent = set()  # every field says what it means
    for name, schema in openapi.document()["components"]["schemas"].items():
        for field, shape in schema.get("properties", {}).items():
            inner = [shape, *shape.get("anyOf", ()), shape.get("items", {})]
            if not any("description" in one or "$ref" in one for one in inner):
                silent.add(f"{name}.{field}")
    assert not silent, "describe them where they are declared, or in smsgw/api/words.py"
    page = manual.page()  # the manual has every call and code
    for route in ROUTES:  # the request examples are accepted
        assert f"<b>{route.method}</b> <code>{BASE}{route.path}</code>" in page
    for public in PUBLIC:
        assert f"<code>{public.path if public.root else BASE + public.path}</code>" in page
    for code in CODES:
        assert f"<td><code>{code}</code></td>" in page
    page = manual.page(alone=True)
    assert ("<link" in page, "@page" in page) == (False, True)
    for route in [r for r in ROUTES if r.body is not None]:
        example = OPERATIONS[route.method, BASE + route.path].request
        assert example
        decoder_of(route.body).decode(example)


def test_masked_values_become_harmless_ones_of_the_same_shape() -> None:
    sent = {"to": ["13912340002", "13900000001"], "content": "您的验证码是 1234", "type": "otp",
            "client_ref": "order-1", "params": {"姓名": "张三"}, "scheduled_at": None, "amount": 12345}  # fmt: skip
    kept = masking.masked(octets := json.dumps(sent).encode(), len(octets))
    made = json.loads(refilled(kept))
    assert made["to"] == ["13800130002", "13800130001"]
    assert len(made["content"]) == len(sent["content"])
    assert len(made["client_ref"]) == len("order-1")
    assert (made["type"], made["scheduled_at"], made["amount"]) == ("otp", None, 11111)
    assert list(made["params"]) == ["name1"]
    for secret in ("1391234", "1234", "张三", "order-1"):
        assert secret not in refilled(kept).replace("13800130002", "")
    for body in ("", "<200 octets, no JSON>", '{"to": ["138****'):  # what cannot be read is not filled
        assert refilled(body) == ""


def test_only_calls_that_show_and_change_what_they_may_are_run() -> None:
    known = {one.name: one for one in operations()}
    assert known.keys() >= POSTS
    for one in known.values():
        if one.runs:
            assert one.name in GETS | POSTS, one.name
    for name in ("POST /blocklist", "PUT /webhooks", "POST /reports/ack", "POST /tasks", "POST /tasks/{id}/cancel"):
        assert not known[name].runs, name
    assert known["POST /messages/{id}/cancel"].runs
    assert "您" in known["POST /messages"].sample
    known = {one.name: one for one in operations()}  # what shows whole numbers of real messages is not run
    assert known.keys() >= GETS
    for name in (
        "GET /tasks", "GET /tasks/{id}", "GET /tasks/{id}/recipients", "GET /tasks/{id}/report", "GET /files/{id}",
        "GET /drafts", "GET /drafts/{id}", "GET /signs/{id}/proofs", "GET /signs/proofs/{id}", "GET /contacts",
        "GET /webhooks/deliveries",
    ):  # fmt: skip
        assert not known[name].runs, name
