"""What pages of monitoring say of the program's own names: each has its words, with its unit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from smsgw.admin.i18n import teller
from smsgw.admin.pages.monitoring.alarm_rules import unit_of
from smsgw.admin.words.load_tests import setting
from smsgw.admin.words.monitoring import NODE_JOB
from smsgw.admin.words.terms import TERMS
from smsgw.core.alarm_rules import KINDS

SOURCE = Path(__file__).parents[3] / "smsgw"
_EXCLUSIVE = re.compile(r'(?:exclusive=|^RESOURCE = )"([^"]+)"', re.MULTILINE)


def test_all_work_that_one_node_does_alone_has_a_name() -> None:
    found = {name for file in SOURCE.rglob("*.py") for name in _EXCLUSIVE.findall(file.read_text("utf-8"))}
    assert len(found) > 10
    assert found == NODE_JOB.keys()


def test_every_number_of_a_condition_has_its_unit() -> None:
    shown = {(kind, name): TERMS[unit_of(kind, name)] for kind, known in KINDS.items() for name in known.values}
    assert [key for key, term in shown.items() if not term.endswith("）")] == []


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
