"""The envelope: one shape for every code, in the language asked for."""

from __future__ import annotations

import re

import msgspec
import pytest

from smsgw.core import words
from smsgw.core.errors import SmsgwError, Temporary
from smsgw.web import envelope
from smsgw.web.request_ids import RequestIds


def test_success() -> None:
    body = msgspec.json.decode(envelope.success({"a": 1}, "R", english=False))
    assert body == {"code": "OK", "message": "成功", "message_en": "OK", "request_id": "R", "data": {"a": 1}}
    assert msgspec.json.decode(envelope.success(None, "R", english=True))["message"] == "OK"


def test_what_an_error_says() -> None:
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


@pytest.mark.parametrize(
    ("header", "english"),
    [
        ("", False), ("zh-CN,zh;q=0.9,en;q=0.8", False), ("en", True), ("en-US,en;q=0.9", True),
        ("en-US;q=0.9,en;q=0.9,zh;q=0.95", False), ("fr", False), ("*", False), ("en;q=0", False), ("en;q=x", False),
        ("EN-gb", True), (",;=,", False),
    ],
)  # fmt: skip
def test_accept_language(header: str, english: bool) -> None:
    assert envelope.prefers_english(header) is english


def test_request_ids_are_ordered_ulids() -> None:
    times = iter([1.0, 1.0, 0.5, 1.001, 1.0])
    ids = RequestIds(lambda: next(times))
    made = [ids.next() for _ in range(5)]
    assert made == sorted(set(made))
    assert all(re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", i) for i in made)
    assert made[0][:10] == "00000000Z8"  # 1000 ms
