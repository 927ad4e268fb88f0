"""What the documents say about the code is what the code says."""

from __future__ import annotations

import hashlib
import re
import runpy
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


@pytest.mark.parametrize(
    "page",
    sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]),
)
def test_links_between_documents_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", read(page)):
        assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"


def test_every_decision_is_listed_once() -> None:
    listed = re.findall(r"\]\((\d{3}-[\w-]+\.md)\)", read("docs/adr/README.md"))
    assert listed == sorted(path.name for path in (ROOT / "docs" / "adr").glob("[0-9]*.md"))
