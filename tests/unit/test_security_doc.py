"""docs/security.md: every requirement has one line, what a line rests on exists, and the counts agree."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from smsgw.runtime.config import Config

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")

STATUSES = ("met", "met by set-up", "open", "not applicable")

ASVS = """
1.1.1-2 1.2.1-9 1.3.1-11 1.4.1-3 1.5.1-2  2.1.1-3 2.2.1-3 2.3.1-4 2.4.1
3.2.1-2 3.3.1-4 3.4.1-6 3.5.1-5 3.7.1-2  4.1.1-3 4.2.1 4.3.1-2 4.4.1-4  5.1.1 5.2.1-3 5.3.1-2 5.4.1-3
6.1.1-3 6.2.1-12 6.3.1-4 6.4.1-4 6.5.1-5 6.6.1-3 6.8.1-4  7.1.1-3 7.2.1-4 7.3.1-2 7.4.1-5 7.5.1-2 7.6.1-2
8.1.1-2 8.2.1-3 8.3.1 8.4.1  9.1.1-3 9.2.1-4
10.1.1-2 10.2.1-2 10.3.1-4 10.4.1-11 10.5.1-5 10.6.1-2 10.7.1-3  11.1.1-2 11.2.1-3 11.3.1-3 11.4.1-4 11.5.1 11.6.1
12.1.1-3 12.2.1-2 12.3.1-4  13.1.1 13.2.1-5 13.3.1-2 13.4.1-5  14.1.1-2 14.2.1-4 14.3.1-3
15.1.1-3 15.2.1-3 15.3.1-7  16.1.1 16.2.1-5 16.3.1-4 16.4.1-3 16.5.1-3  17.1.1 17.2.1-4 17.3.1-2
"""
"""Version 5.0.0: the requirements of levels 1 and 2."""
GB = """
8.1.2.2a-b 8.1.3.1a 8.1.3.2a 8.1.3.2e 8.1.3.3a-b 8.1.3.3d 8.1.3.4b 8.1.3.5a-c
8.1.4.1a-d 8.1.4.2a-g 8.1.4.3a-d 8.1.4.4a-f 8.1.4.5 8.1.4.6 8.1.4.7a-b 8.1.4.8a-b 8.1.4.9a-c 8.1.4.10a-b 8.1.4.11a-b
8.1.5.1a-b 8.1.5.2a-b 8.1.5.3a-b 8.1.5.4c-d 8.1.5.4f
"""
"""GB/T 22239-2019, level 3: all of 8.1.4; of the others what concerns an application."""
TENDER = "T9.1 T10 T11.1 T11.2 T17 T23.4"


def expand(item: str) -> Iterator[str]:
    """``1.2.6-8`` and ``8.1.3.5a-c`` one by one."""
    span = re.fullmatch(r"(.*?)(\d+|[a-z])-(\d+|[a-z])", item)
    if span is None:
        yield item
    elif span[2].isdigit():
        yield from (f"{span[1]}{n}" for n in range(int(span[2]), int(span[3]) + 1))
    else:
        yield from (f"{span[1]}{chr(n)}" for n in range(ord(span[2]), ord(span[3]) + 1))


def ids(cell: str) -> list[str]:
    """As the document writes them: ``1.2.6–1.2.8, 8.1.3.5 a–c``."""
    short = (re.sub(r"–(?:[\d.]+\.)?", "-", item).replace(" ", "") for item in cell.split(", "))
    return [one for item in short for one in expand(item)]


LINES = [
    (ids(numbers), shown_by, status)
    for numbers, shown_by, status in re.findall(
        r"^\| (T?\d[^|]*?) \| [^|]* \| [^|]* \| ([^|]*) \| ([^|]*) \|$", DOCUMENT, re.MULTILINE
    )
]
"""Of the tables: requirements, what shows them, their status."""
STATUS = {one: status for of, _, status in LINES for one in of}
def group(one: str) -> str:
    """Where the summary counts it."""
    if one.startswith("T"):
        return "tender"
    if one.count(".") == 2:
        return f"V{one.partition('.')[0]}"
    return "8.1.2, 8.1.3" if one[:5] in ("8.1.2", "8.1.3") else one[:5]


def test_lines_and_open_ones() -> None:
    expected = [one for text in (ASVS, GB, TENDER) for item in text.split() for one in expand(item)]
    assert sum(one.count(".") == 2 and one[0] != "T" for one in expected) == 70 + 183
    assert sorted(one for of, _, _ in LINES for one in of) == sorted(expected)
    assert set(STATUS.values()) == set(STATUSES)
    summary = DOCUMENT[DOCUMENT.index("## Summary") : DOCUMENT.index("## Threat model")]
    listed = [one for cell in re.findall(r"^\d+\. \*\*(.*?)\*\*", summary, re.MULTILINE) for one in ids(cell)]
    assert sorted(listed) == sorted(one for one, status in STATUS.items() if status == "open")


def test_what_is_met_is_shown() -> None:
    for of, shown_by, status in LINES:
        if status.startswith("met"):
            assert "::" in shown_by or "code: " in shown_by, of
        if status == "not applicable":
            assert shown_by == "–", of


def test_the_summary_counts_the_lines() -> None:
    counted = Counter((group(one), status) for one, status in STATUS.items())
    groups = list(dict.fromkeys(group(one) for one in STATUS))
    wanted = []
    for title, some in (
        ("ASVS", [g for g in groups if g[0] == "V"]),
        ("GB/T 22239", ["8.1.4", "8.1.2, 8.1.3", "8.1.5"]),
        ("the tender's clauses", ["tender"]),
    ):
        rows = [(g, [counted[g, status] for status in STATUSES]) for g in some]
        if len(rows) > 1:
            wanted += [(g, *n, sum(n)) for g, n in rows]
        total = [sum(column) for column in zip(*(n for _, n in rows), strict=True)]
        wanted.append((f"**{title}**", *total, sum(total)))
    table = "\n".join(f"| {' | '.join(map(str, row))} |" for row in wanted)
    assert table in DOCUMENT, f"the summary should be\n{table}"


def test_what_is_named_is_there() -> None:
    for file, test in re.findall(r"`([\w/]+\.py)::(\w+)`", DOCUMENT):
        assert f"def test_{test}(" in (ROOT / "tests" / file).read_text("utf-8"), f"no test {test} in {file}"
    named = re.findall(r"`((?:smsgw|docs|systemd|requirements|tests)/[\w./-]*|SECURITY\.md)`", DOCUMENT)
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_settings_are_those_of_the_configuration() -> None:
    defaults = {
        f"[{section.name.replace('partners_', 'partners.')}] {key.name}": key.default
        if key.default is not dataclasses.MISSING
        else ()
        for section in dataclasses.fields(Config)
        for key in dataclasses.fields(type(getattr(Config(), section.name)))
    }
    named = set(re.findall(r"`(\[[a-z.]+\] \w+)", DOCUMENT))
    assert named - set(defaults) == set()
    rows = re.findall(r"^\| `(\[[a-z.]+\] \w+)` \| (.*?) \|", DOCUMENT, re.MULTILINE)
    assert {name.split("]")[0] for name, _ in rows} >= {"[http", "[security", "[audit", "[webhooks", "[retention"}
    for name, told in rows:
        default = defaults[name]
        parts = default if isinstance(default, tuple) else [default]
        texts = [str(p).lower() if isinstance(p, bool) else str(p) for p in parts]
        assert told == (", ".join(f"`{text}`" for text in texts if text) or "empty"), name
