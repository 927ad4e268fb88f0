"""Shapes of requests and answers: what msgspec decodes and encodes, and what ``/openapi.json`` is made from.

Only shapes, types and sizes are checked here; what a message may say, and to whom, is the pipeline's business.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from smsgw.core.model import MessageType

MAX_BODY = 2 * 1024 * 1024
"""Octets of a request body."""
MAX_NUMBERS = 1000
"""Numbers (or items) in a call."""
MAX_TEXT = 1000
"""Characters of a text; checked by the pipeline, declared here."""

Number = Annotated[
    str,
    Meta(max_length=64, description="Mainland 11 digits, with or without +86/0086/86; others with + or 00."),
]
Text = Annotated[
    str,
    Meta(
        description="The text, 1-1000 characters, with or without a leading 【signature】.",
        extra_json_schema={"minLength": 1, "maxLength": MAX_TEXT},
    ),
]
Sign = Annotated[
    str,
    Meta(max_length=20, description="Signature, 2-20 characters, without 【】; else the account's."),
]
ClientRef = Annotated[
    str, Meta(max_length=64, description="Your reference; unique per account when one number is given.")
]
Ext = Annotated[str, Meta(max_length=256, description="Anything; comes back with reports.")]
ExtendCode = Annotated[
    str, Meta(max_length=12, pattern="^[0-9]*$", description="Digits appended to the access code.")
]
Time = Annotated[datetime, Meta(tz=True, description="ISO 8601 with zone.")]
Id = Annotated[
    str,
    Meta(max_length=19, pattern="^[0-9]+$", description="Time-ordered 64-bit id as a decimal string."),
]


class _Request(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of all bodies and queries: an unknown field is an error, never ignored."""


class _Common(_Request):
    """What both send calls share. The fields typed ``None`` belong to the contract but not to this server yet:
    null (or empty) is accepted, anything else is refused by name."""

    kind: Annotated[Literal["sms"], Meta(description="Kind of message.")] | None = "sms"
    sign: Sign | None = None
    type: Annotated[MessageType, Meta(description="Decides the priority lane.")] | None = MessageType.NOTICE
    client_ref: ClientRef | None = None
    ext: Ext | None = None
    extend_code: ExtendCode | None = None
    send_at: Annotated[datetime, Meta(tz=True, description="Not before; ISO 8601 with zone.")] | None = None
    expire_at: (
        Annotated[datetime, Meta(tz=True, description="Not written to a carrier after this.")] | None
    ) = None
    report: bool | None = True
    dry_run: Annotated[bool, Meta(description="Send nothing; explain what would happen.")] | None = False
    template_id: None = None
    params: Annotated[dict[str, None], Meta(max_length=0)] | None = None
    link: None = None
    fallback: Annotated[list[None], Meta(max_length=0)] | None = None
    callback_url: None = None
    dedupe: None = None
    channel_hint: None = None


NOT_AVAILABLE = frozenset(
    {"template_id", "params", "link", "fallback", "callback_url", "dedupe", "channel_hint", "report"}
)
"""Fields that are accepted only with the value that changes nothing; left out of the OpenAPI document."""


class SendBody(_Common, kw_only=True):
    """The same text to 1-1000 numbers."""

    to: Annotated[list[Number], Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_NUMBERS})]
    content: Text | None = None


class BatchItem(_Request):
    """One personalised message; what it leaves out comes from the top level."""

    to: Number
    content: Text | None = None
    sign: Sign | None = None
    client_ref: ClientRef | None = None
    ext: Ext | None = None
    extend_code: ExtendCode | None = None
    params: Annotated[dict[str, None], Meta(max_length=0)] | None = None


class BatchBody(_Common, kw_only=True):
    """1-1000 messages with a text of their own."""

    items: Annotated[list[BatchItem], Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_NUMBERS})]
    content: Text | None = None


class PullBody(_Request):
    """How many events to take, and how long to wait for the first."""

    limit: Annotated[int, Meta(ge=1, le=500, description="Events at most.")] | None = 500
    wait_s: Annotated[int, Meta(ge=0, le=20, description="Long poll: seconds to wait.")] | None = 0


