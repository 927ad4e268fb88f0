"""From octets to checked values: bodies, queries, and what to say when they are wrong."""

from __future__ import annotations

import functools
import re
from datetime import date, datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

from smsgw.api.shapes import Day, Time
from smsgw.core.errors import Invalid, SmsgwError
from smsgw.core.moments import nearest
from smsgw.core.words import Phrase, Wording, labels_of, phrase

T = TypeVar("T")

_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,64}")
_MISSING = re.compile(r"^Object missing required field `(.*)`$", re.DOTALL)
_UNKNOWN = re.compile(r"^Object contains unknown field `(.*)`$", re.DOTALL)
_EXPECTED = re.compile(r"^Expected `([^`]*)`, got `([^`]*)`$")
_LENGTH = re.compile(r"^Expected `[^`]*` of length (<=|>=) (\d+)$")
_RANGE = re.compile(r"^Expected `[^`]*` (<=|>=) (-?\d+)$")
# An unescaped plus sign (of +86, of +08:00) reads as a blank.
_LOST_PLUS = {
    "to": re.compile(r"^ "),
    "from_time": re.compile(r" (?=\d\d:\d\d$)"),
    "to_time": re.compile(r" (?=\d\d:\d\d$)"),
}
_TYPES = labels_of("json_type")
_SOME_TIME = "2026-05-01T09:00:00+08:00"


_PLAIN: dict[type, Any] = {Time: Annotated[datetime, Meta(tz=True)], Day: date}


def _bounded(kind: type, value: Any, *, strict: bool) -> Any:
    """A time or a day of a call: one that lies beyond what can be counted with is as good as the bound itself."""
    try:
        return nearest(msgspec.convert(value, _PLAIN[kind], strict=strict))
    except msgspec.ValidationError as exc:
        raise ValueError(str(exc)) from None  # of which msgspec says where it was


def decoder_of(body: type[T]) -> msgspec.json.Decoder[T]:
    """What decodes such bodies."""
    return msgspec.json.Decoder(body, dec_hook=functools.partial(_bounded, strict=True))


def decode_body(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """The body as its type. An empty body stands for ``{}``. Of a repeated JSON name the last one counts."""
    try:
        value = decoder.decode(body or b"{}")
    except msgspec.ValidationError as exc:
        raise explain(str(exc), getattr(decoder.type, "not_available", frozenset())) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid("JSON_INVALID") from None
    if b"\\u0000" in body:  # the only way to write it in JSON; checked closely only when it may be there
        _refuse_nul(msgspec.to_builtins(value), "")
    return value


def decode_query(kind: type[T], raw_query: str) -> T:
    """The query parameters as their type; unknown and repeated ones are refused."""
    values: dict[str, str] = {}
    if raw_query:
        try:
            raw_query.encode()  # octets that are no UTF-8 came as lone surrogates
            pairs = parse_qsl(raw_query, keep_blank_values=True, errors="strict", max_num_fields=50)
        except UnicodeError:
            raise _invalid("query", phrase("query.utf8")) from None
        except ValueError:
            raise _invalid("query", phrase("query.many")) from None
        for name, value in pairs:
            if name in values:
                raise _invalid(name, phrase("query.twice"))
            if "\0" in value:
                raise _invalid(name, phrase("value.nul"))
            values[name] = value
        for name, blank in _LOST_PLUS.items():
            if name in values:
                values[name] = blank.sub("+", values[name])
    try:
        query = msgspec.convert(values, kind, strict=False, dec_hook=functools.partial(_bounded, strict=False))
    except msgspec.ValidationError as exc:
        raise explain(str(exc)) from None
    for name in values:  # "null" reads as None: absent is how a parameter is left out
        if getattr(query, name) is None:
            raise _invalid(name, phrase("value.null"))
    return query


def idempotency_key(value: str | None) -> str | None:
    """The header's value when it is usable. Raises ``PARAM_INVALID``."""
    if value is not None and not _IDEMPOTENCY_KEY.fullmatch(value):
        raise _invalid("Idempotency-Key", phrase("idempotency.form"))
    return value


def explain(problem: str, not_served: frozenset[str] = frozenset()) -> SmsgwError:
    """What msgspec found wrong, as our error: the field by its path, the reason in both languages. ``not_served``:
    fields of which nothing can be asked."""
    what, path = problem, ""
    if problem.endswith("`") and " - at `" in problem:
        what, _, path = problem[:-1].rpartition(" - at `")  # the last: what was sent may say the same
    field = path.removeprefix("$").removeprefix(".")
    if missing := _MISSING.match(what):
        return Invalid("PARAM_MISSING", field=_join(field, missing[1]))
    if unknown := _UNKNOWN.match(what):
        name = _join(field, unknown[1][:64])
        return _invalid(name, phrase("field.unknown"))
    top = re.split(r"[.\[]", field, maxsplit=1)[0]
    if top in not_served:
        return not_available(top)
    if field == "kind" and what.startswith("Invalid enum"):
        return not_available(field)
    return _invalid(field or "body", _reason(what))


def not_available(field: str) -> SmsgwError:
    """A field of the contract that this server cannot serve; ignoring it would send something else than asked."""
    return _invalid(field, phrase("field.not_available"))


def _reason(what: str) -> Phrase:
    if match := _EXPECTED.match(what):
        wanted, got = map(_types, match.groups())
        return phrase("type.expected", wanted=wanted, got=got)
    if match := _LENGTH.match(what):
        return phrase("length.at_most" if match[1] == "<=" else "length.at_least", n=match[2])
    if match := _RANGE.match(what):
        return phrase("value.at_most" if match[1] == "<=" else "value.at_least", n=match[2])
    if "timezone" in what:
        return phrase("time.zone", example=_SOME_TIME)
    if "datetime" in what:
        return phrase("time.iso", example=_SOME_TIME)
    if what.startswith("Invalid enum value"):
        return phrase("value.enum")
    return phrase("value.pattern" if "regex" in what else "value.wrong")


def _types(side: str) -> Wording | str:
    """One side of what msgspec says was expected: a type, or some."""
    names = [name for name in side.split(" | ") if name != "null" or side == "null"]
    said: list[Wording | str] = [_TYPES.get(name, name) for name in names]
    return functools.reduce(lambda one, other: phrase("either", one=one, other=other), said)


def _invalid(field: str, reason: Phrase) -> SmsgwError:
    return Invalid("PARAM_INVALID", field=field, reason=reason)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _refuse_nul(value: Any, path: str) -> None:
    """PostgreSQL's text cannot hold U+0000, and no phone could show it."""
    if isinstance(value, str):
        if "\0" in value:
            raise _invalid(path or "body", phrase("value.nul"))
    elif isinstance(value, dict):
        for name, item in value.items():
            _refuse_nul(item, _join(path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_nul(item, f"{path}[{index}]")
