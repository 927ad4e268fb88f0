"""What a caller is told about a wrong body or query: the code, the field, the reason."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from smsgw.api import decode
from smsgw.api.messages import SearchQuery
from smsgw.api.reports import PullBody
from smsgw.api.sending import BatchBody, SendBody
from smsgw.api.tasks import TaskBody
from smsgw.core.errors import SmsgwError
from smsgw.web.envelope import failure

SEND = msgspec.json.Decoder(SendBody)
BATCH = msgspec.json.Decoder(BatchBody)
PULL = msgspec.json.Decoder(PullBody)
TASK = msgspec.json.Decoder(TaskBody)


def refused(body: bytes, decoder: Any = SEND) -> SmsgwError:
    with pytest.raises(SmsgwError) as caught:
        decode.decode_body(decoder, body)
    return caught.value


@pytest.mark.parametrize(
    "body",
    [
        b"{", b'{"to":["1"]} trailing', b"\xef\xbb\xbf{}", b'{"to":["\xff"]}', b'{"to":["\\ud800"]}', b'{"to":[NaN]}',
        b'{"to":["a\x00"]}',
    ],
)  # fmt: skip
def test_what_is_not_json(body: bytes) -> None:
    assert refused(body).code == "JSON_INVALID"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"[]", "body"),
        (b'"x"', "body"),
        (b'{"to":"13800138000"}', "to"),
        (b'{"to":[13800138000]}', "to[0]"),
        (b'{"to":[null]}', "to[0]"),
        (b'{"to":["1"],"content":5}', "content"),
        (b'{"to":["1"],"typo":5}', "typo"),
        (b'{"to":["1"],"type":["notice"]}', "type"),
        (b'{"to":["1"],"client_ref":"%b"}' % (b"x" * 65), "client_ref"),
        (b'{"to":["1"],"ext":"%b"}' % (b"x" * 257), "ext"),
        (b'{"to":["1"],"extend_code":12}', "extend_code"),
        (b'{"to":["1"],"send_at":"2026-05-01T09:00:00"}', "send_at"),
        (b'{"to":["1"],"send_at":"tomorrow"}', "send_at"),
        (b'{"to":["1"],"send_at":1790000000}', "send_at"),
        (b'{"to":["1"],"dry_run":"yes"}', "dry_run"),
        (b'{"to":["1"],"content":"a\\u0000b"}', "content"),
        (b'{"to":["1\\u0000"]}', "to[0]"),
        (b'{"to":' + b"[" * 100_000, "to[0]"),
    ],
)
def test_wrong_fields_are_named(body: bytes, field: str) -> None:
    error = refused(body)
    assert (error.code, error.detail["field"]) == ("PARAM_INVALID", field)
    _, answer, _ = failure(error, "R", english=False)
    message = msgspec.json.decode(answer)["message"]
    assert field in message
    assert any("\u4e00" <= c <= "\u9fff" for c in str(error.detail["reason"]))
    assert error.detail["reason"].english.isascii()


def test_odd_bodies_that_are_understood() -> None:
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


def test_missing_fields_and_those_it_serves_are_named() -> None:
    two = b'{"items":[{"to":"1"},{"content":"x"}]}'
    for body, decoder, field in ((b"{}", SEND, "to"), (two, BATCH, "items[1].to")):
        error = refused(body, decoder)
        assert (error.code, error.detail["field"]) == ("PARAM_MISSING", field)
    body = b'{"to":["1"],"content":"x","link":{"target":"https://a.example","type":"each"}}'
    for error, field in ((refused(body), "link.type"), (refused(b'{"name":"x","fallback":7}', TASK), "fallback")):
        assert (error.code, error.detail["field"]) == ("PARAM_INVALID", field)
        assert error.detail["reason"].english != "not available on this server"


@pytest.mark.parametrize(
    ("field", "value"),
    [("fallback", b'[{"kind":"sms"}]'), ("channel_hint", b"7"), ("kind", b'"rcs"')],
)
def test_what_this_server_cannot_do_is_refused_by_name(field: str, value: bytes) -> None:
    error = refused(b'{"to":["1"],"content":"x","%b":%b}' % (field.encode(), value))
    assert (error.code, error.detail["field"]) == ("PARAM_INVALID", field)
    assert str(error.detail["reason"]) == "本服务器不支持此参数"
    assert error.detail["reason"].english == "not available on this server"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"), ("limit=501", "limit"), ("limit=x", "limit"), ("limit=1&limit=2", "limit"),
        ("nothing=1", "nothing"), ("status=great", "status"), ("cursor=abc", "cursor"), ("cursor=-5", "cursor"),
        ("client_ref=%00", "client_ref"), ("from_time=2026-05-01T09:00:00", "from_time"), ("client_ref=%ff", "query"),
        ("client_ref=\udcff", "query"), ("&".join(f"a{n}=1" for n in range(51)), "query"),
    ],
)  # fmt: skip
def test_wrong_queries_are_named(query: str, field: str) -> None:
    with pytest.raises(SmsgwError) as caught:
        decode.decode_query(SearchQuery, query)
    assert (caught.value.code, caught.value.detail["field"]) == ("PARAM_INVALID", field)


def test_a_plus_that_was_not_escaped_is_understood() -> None:
    query = decode.decode_query(SearchQuery, "from_time=2026-05-01T09:00:00+08:00&to=+8613800138000")
    assert (query.from_time.isoformat(), query.to) == ("2026-05-01T09:00:00+08:00", "+8613800138000")
    query = decode.decode_query(SearchQuery, "to_time=2026-05-01%2009:00:00Z&to=%2B86+138-0013+8000")
    assert query.to_time is not None
    assert (query.to, query.limit) == ("+86 138-0013 8000", 50)


def test_idempotency_keys_are_visible_and_short() -> None:
    for value in ("", "x" * 65, "a b", "é", "a\tb"):
        with pytest.raises(SmsgwError) as caught:
            decode.idempotency_key(value)
        assert caught.value.detail["field"] == "Idempotency-Key"
    assert decode.idempotency_key(None) is None
    assert decode.idempotency_key("!" + "x" * 62 + "~") == "!" + "x" * 62 + "~"
