"""《短信平台标准接口文档》: the API's manual in Chinese, as a page of the product and as a file to print.

Made from the same routes, types and tables as the server itself; what only prose can tell stands in ``manual.html``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jinja2

from smsgw import __version__
from smsgw.api import openapi, words, words_manual
from smsgw.api.route import Route
from smsgw.api.routes import PUBLIC, ROUTES
from smsgw.core import words as catalogue
from smsgw.core.errors import CODES, message_of
from smsgw.core.model import REPORT_CLASSES
from smsgw.core.states import CORRECTABLE, FINAL, STATUS, STATUS_NAMES
from smsgw.web.serving import API_BASE

MAX_DEPTH = 4
"""Levels of fields that a table shows."""
_REF = "#/components/schemas/"
_PYTHON = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict}
_EXAMPLES = (
    ("Python", "python/smsgw_client.py"),
    ("Java", "java/SmsgwClient.java"),
    ("PHP", "php/smsgw_client.php"),
    ("Go", "go/smsgw_client.go"),
    ("Node.js", "node/smsgw_client.mjs"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table of fields."""

    name: str
    type: str
    required: bool
    text: str


@dataclass(frozen=True, slots=True)
class Operation:
    """A call as the manual shows it. ``fields`` and ``answer`` are empty where there are none."""

    method: str
    path: str
    summary: str
    scope: str = ""
    idempotent: bool = False
    status: int = 200
    parameters: tuple[Row, ...] = ()
    fields: tuple[Row, ...] = ()
    answer: tuple[Row, ...] = ()
    errors: tuple[str, ...] = ()
    request: str = ""
    response: str = ""


@dataclass(frozen=True, slots=True)
class Chapter:
    """Calls that belong together."""

    title: str
    operations: tuple[Operation, ...]


def chapters() -> tuple[Chapter, ...]:
    """All calls, in the order of the route table."""
    document = openapi.document(chinese=True)
    tags: dict[str, list[Operation]] = {}
    for route in ROUTES:
        node = document["paths"][API_BASE + route.path][route.method.lower()]
        tags.setdefault(node["tags"][0], []).append(_operation(route, node, document))
    public = [Operation("GET", p.path if p.root else API_BASE + p.path, words.chinese(p.summary)) for p in PUBLIC]
    shown = [Chapter(words_manual.CHAPTERS.get(tag, tag), tuple(found)) for tag, found in tags.items()]
    return (*shown, Chapter(words_manual.CHAPTERS["server"], tuple(public)))


def _operation(route: Route, node: dict[str, Any], document: dict[str, Any]) -> Operation:
    answer = node["responses"][str(route.status)]["content"].get("application/json")
    body = node.get("requestBody")
    shape = next(iter(body["content"].values()))["schema"] if body else None
    json_body = body is not None and "application/json" in body["content"]
    data = answer["schema"]["properties"]["data"] if answer else {}
    sample = {
        "code": "OK",
        "message": message_of("OK"),
        "message_en": message_of("OK", english=True),
        "request_id": words.FIELDS["request_id"].sample,
        "data": _sample(data, document),
    }
    return Operation(
        route.method,
        API_BASE + route.path,
        node["summary"],
        route.scope,
        route.idempotent,
        route.status,
        tuple(
            Row(
                p["name"],
                _type(p["schema"], document),
                p["required"],
                _text(p["schema"], document, p.get("description", "")),
            )
            for p in node["parameters"]
            if p["name"] != "Idempotency-Key"
        ),
        tuple(_rows(shape, document)) if shape else (),
        tuple(_rows(data, document)) if answer else (),
        route.codes,
        _json(_sample(shape, document, request=True)) if shape and json_body else "",
        _json(sample) if answer else "",
    )


