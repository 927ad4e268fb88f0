"""Every action of the audit log, and what it was done to, has a name in both languages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from source_trees import dotted, forgotten, nodes, parsed

import smsgw
from smsgw.admin.kit import discovery
from smsgw.admin.kit.lists import ListPage
from smsgw.admin.words.audit import action_words, actions_called, object_words
from smsgw.core.templates import Registration
from smsgw.core.words import LABELS

__all__ = ("forgotten",)
PACKAGE = Path(smsgw.__file__).parent
ACTION = re.compile(r"[a-z_]+(\.[a-z_]+)?")
ENTERING = {"record", "_record", "reads", "note", "_set_status", "_set", "_add_role"}
"""Functions that enter something, or hand an action on to one that does."""
LISTED = {"sign": ("approved", "refused", "register"), "template": ("approved", "refused", "register")}
"""Put together from a kind and what was said of it (platform/content)."""


@cache
def _nodes() -> list[tuple[str, ast.AST]]:
    """(where, node) of the whole source."""
    found: list[tuple[str, ast.AST]] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE)
        every = nodes(parsed(path))
        found += [(f"{name}:{n.lineno}", n) for n in every if isinstance(n, ast.Call | ast.Assign)]
    return found


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)


def _entered() -> Iterator[tuple[str, str]]:
    """(where, action) of the source, and of the addresses that lists have."""
    for where, node in _nodes():
        found: list[str] = []
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            if (name.rpartition(".")[2] in ENTERING and name != "events.record") or name == "audit.append":
                texts = [text for arg in node.args for text in _texts(arg)]
                first = [text for text in texts if "." in text and ACTION.fullmatch(text)]
                found = first[:2] if any(isinstance(arg, ast.IfExp) for arg in node.args) else first[:1]
        elif isinstance(node, ast.Assign) and dotted(node.targets[0]) == "action":
            found = list(_texts(node.value))
        for text in found:
            yield where, text
    for page in (value for module in discovery.modules() for value in vars(module).values()):
        if isinstance(page, ListPage):
            yield page.path, f"{page.name}.search"
            if page.detail is not None:
                yield page.path, f"{page.name}.open"
    for kind, said in LISTED.items():
        yield from ((kind, f"{kind}.{word}") for word in said)


def test_every_action_and_list_has_a_name() -> None:
    entered = list(_entered())
    assert len({action for _, action in entered}) > 120, "the search finds them"
    assert [f"{where} {action}" for where, action in entered if action not in LABELS["audit_action"]] == []
    names = {one.name for m in discovery.modules() for one in vars(m).values() if isinstance(one, ListPage)}
    assert sorted(names - set(LABELS["audit_object"])) == []
    said = set(map(str, Registration)) - {Registration.EXPIRED.value}
    assert said <= LABELS["audit_value"].keys()


def test_every_object_has_a_name() -> None:
    missing = set()
    for where, node in _nodes():
        if isinstance(node, ast.Call) and dotted(node.func) == "unit.record" and len(node.args) > 1:
            text = node.args[1]
            if isinstance(text, ast.JoinedStr) and isinstance(text.values[0], ast.Constant):
                text = text.values[0]
            for said in _texts(text):
                kind = re.split("[/:]", said)[0]
                if kind and kind not in LABELS["audit_object"]:
                    missing.add(f"{where} {kind}")
    assert missing == set()


def test_codes_are_shown_in_words_and_found_by_them() -> None:
    name, code = action_words("staff.stop")
    assert (str(name), code) == ("停用人员", "staff.stop")
    assert action_words("of.yore") == ("of.yore", "of.yore")
    objects = ("staff/zhang", "account:demo", "audit")
    assert [str(object_words(one)[0]) for one in objects] == ["人员", "短信账号", "审计日志"]
    assert "staff.stop" in actions_called("停用")
    assert "staff.stop" in actions_called("Person Stopped")
    assert [*actions_called(" "), *actions_called("没有这个")] == []


def test_every_field_that_is_written_down_with_a_change_has_a_name() -> None:
    unknown = {
        f"{where}: {key.value}"
        for where, node in _nodes()
        if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in ENTERING
        for keyword in node.keywords
        if keyword.arg in {"before", "after"}
        for told in ast.walk(keyword.value)
        if isinstance(told, ast.Dict)
        for key in told.keys
        if isinstance(key, ast.Constant) and key.value not in LABELS["audit_field"]
    }
    assert not unknown
