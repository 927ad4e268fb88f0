"""The receiver of the bench takes every event that a webhook may get."""

from __future__ import annotations

import base64
import hmac

import msgspec

from smsgw.bench.sink import ANSWER, Event, Sink

SECRET = b"k" * 24


def call(type_: str, *items: dict[str, object]) -> tuple[bytes, bytes]:
    body = msgspec.json.encode({"type": type_, "items": items})
    signature = base64.b64encode(hmac.digest(SECRET, b"1.2." + body, "sha256"))
    head = b"POST /events HTTP/1.1\r\nwebhook-id: 1\r\nwebhook-timestamp: 2\r\nwebhook-signature: v1,%b\r\n" % signature
    return head, body


def test_events_of_other_types_are_taken_and_only_reports_counted() -> None:
    received: list[Event] = []
    sink = Sink()
    sink.secret, sink.receive = SECRET, received.extend
    assert sink.take(*call("channel.state", {"channel": "a", "state": "up"})) == ANSWER
    assert sink.take(*call("message.report", {"message_id": "1", "status": "delivered", "more": 1})) == ANSWER
    assert received == [Event("1", "delivered")]
    assert (sink.calls, sink.unsigned) == (2, 0)