def _resolve(shape: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """The shape behind a reference, or what an optional one is when it is not null."""
    given = next((s for s in shape.get("anyOf", ()) if s.get("type") != "null"), shape)
    if "$ref" in given:
        return dict(document["components"]["schemas"][given["$ref"].removeprefix(_REF)])
    return given


def _rows(shape: dict[str, Any], document: dict[str, Any], prefix: str = "", depth: int = 0) -> list[Row]:
    resolved = _resolve(shape, document)
    rows = []
    required = resolved.get("required", ())
    for name, field in resolved.get("properties", {}).items():
        rows.append(Row(prefix + name, _type(field, document), name in required, _text(field, document)))
        inner = _resolve(field, document)
        many = inner.get("type") == "array"
        if many:
            inner = _resolve(inner.get("items", {}), document)
        if inner.get("properties") and depth < MAX_DEPTH:
            rows += _rows(inner, document, f"{prefix}{name}{'[]' if many else ''}.", depth + 1)
    return rows


def _type(shape: dict[str, Any], document: dict[str, Any]) -> str:
    resolved = _resolve(shape, document)
    kind = resolved.get("type", "")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    if kind == "array":
        return f"{_type(resolved.get('items', {}), document)}{words_manual.MANY}"
    if "enum" in resolved or "const" in resolved:
        return words_manual.ENUM
    formats, types = words_manual.FORMATS, words_manual.TYPES
    return formats.get(resolved.get("format", "")) or types.get(kind, types["object"])


def _text(shape: dict[str, Any], document: dict[str, Any], text: str = "") -> str:
    """The description with the limits, in Chinese."""
    given = next((s for s in shape.get("anyOf", ()) if s.get("type") != "null"), shape)
    text = text or shape.get("description") or given.get("description") or given.get("items", {}).get("description", "")
    limits = []
    if options := _resolve(shape, document).get("enum"):
        limits.append(words_manual.OPTIONS + "、".join(str(v) for v in options if v is not None))
    limits += [pattern.format(given[key]) for key, pattern in words_manual.LIMITS.items() if key in given]
    if shape.get("default") not in (None, "", [], {}):
        limits.append(f"{words_manual.DEFAULT}{json.dumps(shape['default'], ensure_ascii=False)}")
    return ";".join(filter(None, (text.replace("``", ""), ",".join(limits))))


def _sample(shape: dict[str, Any], document: dict[str, Any], *, request: bool = False, depth: int = 0) -> Any:
    """A value of the shape. Of a request what is required and the text, of an answer everything."""
    resolved = _resolve(shape, document)
    title = resolved.get("title", "")
    value: dict[str, Any] = {}
    for name, field in resolved.get("properties", {}).items():
        wanted = name in resolved.get("required", ()) or name in ("content", "type", "client_ref")
        if request and not wanted:
            continue
        if f"{title}.{name}" in words.SAMPLES:
            value[name] = words.SAMPLES[f"{title}.{name}"]
            continue
        inner = _resolve(field, document)
        if inner.get("properties") and depth < MAX_DEPTH:
            value[name] = _sample(field, document, request=request, depth=depth + 1)
        elif inner.get("type") == "array":
            items = _resolve(inner.get("items", {}), document)
            one = _sample(items, document, request=request, depth=depth + 1) if items.get("properties") else None
            value[name] = [one] if one else []
        else:
            value[name] = _scalar(name, inner)
    return value


def _scalar(name: str, shape: dict[str, Any]) -> Any:
    if "const" in shape:
        return shape["const"]
    known = words.FIELDS.get(name)
    if known is not None and known.sample is not None:
        if isinstance(known.sample, _PYTHON.get(shape.get("type", ""), object)):  # type: ignore[arg-type]
            return known.sample
    if shape.get("enum"):
        return shape["enum"][0]
    return {"string": "", "integer": 0, "number": 0, "boolean": False, "object": {}}.get(shape.get("type", ""))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def style() -> str:
    """The manual's style sheet."""
    return resources.files(__package__).joinpath("manual.css").read_text("utf-8")


def examples() -> tuple[tuple[str, str], ...]:
    """(language, source) of the clients that can be run as they stand."""
    folder = resources.files(__package__).joinpath("examples")
    return tuple((name, folder.joinpath(path).read_text("utf-8")) for name, path in _EXAMPLES)


def page(*, alone: bool = False) -> str:
    """The whole manual as HTML. ``alone``: with its style inside, to be saved and printed."""
    folder = resources.files(__package__)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(folder.joinpath("manual.html").read_text("utf-8"))
    final = {STATUS[state] for state in FINAL} | {"rejected"}
    corrected = {STATUS[state] for state in CORRECTABLE}
    return template.render(
        title=words_manual.TITLE,
        version=__version__,
        base=API_BASE,
        chapters=chapters(),
        statuses=[(word, str(name), word in final, word in corrected) for word, name in STATUS_NAMES.items()],
        classes=[(word, str(name)) for word, name in REPORT_CLASSES.items()],
        codes=[(code, status, *catalogue.CODES[code]) for code, status in CODES.items()],
        examples=examples(),
        style=style() if alone else "",
    )
