"""``/openapi.json`` (OpenAPI 3.1), made from the route table and the msgspec types."""

from __future__ import annotations

import functools
import re
import types
from typing import Any, get_args

import msgspec

from smsgw import __version__
from smsgw.api import words
from smsgw.api.route import PublicRoute, Route
from smsgw.api.routes import PUBLIC, ROUTES
from smsgw.api.sending import Explained
from smsgw.api.shapes import Day
from smsgw.core.errors import CODES, http_status, message_of
from smsgw.web.serving import API_BASE

_REF = "#/components/schemas/{name}"
_EVERY_CALL = (
    "PARAM_INVALID", "AUTH_MISSING", "AUTH_KEY_INVALID", "AUTH_SIGNATURE_INVALID", "AUTH_SIGNATURE_OUTDATED",
    "AUTH_TIMESTAMP_EXPIRED",
    "AUTH_NONCE_REPLAYED", "AUTH_BEARER_INSECURE", "AUTH_IP_DENIED", "SCOPE_DENIED",
    "PROTOCOL_DENIED", "RATE_LIMITED", "INTERNAL",
)  # fmt: skip
_EVERY_BODY = ("PARAM_MISSING", "JSON_INVALID", "BODY_TOO_LARGE", "REQUEST_TIMEOUT", "BACKPRESSURE")
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"key": [], "timestamp": [], "nonce": [], "signature": []}]


@functools.cache
def encoded(lang: str) -> bytes:
    """The document of a language (``en``, ``zh``) as JSON; takes some tenths of a second when it is first asked for."""
    return msgspec.json.encode(document(chinese=lang == "zh"))


def document(*, chinese: bool = False) -> dict[str, Any]:
    """The whole document, in English or Chinese."""
    schemas = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        operation = _operation(route, schemas, chinese)
        paths.setdefault(API_BASE + route.path, {})[route.method.lower()] = operation
    for public in PUBLIC:
        path = public.path if public.root else API_BASE + public.path
        paths.setdefault(path, {})["get"] = _public(public, chinese)
    _describe(schemas, chinese)
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "smsgw HTTP API",
            "version": __version__,
            "description": "Send SMS, follow them, take delivery reports and replies. See docs/api.md.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": _header_key("X-Sms-Key"),
                "timestamp": _header_key("X-Sms-Timestamp"),
                "nonce": _header_key("X-Sms-Nonce"),
                "signature": _header_key("X-Sms-Signature"),
            },
        },
    }
    return _translated(whole) if chinese else whole


def _describe(schemas: dict[str, Any], chinese: bool) -> None:
    """Fields without a description of their own get the one they have everywhere."""
    for schema in schemas.values():
        for name, field in schema.get("properties", {}).items():
            inner = [field, *field.get("anyOf", ()), field.get("items", {})]
            if name in words.FIELDS and not any("description" in shape for shape in inner):
                known = words.FIELDS[name]
                field["description"] = known.chinese if chinese else known.english


def _translated(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: words.chinese(value)
            if key in ("description", "summary") and isinstance(value, str)
            else _translated(value)
            for key, value in node.items()
        }
    return [_translated(one) for one in node] if isinstance(node, list) else node


def _header_key(name: str) -> dict[str, str]:
    return {"type": "apiKey", "in": "header", "name": name}


def _schemas() -> dict[str, Any]:
    kinds: list[Any] = []
    for public in PUBLIC:
        kinds.extend(_alternatives(public.data))
    for route in ROUTES:
        kinds.extend(_alternatives(route.data))
        kinds.extend(kind for kind in (route.body, route.query) if kind is not None)
    _, schemas = msgspec.json.schema_components(kinds, ref_template=_REF, schema_hook=_times)
    for name in {route.query.__name__ for route in ROUTES}:  # shown as parameters
        schemas.pop(name)
    for body in {route.body for route in ROUTES if route.body is not None}:
        for name in getattr(body, "not_available", ()):
            del schemas[body.__name__]["properties"][name]
    schemas["Error"] = {
        "title": "Error",
        "type": "object",
        "description": "A call that did not take effect.",
        "properties": _envelope({"type": "object"}, {"enum": sorted(set(CODES) - {"OK"})}),
        "required": ["code", "message", "message_en", "request_id", "data"],
    }
    return schemas


def _alternatives(kind: Any) -> tuple[Any, ...]:
    if kind is None:
        return ()
    return get_args(kind) if isinstance(kind, types.UnionType) else (kind,)


def _envelope(data: dict[str, Any], code: dict[str, Any]) -> dict[str, Any]:
    return {
        "code": code,
        "message": {"type": "string", "description": "For people; Chinese unless English is preferred."},
        "message_en": {"type": "string"},
        "request_id": {"type": "string", "pattern": "^[0-9A-HJKMNP-TV-Z]{26}$"},
        "data": data,
    }


