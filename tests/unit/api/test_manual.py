"""The documents say everything the API does, in both languages, and their examples hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from smsgw.api import manual, openapi, words
from smsgw.api.decode import decoder_of
from smsgw.api.routes import PUBLIC, ROUTES
from smsgw.core.errors import CODES
from smsgw.web.serving import API_BASE as BASE

CHAPTERS = manual.chapters()
OPERATIONS = {(o.method, o.path): o for chapter in CHAPTERS for o in chapter.operations}


def texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("description", "summary") and isinstance(value, str):
                yield value
            else:
                yield from texts(value)
    elif isinstance(node, list):
        for one in node:
            yield from texts(one)


def test_every_text_has_its_chinese_and_no_other() -> None:
    missing = {text for text in texts(openapi.document(chinese=True)) if not re.search(r"[\u4e00-\u9fff]", text)}
    assert not missing, "add their Chinese to smsgw/api/words.py"
    assert set(words.CHINESE) <= set(texts(openapi.document())), "remove them from smsgw/api/words.py"
    assert [c.title for c in CHAPTERS if c.title.isascii()] == []


def test_every_field_says_what_it_means() -> None:
    silent = set()
    for name, schema in openapi.document()["components"]["schemas"].items():
        for field, shape in schema.get("properties", {}).items():
            inner = [shape, *shape.get("anyOf", ()), shape.get("items", {})]
            if not any("description" in one or "$ref" in one for one in inner):
                silent.add(f"{name}.{field}")
    assert not silent, "describe them where they are declared, or in smsgw/api/words.py"


def test_the_manual_has_every_call_and_code() -> None:
    page = manual.page()
    for route in ROUTES:
        assert f"<b>{route.method}</b> <code>{BASE}{route.path}</code>" in page
    for public in PUBLIC:
        assert f"<code>{public.path if public.root else BASE + public.path}</code>" in page
    for code in CODES:
        assert f"<td><code>{code}</code></td>" in page
    page = manual.page(alone=True)
    assert ("<link" in page, "@page" in page) == (False, True)


@pytest.mark.parametrize("route", [r for r in ROUTES if r.body is not None], ids=lambda r: f"{r.method} {r.path}")
def test_the_request_examples_are_accepted(route: Any) -> None:
    example = OPERATIONS[route.method, BASE + route.path].request
    assert example
    decoder_of(route.body).decode(example)
