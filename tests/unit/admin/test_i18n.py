"""What the portal says: the English catalogue is complete, and what the program calls by a name has its words."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from smsgw.admin.i18n import agreeing, teller
from smsgw.admin.pages.monitoring.alarm_rules import unit_of
from smsgw.admin.words.fallback import WHY
from smsgw.admin.words.lists import RESEND_WHY
from smsgw.admin.words.load_tests import setting
from smsgw.admin.words.monitoring import NODE_JOB
from smsgw.admin.words.terms import TERMS
from smsgw.core.alarm_rules import KINDS
from smsgw.platform.messages.resend import REASONS

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


def test_place_holders_are_kept() -> None:
    for path in script().catalogue_paths("en"):
        for message in script().read(path, "en"):
            if message.id:
                holders = re.findall(r"%\(\w+\)s", str(message.id))
                assert sorted(holders) == sorted(re.findall(r"%\(\w+\)s", str(message.string))), message.id
                assert not re.search(r"[\u4e00-\u9fff]", str(message.string)), message.id


def test_no_chinese_text_stands_outside_of_gettext_in_templates() -> None:
    for path in (ROOT / "smsgw" / "admin" / "templates").rglob("*.html"):
        text = re.sub(r"_\('[^']*'", "", path.read_text("utf-8"))
        text = text.replace("'中' if code", "")  # the language's own name
        found = re.findall(r"[\u4e00-\u9fff]+", text)
        assert not found, f"{path.name}: {found}"


@pytest.mark.parametrize(
    ("text", "values", "said"),
    [
        ("%(n)s part(s)", {"n": 1}, "1 part"),
        ("%(n)s part(s)", {"n": "0"}, "0 parts"),
        ("%(people)s (person|people) in %(n)s account(s)", {"people": 1, "n": 2}, "1 person in 2 accounts"),
        ("%(n)s row(s) (is|are) left of %(name)s", {"n": 1, "name": "part(s)"}, "1 row is left of part(s)"),
        ("Delay (s)", {}, "Delay (s)"),
    ],
)
def test_english_words_agree_with_their_numbers(text: str, values: dict[str, object], said: str) -> None:
    assert agreeing(text, values) % values == said


ELSEWHERE = {"delivered", "maybe", "waiting", "again", "test", "code", "dead", "content"}
"""What a chain says otherwise, or is never behind."""


def test_what_has_a_name_in_the_program_has_its_words() -> None:
    assert RESEND_WHY.keys() == REASONS.keys()
    assert {reason for reason in REASONS if reason not in WHY} == ELSEWHERE
    found = {name for file in (ROOT / "smsgw").rglob("*.py") for name in _EXCLUSIVE.findall(file.read_text("utf-8"))}
    assert len(found) > 10
    assert found == NODE_JOB.keys()
    shown = {(kind, name): TERMS[unit_of(kind, name)] for kind, known in KINDS.items() for name in known.values}
    assert [key for key, term in shown.items() if not term.endswith("）")] == []


_EXCLUSIVE = re.compile(r'(?:exclusive=|^RESOURCE = )"([^"]+)"', re.MULTILINE)


@pytest.mark.parametrize(
    ("value", "chinese", "english"),
    [
        ("200 messages/s", "200 条/秒", "200 per second"), ("batches of 100", "每批 100 条", "Batches of 100"),
        ("24,000 (and 1,000 to warm up)", "24,000（另有 1,000 条预热）", "24,000 (and 1,000 to warm up)"),
        ("100% of it", "100% of it", "100% of it"), (8, "8", "8"),
    ],
)  # fmt: skip
def test_what_a_load_test_was_set_to_is_told_in_the_readers_language(value: object, chinese: str, english: str) -> None:
    text, values = setting(value)
    assert (text % values, teller("en")(text) % values) == (chinese, english)
