"""Errors with a stable code for programs and a message for people, whose words are in the catalogue (core/words).

The codes are those of the HTTP API (docs/api.md); extend, never rename.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smsgw.core import words

Reason = tuple[str, dict[str, Any]]
"""A code and the parameters of its message: why a single item is refused."""


class SmsgwError(Exception):
    """Base of everything this program raises on purpose.

    ``code`` is stable; ``detail`` fills the message's place holders and travels to the caller; ``retry_after``
    (seconds) says that the same call may succeed later.
    """

    def __init__(self, code: str, *, retry_after: float | None = None, **detail: Any) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.retry_after = retry_after

    def __str__(self) -> str:
        return message_of(self.code, self.detail)

    @property
    def english(self) -> str:
        """The message in English, the language of the command line."""
        return message_of(self.code, self.detail, english=True)


class Invalid(SmsgwError):
    """The input is wrong; the same call will never succeed."""


class Refused(SmsgwError):
    """The input is sound, and a rule says no."""


class Temporary(SmsgwError):
    """Not now: nothing was stored, and the same call may succeed later."""


class Uncertain(Temporary):
    """Nobody knows: it may have been stored, and only what tells a repeat (a key, a reference) makes one safe."""


CODES: dict[str, int] = {
    "OK": 200,
    "PARAM_MISSING": 400,
    "PARAM_INVALID": 400,
    "JSON_INVALID": 400,
    "BODY_TOO_LARGE": 413,
    "TO_EMPTY": 400,
    "TO_TOO_MANY": 400,
    "NUMBER_INVALID": 400,
    "NUMBER_DUPLICATE": 400,
    "NUMBER_BLACKLISTED": 400,
    "NUMBER_OPTED_OUT": 400,
    "COMPLAINT_CEILING": 400,
    "EMERGENCY_DENIED": 403,
    "NUMBER_FREQ_LIMITED": 400,
    "INTERNATIONAL_LIMITED": 400,
    "NUMBER_NOT_ALLOWED": 400,
    "NUMBER_EMPTY": 400,
    "NUMBER_NO_CONSENT": 400,
    "CONTENT_EMPTY": 400,
    "CONTENT_UNENCODABLE": 400,
    "CONTENT_TOO_LONG": 400,
    "CONTENT_SENSITIVE": 400,
    "CONTENT_VARIABLE_UNRESOLVED": 400,
    "CONTENT_OPTOUT_MISSING": 400,
    "SIGN_MISSING": 400,
    "SIGN_NOT_APPROVED": 400,
    "SIGN_NOT_REGISTERED": 400,
    "TEMPLATE_NOT_FOUND": 400,
    "TEMPLATE_NOT_APPROVED": 400,
    "TEMPLATE_PARAM_INVALID": 400,
    "REVIEW_REJECTED": 400,
    "TEMPLATE_REQUIRED": 400,
    "CONTENT_DUPLICATE": 400,
    "FILE_INVALID": 400,
    "FILE_TOO_LARGE": 413,
    "EXTEND_CODE_INVALID": 400,
    "TIME_INVALID": 400,
    "TIME_WINDOW_CLOSED": 400,
    "LINK_NOT_FILED": 400,
    "LINK_NOT_FOUND": 404,
    "LINK_NOT_ACTIVE": 409,
    "LINK_CODES_USED_UP": 409,
    "LINK_PLACE_MISSING": 400,
    "AUTH_MISSING": 401,
    "AUTH_KEY_INVALID": 401,
    "AUTH_SIGNATURE_INVALID": 401,
    "TLS_REQUIRED": 403,
    "AUTH_SIGNATURE_OUTDATED": 401,
    "AUTH_TIMESTAMP_EXPIRED": 401,
    "AUTH_NONCE_REPLAYED": 401,
    "AUTH_BEARER_INSECURE": 403,
    "AUTH_IP_DENIED": 403,
    "SCOPE_DENIED": 403,
    "PERMISSION_DENIED": 403,
    "GRANT_EXCEEDED": 403,
    "RIGHTS_OWN": 403,
    "PERSON_ABOVE": 403,
    "DUTIES_CONFLICT": 409,
    "LAST_ADMINISTRATOR": 409,
    "ROLE_PROTECTED": 409,
    "LOGIN_LOCKED_OUT": 409,
    "LOGIN_UNENROLLED": 409,
    "LOGIN_SMS_UNSET": 409,
    "LOGIN_SMS_FAILED": 503,
    "NETWORK_INVALID": 400,
    "CODE_WRONG": 400,
    "ACCOUNT_STOPPED": 403,
    "ACCOUNT_EXPIRED": 403,
    "ACCOUNT_NOT_BEGUN": 403,
    "PROTOCOL_DENIED": 403,
    "BALANCE_INSUFFICIENT": 402,
    "QUOTA_DAY_EXCEEDED": 429,
    "QUOTA_MONTH_EXCEEDED": 429,
    "QUOTA_DEPARTMENT_EXCEEDED": 429,
    "RATE_LIMITED": 429,
    "IDEMPOTENCY_IN_PROGRESS": 409,
    "IDEMPOTENCY_MISMATCH": 422,
    "CLIENT_REF_EXISTS": 409,
    "CONTACTS_FULL": 409,
    "AUDIENCES_FULL": 409,
    "TASK_REF_EXISTS": 409,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "REQUEST_TIMEOUT": 408,
    "STATE_CONFLICT": 409,
    "NO_ROUTE": 503,
    "BACKPRESSURE": 503,
    "STORAGE_UNAVAILABLE": 503,
    "STORAGE_UNCERTAIN": 504,
    "NOT_READY": 503,
    "BRANDS_FULL": 409,
    "BRAND_HOST_TAKEN": 409,
    "BRAND_HOSTS_INVALID": 400,
    "BRAND_FIELD_INVALID": 400,
    "PICTURE_TOO_LARGE": 413,
    "PICTURE_INVALID": 400,
    "CERTIFICATE_INVALID": 400,
    "UNMASK_LIMIT": 429,
    "INTERNAL": 500,
}
"""Code -> HTTP status; "item" errors have status 400 when they stand alone. What they say: core/words/refusals.py."""


def http_status(code: str) -> int:
    """The HTTP status that goes with a code."""
    return CODES[code]


_PLACE = re.compile(r"\{\w+\}")


def message_of(code: str, detail: Mapping[str, Any] | None = None, *, english: bool = False) -> str:
    """The message of a code with its place holders filled; wording among the details in the same language."""
    return words.fill(words.CODES[code], detail or {}, english=english)


def messages_of(code: str, detail: Mapping[str, Any]) -> tuple[str, str]:
    """The messages in Chinese and in English."""
    return message_of(code, detail), message_of(code, detail, english=True)


@dataclass(frozen=True, slots=True)
class Recorded(words.Wording):
    """A refusal that was written down in Chinese. In English it is the message of its code, with "…" for what filled
    it, unless that was written down, too; empty without a code of ours."""

    code: str
    chinese: str
    written: str = ""
    """In English."""

    def text(self, english: bool) -> str:
        """The words in one language."""
        if not english or not self.chinese:
            return self.chinese
        if self.written:
            return self.written
        _, message = words.CODES.get(self.code, ("", ""))
        return _PLACE.sub("…", message)

    __str__ = words.Wording.__str__
