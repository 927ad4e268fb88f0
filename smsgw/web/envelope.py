"""The envelope around every answer, and the language of its message."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import msgspec

from smsgw.core.errors import CODES, SmsgwError, http_status, message_of, messages_of
from smsgw.core.words import spoken

JSON = "application/json"

_encoder = msgspec.json.Encoder()
_OK = {english: _encoder.encode(message_of("OK", english=english)) for english in (False, True)}
_OK_EN = _OK[True]
_PLAIN = (str, int, float, bool)
_RETRYABLE = frozenset(
    {"RATE_LIMITED", "IDEMPOTENCY_IN_PROGRESS", "BACKPRESSURE", "STORAGE_UNAVAILABLE", "NO_ROUTE", "NOT_READY"}
)
"""Codes whose answer carries ``Retry-After`` even when nobody said how long: 1 second."""


class AllRejected(SmsgwError):
    """No item of a call was accepted: it took no effect, and says so with the items in ``data``."""

    def __init__(self, code: str, message: str, message_en: str, data: Any) -> None:
        super().__init__(code)
        self.message = message
        self.message_en = message_en
        self.data = data


@lru_cache(maxsize=512)
def prefers_english(accept_language: str) -> bool:
    """Whether ``Accept-Language`` ranks English above Chinese (RFC 9110 §12.5.4); Chinese is the default."""
    best = {"zh": 0.0, "en": 0.0, "*": 0.0}
    for entry in accept_language.split(","):
        tag, _, parameter = entry.partition(";")
        primary = tag.strip().lower().split("-", 1)[0]
        if primary not in best:
            continue
        name, _, value = parameter.partition("=")
        weight = 1.0
        if name.strip().lower() == "q":
            try:
                weight = float(value)
            except ValueError:
                weight = 0.0
        best[primary] = max(best[primary], weight)
    return best["en"] > max(best["zh"], best["*"])


def success(data: Any, request_id: str, *, english: bool) -> bytes:
    """The body of an answer that took effect."""
    return b'{"code":"OK","message":%b,"message_en":%b,"request_id":"%b","data":%b}' % (
        _OK[english],
        _OK_EN,
        request_id.encode(),
        _encoder.encode(data),
    )


def failure(error: SmsgwError, request_id: str, *, english: bool) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and extra headers of a refused or failed call.

    ``detail`` of the error fills the message and becomes ``data``, wording in the language of the answer.
    """
    code = error.code if error.code in CODES else "INTERNAL"
    detail: dict[str, Any] = {"request_id": request_id} if code == "INTERNAL" else dict(error.detail)
    headers: dict[str, str] = {}
    wait = error.retry_after
    if wait is None and code in _RETRYABLE:
        wait = 1.0
    if wait is not None:
        seconds = max(1, math.ceil(wait))
        headers["Retry-After"] = str(seconds)
        detail.setdefault("n", seconds)
    chinese, in_english = messages_of(code, detail)
    data: Any
    if isinstance(error, AllRejected):
        chinese, in_english, data = error.message, error.message_en, error.data
    else:
        data = {name: text for name, value in detail.items() if isinstance(text := spoken(value, english), _PLAIN)}
    body = _encoder.encode(
        {
            "code": code,
            "message": in_english if english else chinese,
            "message_en": in_english,
            "request_id": request_id,
            "data": data,
        }
    )
    return http_status(code), body, headers