def _answer(kind: Any, description: str, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    body = {
        "type": "object",
        "properties": _envelope({"$ref": _REF.format(name=kind.__name__)}, {"const": "OK"}),
        "required": ["code", "message", "message_en", "request_id", "data"],
    }
    answer: dict[str, Any] = {
        "description": description,
        "content": {"application/json": {"schema": body}},
        "headers": {"X-Request-Id": _string_header("The request's id."), **(headers or {})},
    }
    return answer


def _string_header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


def _quota_headers() -> dict[str, Any]:
    return {
        "RateLimit-Limit": _string_header("Requests that can be made at once."),
        "RateLimit-Remaining": _string_header("Of these, left now."),
        "RateLimit-Reset": _string_header("Seconds until all are available again."),
    }


def _errors(codes: tuple[str, ...], chinese: bool) -> dict[str, Any]:
    sign = "：" if chinese else ": "
    by_status: dict[int, list[str]] = {}
    for code in sorted(set(codes)):
        by_status.setdefault(http_status(code), []).append(code)
    return {
        str(status): {
            "description": "\n".join(f"* `{c}`{sign}{message_of(c, english=not chinese)}" for c in listed),
            "content": {"application/json": {"schema": {"$ref": _REF.format(name="Error")}}},
        }
        for status, listed in sorted(by_status.items())
    }


def _operation(route: Route, schemas: dict[str, Any], chinese: bool) -> dict[str, Any]:
    codes = _EVERY_CALL + route.codes + (_EVERY_BODY if route.body is not None else ())
    responses: dict[str, Any] = {}
    if route.data is None:
        responses[str(route.status)] = {
            "description": "Done",
            "content": {route.media: {"schema": {"type": "string"}}},
            "headers": _quota_headers(),
        }
    for kind in _alternatives(route.data):
        status = 200 if kind is Explained else route.status
        text = "Nothing was sent (dry run)" if kind is Explained else "Done"
        responses[str(status)] = _answer(kind, text, _quota_headers())
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "description": f"Scope `{route.scope}`.",
        "tags": [route.path.split("/")[1]],
        "security": _SECURITY,
        "parameters": _parameters(route),
        "responses": {**responses, **_errors(codes, chinese)},
    }
    if route.body is not None:
        optional = not schemas[route.body.__name__].get("required")
        operation["requestBody"] = {
            "required": not optional,
            "content": {"application/json": {"schema": {"$ref": _REF.format(name=route.body.__name__)}}},
        }
    if route.upload:
        said = "A PNG, JPEG or WebP picture, or a PDF, up to 10 MB." if route.proof else _TABLE
        file = {"type": "string", "format": "binary", "description": said}
        operation["requestBody"] = {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {"type": "object", "properties": {"file": file}, "required": ["file"]}
                }
            },
        }
    return operation


_TABLE = "The table, CSV or XLSX, up to 200 MB."
_PATH_PATTERN = {"name": "^[A-Za-z0-9_.-]{1,64}$"}


def _parameters(route: Route) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": _PATH_PATTERN.get(name, "^[0-9]{1,19}$")},
        }
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    parameters += _query(route.query)
    if route.idempotent:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "Repeat a call safely: the first answer is given again for 7 days.",
                "schema": {"type": "string", "pattern": "^[!-~]{1,64}$"},
            }
        )
    if route.upload or route.body is not None:
        parameters.append(
            {
                "name": "X-Sms-Content-SHA256",
                "in": "header",
                "required": False,
                "description": "SHA-256 of the body in lower hex, as signed; signed uploads need it.",
                "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            }
        )
    return parameters


def _times(kind: type) -> dict[str, Any]:
    """The schema of a time or a day that a call is given."""
    if kind is Day:
        return {"type": "string", "format": "date"}
    return {"type": "string", "format": "date-time", "description": "ISO 8601 with zone."}


def _query(kind: type) -> list[dict[str, Any]]:
    """The parameters of a query."""
    parameters: list[dict[str, Any]] = []
    _, schemas = msgspec.json.schema_components([kind], ref_template=_REF, schema_hook=_times)
    for name, shape in schemas[kind.__name__].get("properties", {}).items():
        # absent, not null, is how a query leaves a parameter out
        given = next((s for s in shape.get("anyOf", ()) if s.get("type") != "null"), None)
        if given is None:
            given = {key: value for key, value in shape.items() if key != "default"}
        parameters.append({"name": name, "in": "query", "required": False, "schema": given})
    return parameters


def _public(route: PublicRoute, chinese: bool) -> dict[str, Any]:
    if route.data is None:
        good: dict[str, Any] = {
            "description": "Done",
            "content": {route.media: {"schema": {"type": "object" if route.media.endswith("json") else "string"}}},
        }
    else:
        good = _answer(route.data, "Done")
    return {
        "operationId": route.name,
        "summary": route.summary,
        "tags": ["server"],
        "security": [],
        "parameters": _query(route.query),
        "responses": {"200": good, **_errors(route.errors, chinese)},
    }
