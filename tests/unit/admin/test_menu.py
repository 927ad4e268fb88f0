"""The menu, and the words of the portal in both languages."""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from source_trees import dotted, forgotten, nodes, parsed

import smsgw
from smsgw.admin.i18n import agreeing, teller
from smsgw.admin.kit import discovery, people
from smsgw.admin.kit.lists import ListPage
from smsgw.admin.kit.menu import Entry, menu_for
from smsgw.admin.pages.monitoring.alarm_rules import unit_of
from smsgw.admin.pages.people.roles import GIVEN
from smsgw.admin.rights import PROOFS
from smsgw.admin.words.audit import action_words, actions_called, object_words
from smsgw.admin.words.fallback import WHY
from smsgw.admin.words.lists import RESEND_WHY
from smsgw.admin.words.load_tests import setting
from smsgw.admin.words.menu import ENTRIES, GROUPS, PERSONAL, Side
from smsgw.admin.words.monitoring import NODE_JOB
from smsgw.admin.words.pinyin import PINYIN
from smsgw.admin.words.terms import TERMS
from smsgw.core.alarm_rules import KINDS
from smsgw.core.permissions import Permission, duties_of, with_implied
from smsgw.core.templates import Registration
from smsgw.core.words import LABELS
from smsgw.platform.messages.resend import REASONS

P = Permission


def paths(*permissions: Permission) -> list[str]:
    menu = menu_for(discovery.entries(), permissions)
    assert all(group.entries for group in menu.groups)
    return [entry.path for group in menu.groups for entry in group.entries]


def test_the_menu_shows_only_what_one_may_open() -> None:
    assert paths() == []
    assert paths(P.HOME_VIEW) == ["/", "/duty"], "whom to turn to is for everybody"
    assert paths(P.MESSAGE_VIEW) == ["/records"]
    everything = paths(*Permission)
    assert [p for p in everything if p in ("/", "/send", "/records")] == ["/", "/send", "/records"]
    reached = {(r.path, r.action) for r in discovery.routes() if r.method == "GET"}
    for entry in discovery.entries():
        assert (entry.path, entry.permission) in reached, entry
    keys = [entry.key for entry in discovery.entries()]
    assert len(keys) == len(set(keys))
    routes = discovery.routes()
    assert len({(r.method, r.path) for r in routes}) == len(routes)
    with_place = ["{" in r.path for r in routes]
    assert with_place == sorted(with_place)
    assert {key.partition(".")[0] for key in ENTRIES} == GROUPS.keys()  # groups and entries have their words
    with pytest.raises(ValueError, match="no such entry"):
        Entry("records.nothing", "/nothing", P.HOME_VIEW)


def test_a_permission_opens_something_and_implies_no_more_than_it_must() -> None:
    for permission in GIVEN:
        may = with_implied({permission})
        open_ = {entry.path for entry in discovery.entries() if entry.permission in may | {P.SELF_EDIT}}
        assert permission in people.governed(), f"{permission}: no page asks for it"
        assert open_ - {"/notices", "/duty"}, f"{permission}: no way leads to what it is for"
    assert with_implied({P.ACCOUNT_STOP}) == {P.ACCOUNT_STOP, P.ACCOUNT_VIEW}
    assert with_implied({P.PERSON_RESET}) == {P.PERSON_RESET, P.PERSON_VIEW}
    assert with_implied({P.MESSAGE_SEND}) == {P.MESSAGE_SEND}, "who sends need not see records"
    for permission in P:
        more = with_implied({permission}) - {permission}
        assert duties_of(more) <= duties_of({permission}), permission
        assert not PROOFS.keys() & more, f"{permission}: nobody asks who it is"


def test_one_is_where_the_longest_beginning_of_the_address_is() -> None:
    entries = [
        Entry("home.workbench", "/", P.HOME_VIEW), Entry("records.sent", "/records", P.HOME_VIEW),
        Entry("records.daily", "/records/daily", P.HOME_VIEW), Entry("routing.channels", "/channels", P.HOME_VIEW),
    ]  # fmt: skip
    for path, key, side in (
        ("/", "home.workbench", Side.BUSINESS), ("/records/17", "records.sent", Side.BUSINESS),
        ("/records/daily/x", "records.daily", Side.BUSINESS), ("/channels/1", "routing.channels", Side.OPERATIONS),
    ):  # fmt: skip
        menu = menu_for(entries, {P.HOME_VIEW}, path)
        assert menu.here.here
        assert menu.here.here.key == key
        assert menu.side is side
    assert menu_for(entries, {P.HOME_VIEW}, "/recordsx").here is None
    assert menu_for(entries, {P.HOME_VIEW}).sides == (Side.BUSINESS, Side.OPERATIONS)
    assert menu_for(entries, {P.HOME_VIEW}, "/").opened == "records"
    assert menu_for(entries, {P.HOME_VIEW}).first(Side.OPERATIONS) == "/channels"
    menu = menu_for(discovery.entries(), Permission, "/staff/17")
    assert menu.entry.key == "people.staff"
    area = next(group for group in menu.groups if group.key == "area")
    assert [(entry.label, entry.path) for entry in area.entries] == [
        ("签名设置", "/signs"), ("部门管理", "/departments"), ("人员管理", "/staff"), ("平台设置", "/platform"),
    ]  # fmt: skip
    assert all(entry.shortcut for entry in area.entries)