class AckBody(_Request):
    """The batch to acknowledge."""

    batch: Id


class SearchQuery(_Request):
    """Filters; all given ones must match. Newest first."""

    client_ref: ClientRef | None = None
    batch_id: Id | None = None
    to: Number | None = None
    status: Annotated[
        Literal[
            "held", "scheduled", "queued", "submitted", "uncertain", "unconfirmed", "delivered", "failed",
            "expired", "no_report", "rejected", "cancelled", "duplicate",
        ],
        Meta(description="Status of the message."),
    ] | None = None  # fmt: skip
    from_time: Annotated[datetime, Meta(tz=True, description="Accepted at or after.")] | None = None
    to_time: Annotated[datetime, Meta(tz=True, description="Accepted before.")] | None = None
    cursor: Annotated[Id, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=500, description="Messages in a page.")] = 50


class NoQuery(_Request):
    """A call without query parameters."""


class SentItem(msgspec.Struct, omit_defaults=True):
    """What became of one number. ``message_id`` is absent when it was refused."""

    to: str
    status: str
    parts: int
    message_id: str | None = None
    code: str | None = None
    message: str | None = None


class Sent(msgspec.Struct):
    """The answer to a send call; it is given only after everything accepted is durable."""

    batch_id: str
    accepted: int
    rejected: int
    items: list[SentItem]


class Explained(msgspec.Struct):
    """The answer to a dry run: one object a number, nothing was sent."""

    items: list[dict[str, Any]]


class Parts(msgspec.Struct):
    """Segments of a message, and how many were delivered."""

    total: int
    ok: int


class Message(msgspec.Struct, rename={"class_": "class"}):
    """One message as it stands."""

    message_id: str
    batch_id: str
    kind: str
    to: str
    type: str
    sign: str
    content: str
    client_ref: str
    ext: str
    extend_code: str
    status: str
    class_: str
    carrier_code: str
    description: str
    parts: Parts
    price: int
    carrier: str
    accepted_at: datetime | None
    submitted_at: datetime | None
    done_at: datetime | None


class Part(msgspec.Struct, rename={"class_": "class"}):
    """One segment on its way through a channel. ``carrier_id`` is the id the carrier gave it."""

    part: int
    status: str
    channel: str
    attempt: int
    carrier_id: str
    carrier_code: str
    class_: str
    claimed_at: datetime | None
    answered_at: datetime | None
    done_at: datetime | None


class MessagePage(msgspec.Struct):
    """A page of messages; ``next_cursor`` is null on the last one."""

    items: list[Message]
    next_cursor: str | None


class Step(msgspec.Struct):
    """One thing that happened. ``part`` 0 is the whole message."""

    at: datetime
    step: str
    label: str
    part: int
    detail: dict[str, Any]


class MessageTrace(msgspec.Struct):
    """A message's life in the order of time."""

    message: Message
    parts: list[Part]
    steps: list[Step]


class Pulled(msgspec.Struct):
    """Events, held for this caller until acknowledged or 60 s have passed. ``batch`` is null when empty."""

    batch: str | None
    items: list[dict[str, Any]]
    more: bool


class Acknowledged(msgspec.Struct):
    """How many events this call has put away; 0 when the batch was acknowledged before or has lapsed."""

    acknowledged: int


class Balance(msgspec.Struct):
    """In billable parts. ``available`` = balance - credit_floor."""

    account: str
    balance: int
    credit_floor: int
    available: int


class ServerTime(msgspec.Struct):
    """The server's clock, for finding one's own skew."""

    time: datetime
    unix: int


class Health(msgspec.Struct):
    """What a probe wants to know."""

    status: Literal["ok", "not_ready"]
    checks: dict[str, Any]


class Envelope(NamedTuple):
    """Order and meaning of the members around every answer."""

    code: str
    message: str
    message_en: str
    request_id: str
    data: Any
