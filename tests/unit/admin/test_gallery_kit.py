"""The gallery shows the whole kit: every macro and every piece of ``templates/ui``, itself or by what it uses."""

from __future__ import annotations

import re
from pathlib import Path

from smsgw import admin

TEMPLATES = Path(admin.__file__).parent / "templates"
NOT_SHOWN = {
    "ui/brand.html:support": "of the login page alone",
    "ui/documents.html": "a whole page: its table and the upload are shown",
    "ui/field_alone.html": "a field of the form that is shown",
    "ui/form_page.html": "a whole page: the form is shown",
    "ui/import.html": "a whole page: the upload is shown",
    "ui/import_columns.html": "a whole page: the mapping is shown",
    "ui/list.html": "a whole page: its rows, its filter and its tools are shown",
    "ui/number.html": "an answer of its own, which depends on what was asked",
    "ui/queue.html": "a whole page: its cards are the page's own",
}
"""What the gallery does not show, and why."""
MACRO = re.compile(r"{%-? *macro (\w+)(.*?){%-? *endmacro", re.DOTALL)


def test_the_gallery_shows_every_component() -> None:
    texts = {path.relative_to(TEMPLATES).as_posix(): path.read_text("utf-8") for path in TEMPLATES.rglob("*.html")}
    bodies = {name: MACRO.sub("", text) for name, text in texts.items()}
    bodies |= {f"{name}:{macro}": body for name, text in texts.items() for macro, body in MACRO.findall(text)}
    other_names = {alias: name for text in texts.values() for name, alias in re.findall(r"\b(\w+) as (\w+)", text)}
    used, wanted = set[str](), {"ui/gallery.html"}
    while wanted:
        used |= wanted
        said = " ".join(bodies[one] for one in wanted)
        called = set(re.findall(r"\b(\w+)\(", said))
        called |= {other_names[name] for name in called & other_names.keys()}
        named = set(re.findall(r'"([\w/]+\.html)"', said))
        wanted = {one for one in bodies if one.partition(":")[2] in called or one in named} - used
    kit = {one for one in bodies if one.startswith("ui/") and one != "ui/gallery.html"}
    kit -= {name for name in kit if MACRO.search(texts[name.partition(":")[0]]) and ":" not in name}
    assert sorted(kit - used) == sorted(NOT_SHOWN)
