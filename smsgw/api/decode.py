"""From octets to checked values: bodies, queries, and what to say when they are wrong."""

from __future__ import annotations

import re
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from smsgw.api.shapes import NOT_AVAILABLE
from smsgw.core.errors import Invalid, SmsgwError

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
_TYPES = {
    "str": "字符串", "int": "整数", "float": "小数", "bool": "布尔值", "array": "数组", "object": "对象",
    "null": "null", "datetime": "ISO 8601 时间",
}  # fmt: skip


def decode_body(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """The body as its type. An empty body stands for ``{}``. Of a repeated JSON name the last one counts."""
    try:
        value = decoder.decode(body or b"{}")
    except msgspec.ValidationError as exc:
        raise explain(str(exc)) from None
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
            raise _invalid("query", "不是合法的 UTF-8", "not valid UTF-8") from None
        except ValueError:
            raise _invalid("query", "参数过多", "too many parameters") from None
        for name, value in pairs:
            if name in values:
                raise _invalid(name, "参数重复", "given more than once")
            if "\0" in value:
                raise _invalid(name, "含有 NUL 字符", "contains a NUL character")
            values[name] = value
        for name, blank in _LOST_PLUS.items():
            if name in values:
                values[name] = blank.sub("+", values[name])
    try:
        query = msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as exc:
        raise explain(str(exc)) from None
    for name in values:  # "null" reads as None: absent is how a parameter is left out
        if getattr(query, name) is None:
            raise _invalid(name, "取值不合法", "null is no value")
    return query


def idempotency_key(value: str | None) -> str | None:
    """The header's value when it is usable. Raises ``PARAM_INVALID``."""
    if value is not None and not _IDEMPOTENCY_KEY.fullmatch(value):
        raise _invalid("Idempotency-Key", "应为 1 至 64 个可见字符", "1 to 64 visible ASCII characters")
    return value


def explain(problem: str) -> SmsgwError:
    """What msgspec found wrong, as our error: the field by its path, the reason in both languages."""
    what, path = problem, ""
    if problem.endswith("`") and " - at `" in problem:
        what, _, path = problem[:-1].rpartition(" - at `")  # the last: what was sent may say the same
    field = path.removeprefix("$").removeprefix(".")
    if missing := _MISSING.match(what):
        return Invalid("PARAM_MISSING", field=_join(field, missing[1]))
    if unknown := _UNKNOWN.match(what):
        name = _join(field, unknown[1][:64])
        return _invalid(name, "未知的参数", "unknown field")
    top = re.split(r"[.\[]", field, maxsplit=1)[0]
    last = field.rsplit(".", 1)[-1].split("[", 1)[0]
    if top in NOT_AVAILABLE or last in NOT_AVAILABLE:
        return not_available(top if top in NOT_AVAILABLE else field)
    if field == "kind" and what.startswith("Invalid enum"):
        return not_available(field)
    return _invalid(field or "body", *_reason(what))


def not_available(field: str) -> SmsgwError:
    """A field of the contract that this server cannot serve; ignoring it would send something else than asked."""
    return _invalid(field, "本服务器不支持此参数", "not available on this server")


def _reason(what: str) -> tuple[str, str]:
    english = what[:200].replace("`", "")
    if match := _EXPECTED.match(what):
        wanted, got = (
            "或".join(
                _TYPES.get(name, name) for name in side.split(" | ") if name != "null" or side == "null"
            )
            for side in match.groups()
        )
        return f"应为{wanted},实为{got}", english
    if match := _LENGTH.match(what):
        return f"长度应{'不超过' if match[1] == '<=' else '不少于'} {match[2]}", english
    if match := _RANGE.match(what):
        return f"应{'不大于' if match[1] == '<=' else '不小于'} {match[2]}", english
    if "timezone" in what:
        return "时间须带时区,如 2026-05-01T09:00:00+08:00", english
    if "datetime" in what:
        return "应为 ISO 8601 时间,如 2026-05-01T09:00:00+08:00", english
    if what.startswith("Invalid enum value"):
        return "不是允许的取值", english
    if "regex" in what:
        return "含有不允许的字符", english
    return "取值不合法", english


def _invalid(field: str, reason: str, reason_en: str) -> SmsgwError:
    return Invalid("PARAM_INVALID", field=field, reason=reason, reason_en=reason_en)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _refuse_nul(value: Any, path: str) -> None:
    """PostgreSQL's text cannot hold U+0000, and no phone could show it."""
    if isinstance(value, str):
        if "\0" in value:
            raise _invalid(path or "body", "含有 NUL 字符", "contains a NUL character")
    elif isinstance(value, dict):
        for name, item in value.items():
            _refuse_nul(item, _join(path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_nul(item, f"{path}[{index}]")
