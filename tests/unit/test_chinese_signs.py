"""Chinese sentences have signs of full width, in whatever is told to people: ，：；（）."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.pofile import read_po

from smsgw.api import openapi
from smsgw.api import words as api
from smsgw.core import words

ROOT = Path(__file__).parents[2]
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


def test_a_sign_of_half_width_is_found_and_addresses_times_and_english_are_let_be() -> None:
    for wrong in ("请重试({why})", "缺少参数:{field}", "已停用, 请联系", "账号 %(name)s;稍后", "{a},条"):
        assert half_of(wrong), wrong
    for sound in ("见 https://a.cn:80/b?c=(1)", "1,000 条，{a}：{b}（{c}）", "a, b (c): d", "9:30，至 10:00"):
        assert half_of(sound) is None


def test_signs_among_chinese_are_of_full_width() -> None:
    found = {where: chinese for where, chinese in told() if half_of(chinese)}
    assert not found
