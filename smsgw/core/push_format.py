"""What a push looks like on the wire: bodies, fields and times as the receiver wants them, and the signature.

The signature is that of Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 over ``id.timestamp.body``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from smsgw.core.ids import CHINA
from smsgw.core.webhooks import PLACEHOLDER, Endpoint, Format, Options
from smsgw.core.words import label, samples

Item = Mapping[str, Any]

_encode = msgspec.json.Encoder().encode
_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_TOKEN = re.compile("yyyy|yy|MM|dd|HH|mm|ss")
_STRFTIME = {"yyyy": "%Y", "yy": "%y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a receiver."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


def webhook_id(event_ids: Sequence[int]) -> str:
    """The id of a call: the same whenever the same events are sent together."""
    digest = hashlib.sha256(",".join(map(str, event_ids)).encode()).hexdigest()
    return f"msg_{event_ids[0]}_{digest[:16]}"


def signature(keys: Sequence[bytes], id_: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``: one signature for each key, separated by blanks."""
    signed = f"{id_}.{timestamp}.".encode() + body
    return " ".join("v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys)


def build(endpoint: Endpoint, url: str, type_: str, items: Sequence[Item], id_: str, now: datetime) -> Call:
    """The call that brings ``items``, all of one type, to ``url``."""
    options = endpoint.options
    body, content_type = b"", ""
    match options.format:
        case Format.JSON:
            body, content_type = _encode({"type": type_, "items": _objects(options, type_, items)}), _JSON
        case Format.JSON_ARRAY:
            body, content_type = _encode(_objects(options, type_, items)), _JSON
        case Format.JSON_ITEM:
            body, content_type = _encode(_objects(options, type_, items)[0]), _JSON
        case Format.FORM:
            body, content_type = urlencode(_flat(options, type_, items[0])).encode(), _FORM
        case Format.FORM_JSON:
            text = _encode(_objects(options, type_, items)).decode()
            body, content_type = urlencode({options.items_field: text}).encode(), _FORM
        case Format.GET:
            url = _filled(url, options, type_, items[0])
    timestamp = int(now.timestamp())
    headers = {
        "webhook-id": id_,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(endpoint.keys(now), id_, timestamp, body),
        "User-Agent": "smsgw-webhook/1",
        "Accept-Encoding": "identity",
    }
    if content_type:
        headers["Content-Type"] = content_type
    return Call("GET" if options.format is Format.GET else "POST", url, headers, body)


def _time(at: datetime, form: str) -> str | int | datetime:
    if form == "unix":
        return int(at.timestamp())
    if form == "unix_ms":
        return int(at.timestamp() * 1000)
    local = at.astimezone(CHINA)
    if form == "iso":
        return local
    return local.strftime(_TOKEN.sub(lambda m: _STRFTIME[m[0]], form.replace("%", "%%")))


def _value(item: Item, path: str, type_: str) -> Any:
    if path == "type":
        return type_
    value: Any = item
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _objects(options: Options, type_: str, items: Sequence[Item]) -> list[dict[str, Any]]:
    form = options.times
    if options.fields:
        return [
            {
                name: _time(value, form) if isinstance(value := _value(item, path, type_), datetime) else value
                for name, path in options.fields.items()
            }
            for item in items
        ]
    return [
        {name: _time(value, form) if isinstance(value, datetime) else value for name, value in item.items()}
        for item in items
    ]


def _text(value: Any, form: str) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        value = _time(value, form)
        return value.isoformat(timespec="seconds") if isinstance(value, datetime) else str(value)
    return value if isinstance(value, str) else _encode(value).decode()


def _flat(options: Options, type_: str, item: Item) -> dict[str, str]:
    """The item's fields as texts; members of members with a point between."""
    if options.fields:
        return {name: _text(_value(item, path, type_), options.times) for name, path in options.fields.items()}
    flat = {"type": type_}
    for name, value in item.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": _text(one, options.times) for inner, one in value.items()}
        else:
            flat[name] = _text(value, options.times)
    return flat


def _filled(url: str, options: Options, type_: str, item: Item) -> str:
    """The address with its placeholders filled: by the mapping's names, or by fields of the item."""

    def value(match: re.Match[str]) -> str:
        path = options.fields.get(match[1], match[1])
        return quote(_text(_value(item, path, type_), options.times), safe="")

    return PLACEHOLDER.sub(value, url)


def satisfied(expect: str, answer: bytes) -> bool:
    """Whether the answer says what is expected of it."""
    if not expect:
        return True
    text = answer.decode("utf-8", "replace").strip()
    if text == expect.strip():
        return True
    try:
        wanted, got = msgspec.json.decode(expect), msgspec.json.decode(text)
        if isinstance(wanted, dict) and isinstance(got, dict):
            return all(name in got and got[name] == value for name, value in wanted.items())
        return bool(wanted == got)
    except (msgspec.DecodeError, RecursionError):  # whoever answers chooses how deep it goes
        return False


_DELIVERED = label("status", "delivered")


def sample(type_: str, now: datetime) -> dict[str, Any]:
    """An item such as a test sends: no such message exists."""
    at = now.replace(microsecond=0)
    if type_ == "message.mo":
        return {
            "event_id": "0", "mo_id": "0", "from": "8613800138000", "to_code": "10690001", "extend_code": "",
            "content": samples.TEST, "received_at": at, "in_reply_to": None, "complete": True,
        }  # fmt: skip
    if type_ == "message.report":
        return {
            "event_id": "0", "message_id": "0", "client_ref": "test", "ext": "", "to": "8613800138000",
            "status": "delivered", "class": "", "carrier_code": "DELIVRD", "description": str(_DELIVERED),
            "parts": {"total": 1, "ok": 1}, "kind": "sms", "submitted_at": at, "done_at": at,
        }  # fmt: skip
    return {"event_id": "0", "type": type_, "created_at": at.astimezone(UTC)}
