"""What the documents say about the code is what the code says."""

from __future__ import annotations

import hashlib
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from smsgw.api import auth
from smsgw.core.states import CORRECTABLE, FINAL, STATUS
from smsgw.core.words import chinese_of

ROOT = Path(__file__).parents[2]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_readme_has_the_status_words_as_they_are(name: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| (✓?) ?\| ", read(name), re.MULTILINE)
    assert {word: chinese for word, chinese, _ in rows} == chinese_of("status")
    final = {STATUS[state] for state in FINAL} | {"rejected"}
    assert {word for word, _, mark in rows if mark} == final
    corrected = next(line for line in read(name).splitlines() if line.startswith(("`unconfirmed`", "`no_report`")))
    assert set(re.findall(r"`(\w+)`", corrected)) == {STATUS[state] for state in CORRECTABLE}


def test_api_document_lists_every_code() -> None:
    documents = runpy.run_path(str(ROOT / "scripts" / "docs"))
    text = read("docs/api.md")
    assert documents["render"](text) == text, "run scripts/docs"


def test_the_signing_example_signs() -> None:
    source = re.search(r"```python\n(.*?)```", read("docs/api.md"), re.DOTALL)
    assert source
    example: dict[str, object] = {}
    exec(compile(source[1], "docs/api.md", "exec"), example)  # noqa: S102 - our own document
    made = example["sign"]("secret", "POST", "/api/v1/messages", b'{"to":[]}')  # type: ignore[operator]
    body_sha256 = hashlib.sha256(b'{"to":[]}').hexdigest()
    text = auth.string_to_sign(
        "POST", "/api/v1/messages", "", made["X-Sms-Timestamp"], made["X-Sms-Nonce"], body_sha256
    )
    assert made["X-Sms-Signature"] == auth.sign("secret", text)


def test_documents_lead_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page}: {target}"
    listed = re.findall(r"\]\((\d{3}-[\w-]+\.md)\)", read("docs/adr/README.md"))
    assert listed == sorted(path.name for path in (ROOT / "docs" / "adr").glob("[0-9]*.md"))


TESTS = ROOT / "tests"
ROWS = re.findall(r"^\| ([FA]\d+) \| .* \| (.*) \| (.*)\|$", read("docs/faults.md"), re.MULTILINE)
def test_every_fault_has_its_line_and_the_tests_of_it_are_there() -> None:
    assert [row for row, _, _ in ROWS] == [f"F{n}" for n in range(1, 42)] + [f"A{n}" for n in range(1, 15)]
    for row, tests, _ in ROWS:
        assert tests.startswith(("`", "none")), f"{row} says neither a test nor why there is none"
        for file, test in re.findall(r"`([\w/]+\.py)::(\w+)`", tests):
            defined = re.findall(r"^ *(?:async def|def|class) (\w+)", (TESTS / file).read_text("utf-8"), re.MULTILINE)
            plain = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower().removeprefix("test_") for name in defined}
            assert test in plain, f"{row}: no test {test} in {file}"


def test_families_and_figures_are_those_of_the_rounds() -> None:
    source = (TESTS / "e2e" / "chaos.py").read_text(encoding="utf-8")
    families = set(re.findall(r'^ +f?"([FA]\d+)[.\w{}]*": Family\(', source, re.MULTILINE))
    assert {name for *_, column in ROWS for name in re.findall(r"[FA]\d+", column)} == families
    for mark in re.findall(r'"(<!-- chaos: \w+ -->)"', source):
        assert read("docs/durability.md").count(mark) == 1, mark


def test_the_drawing_of_the_modules_shows_the_parts_that_there_are() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "scripts" / "drawing"], capture_output=True, text=True, check=True, timeout=120
    )
    drawings = (read("docs/images/modules.svg"), made.stdout)
    kept, parts = (set(re.findall(r'text-anchor="end">([^<]+)', svg)) for svg in drawings)
    assert len(parts) > 50
    assert kept == parts, "draw it again: scripts/drawing > docs/images/modules.svg"