def test_every_label_of_the_menu_is_found_by_its_pinyin() -> None:
    """A new label without it would be found by who types Chinese alone: scripts/pinyin."""
    labels = {words.label for words in (*ENTRIES.values(), *GROUPS.values())} | set(PERSONAL.values())
    assert sorted(labels - PINYIN.keys()) == []
    for label in labels:
        spoken = re.findall(r"[\u4e00-\u9fff]|[A-Za-z0-9]+", label)
        assert len(PINYIN[label].split()) == len(spoken), label
        assert re.fullmatch(r"[a-z0-9]+( [a-z0-9]+)*", PINYIN[label]), label


ROOT = Path(__file__).parents[3]


def script() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("i18n_script", str(ROOT / "scripts" / "i18n"))
    spec = importlib.util.spec_from_loader("i18n_script", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_nothing_is_missing_fuzzy_or_left_over() -> None:
    tool = script()
    texts, missing = tool.updated("en")
    assert missing == []
    assert sorted(texts) == tool.catalogue_paths("en"), "run scripts/i18n"
    for path, text in texts.items():
        assert text == path.read_text("utf-8"), "run scripts/i18n"
    for path in script().catalogue_paths("en"):  # place holders are kept
        for message in script().read(path, "en"):
            if message.id:
                holders = re.findall(r"%\(\w+\)s", str(message.id))
                assert sorted(holders) == sorted(re.findall(r"%\(\w+\)s", str(message.string))), message.id
                assert not re.search(r"[\u4e00-\u9fff]", str(message.string)), message.id
    for path in (ROOT / "smsgw" / "admin" / "templates").rglob("*.html"):
        text = re.sub(r"_\('[^']*'", "", path.read_text("utf-8"))
        text = text.replace("'中' if code", "")  # the language's own name
        found = re.findall(r"[\u4e00-\u9fff]+", text)
        assert not found, f"{path.name}: {found}"


def test_words_and_numbers_agree_in_english() -> None:
    for text, values, said in (
        ("%(n)s part(s)", {"n": 1}, "1 part"),
        ("%(n)s part(s)", {"n": "0"}, "0 parts"),
        ("%(people)s (person|people) in %(n)s account(s)", {"people": 1, "n": 2}, "1 person in 2 accounts"),
        ("%(n)s row(s) (is|are) left of %(name)s", {"n": 1, "name": "part(s)"}, "1 row is left of part(s)"),
        ("Delay (s)", {}, "Delay (s)"),
    ):
        assert agreeing(text, values) % values == said
    for value, chinese, english in (  # what a load test was set to is told in the readers language
        ("200 messages/s", "200 条/秒", "200 per second"), ("batches of 100", "每批 100 条", "Batches of 100"),
        ("24,000 (and 1,000 to warm up)", "24,000（另有 1,000 条预热）", "24,000 (and 1,000 to warm up)"),
        ("100% of it", "100% of it", "100% of it"), (8, "8", "8"),
    ):  # fmt: skip
        text, values = setting(value)
        assert (text % values, teller("en")(text) % values) == (chinese, english)
    assert RESEND_WHY.keys() == REASONS.keys()  # what has a name in the program has its words
    assert {reason for reason in REASONS if reason not in WHY} == ELSEWHERE
    found = {name for file in (ROOT / "smsgw").rglob("*.py") for name in _EXCLUSIVE.findall(file.read_text("utf-8"))}
    assert len(found) > 10
    assert found == NODE_JOB.keys()
    shown = {(kind, name): TERMS[unit_of(kind, name)] for kind, known in KINDS.items() for name in known.values}
    assert [key for key, term in shown.items() if not term.endswith("）")] == []


ELSEWHERE = {"delivered", "maybe", "waiting", "again", "test", "code", "dead", "content"}
"""What a chain says otherwise, or is never behind."""


_EXCLUSIVE = re.compile(r'(?:exclusive=|^RESOURCE = )"([^"]+)"', re.MULTILINE)
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


def test_every_action_object_and_field_of_the_audit_log_has_a_name() -> None:
    entered = list(_entered())
    assert len({action for _, action in entered}) > 120, "the search finds them"
    assert [f"{where} {action}" for where, action in entered if action not in LABELS["audit_action"]] == []
    names = {one.name for m in discovery.modules() for one in vars(m).values() if isinstance(one, ListPage)}
    assert sorted(names - set(LABELS["audit_object"])) == []
    said = set(map(str, Registration)) - {Registration.EXPIRED.value}
    assert said <= LABELS["audit_value"].keys()
    missing = set()  # every object has a name
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
    name, code = action_words("staff.stop")  # codes are shown in words and found by them
    assert (str(name), code) == ("停用人员", "staff.stop")
    assert action_words("of.yore") == ("of.yore", "of.yore")
    objects = ("staff/zhang", "account:demo", "audit")
    assert [str(object_words(one)[0]) for one in objects] == ["人员", "短信账号", "审计日志"]
    assert "staff.stop" in actions_called("停用")
    assert "staff.stop" in actions_called("Person Stopped")
    assert [*actions_called(" "), *actions_called("没有这个")] == []
    unknown = {  # every field that is written down with a change has a name
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
