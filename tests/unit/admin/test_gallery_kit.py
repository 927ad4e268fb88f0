"""The gallery shows the whole kit: every macro and every piece of ``templates/ui``, from the templates' syntax."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, nodes

from smsgw import admin

TEMPLATES = Path(admin.__file__).parent / "templates"
GALLERY = "ui/gallery.html"
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

Macro = tuple[str, str]
"""Its template and its name; no name: the template as a piece."""


class Kit:
    """Templates, and what each uses of the others."""

    def __init__(self) -> None:
        parser = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
        self._trees = {
            path.relative_to(TEMPLATES).as_posix(): parser.parse(path.read_text("utf-8"))
            for path in TEMPLATES.rglob("*.html")
        }

    def all(self) -> set[Macro]:
        """What there is of the kit."""
        found = set[Macro]()
        for name, tree in self._trees.items():
            if name.startswith("ui/") and name != GALLERY:
                macros = {(name, macro.name) for macro in tree.find_all(nodes.Macro)}
                found |= macros or {(name, "")}
        return found

    def used(self) -> set[Macro]:
        """What the gallery uses, by itself or by what it uses."""
        found, wanted = set[Macro](), [(GALLERY, "")]
        while wanted:
            if (one := wanted.pop()) not in found:
                found.add(one)
                wanted += self._of(*one)
        return found

    def _of(self, name: str, macro: str) -> Iterator[Macro]:
        tree = self._trees[name]
        macros = {one.name: one for one in tree.find_all(nodes.Macro)}
        from_others = {
            (given if isinstance(given, str) else given[1]): (
                source.template.value, given if isinstance(given, str) else given[0],
            )
            for source in tree.find_all(nodes.FromImport) for given in source.names
        }  # fmt: skip
        for node in self._within(macros[macro] if macro else tree, bool(macro)):
            if isinstance(node, nodes.Include | nodes.Extends):
                yield from ((part, "") for part in self._parts(node.template))
            elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
                called = node.node.name
                if called in from_others:
                    yield from_others[called]
                elif called in macros:
                    yield name, called

    def _within(self, node: nodes.Node, inside: bool) -> Iterator[nodes.Node]:
        """All below it, but for the bodies of macros that nobody has called."""
        for child in node.iter_child_nodes():
            if inside or not isinstance(child, nodes.Macro):
                yield child
                yield from self._within(child, inside)

    @staticmethod
    def _parts(expression: nodes.Expr) -> Iterator[str]:
        """The templates that an expression may stand for: "a" if x else "b"."""
        if isinstance(expression, nodes.Const):
            yield expression.value
        for const in expression.find_all(nodes.Const):
            if isinstance(const.value, str) and const.value.endswith(".html"):
                yield const.value


def test_the_gallery_shows_every_component() -> None:
    kit = Kit()
    lacking = {":".join(one).rstrip(":") for one in kit.all() - kit.used()}
    assert sorted(lacking) == sorted(NOT_SHOWN)
