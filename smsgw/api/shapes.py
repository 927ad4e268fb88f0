"""Shapes that all domains of the API share: what msgspec decodes and encodes, and what the OpenAPI document says.

Only shapes, types and sizes are checked here; what a message may say, and to whom, is the pipeline's business.
"""

from __future__ import annotations

from abc import ABC
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

import msgspec
from msgspec import Meta

from smsgw.core.templates import MAX_VALUE

MAX_NUMBERS = 1000
"""Numbers (or items) in a call."""
MAX_TEXT = 1000
"""Characters of a text; checked by the pipeline, declared here."""

Number = Annotated[
    str, Meta(max_length=64, description="Mainland 11 digits, with or without +86/0086/86; others with + or 00.")
]
Text = Annotated[
    str,
    Meta(
        description="The text, 1-1000 characters, with or without a leading 【signature】.",
        extra_json_schema={"minLength": 1, "maxLength": MAX_TEXT},
    ),
]
Sign = Annotated[str, Meta(max_length=20, description="Signature, 2-20 characters, without 【】; else the account's.")]
ClientRef = Annotated[
    str, Meta(max_length=64, description="Your reference; unique per account when one number is given.")
]
Ext = Annotated[str, Meta(max_length=256, description="Anything; comes back with reports.")]
ExtendCode = Annotated[  # the accept says EXTEND_CODE_INVALID
    str,
    Meta(description="Digits appended to the access code.", extra_json_schema={"maxLength": 12, "pattern": "^[0-9]*$"}),
]
CallbackUrl = Annotated[
    str, Meta(max_length=2000, description="Where the reports go; its host is on the account's list.")
]
Params = Annotated[
    dict[str, Annotated[str, Meta(max_length=MAX_VALUE)]],
    Meta(max_length=30, description="Values of the template's variables."),
]
if TYPE_CHECKING:
    Time = datetime
    Day = date
else:

    class Time(ABC):  # noqa: B024 - a name for what msgspec decodes by ``decode``
        """A time as in ISO 8601 with its zone, within the bounds of ``core/moments.py``: ``decode`` sees to it."""

    class Day(ABC):  # noqa: B024
        """A day, within the same bounds."""

    Time.register(datetime)
    Day.register(date)
Id = Annotated[str, Meta(max_length=19, pattern="^[0-9]+$", description="Time-ordered 64-bit id as a decimal string.")]


class Request(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of all bodies and queries: an unknown field is an error, never ignored."""

    not_available: ClassVar[frozenset[str]] = frozenset()
    """Fields that are accepted only with the value that changes nothing; left out of the OpenAPI document."""


class NoQuery(Request):
    """A call without query parameters."""


class LanguageQuery(Request):
    """The language of a document."""

    lang: Annotated[Literal["en", "zh"], Meta(description="Language of the descriptions.")] = "en"


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
