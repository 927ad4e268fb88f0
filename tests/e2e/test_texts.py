"""Texts survive the way: coding and number of parts as promised, and on the phone what was written."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from harness import CHANNELS, Site, dice, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.shard("protocols")]

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
ESCAPED = "^{}\\[~]|€"


def parts_of(text: str, channel: str) -> int:
    """What 3GPP 23.038 and 23.040 say: whole characters into parts of 160 / 153 septets or 70 / 67 units of UCS-2.

    CMPP has no 7-bit alphabet beyond ASCII, so there everything else is UCS-2.
    """
    seven_bit = all(c in BASIC + ESCAPED for c in text) and (channel == "smpp34" or text.isascii())
    single, joined = (160, 153) if seven_bit else (70, 67)
    sizes = [(2 if c in ESCAPED else 1) if seven_bit else len(c.encode("utf-16-be")) // 2 for c in text]
    if sum(sizes) <= single:
        return 1
    parts, used = 1, 0
    for size in sizes:
        if used + size > joined:
            parts, used = parts + 1, 0
        used += size
    return parts


async def _arrive(shared: Site, sent: Iterable[tuple[str, str, str, int]]) -> None:
    """(channel, number, text, parts): each must be on the phone, once, with so many parts."""
    customer = shared.customer
    for channel, number, text, parts in sent:

        def here(channel: str = channel, number: str = number) -> list[tuple[str, int]]:
            messages = shared.carriers[channel].messages
            return [(m.text, m.parts) for m in messages if m.destination.endswith(number)]

        arrived = await until(here, what=f"{text!r} has arrived")
        assert arrived == [(text, parts)]
    await until(lambda: _all_reported(shared), what="all reports")
    assert all(r["parts"]["ok"] == r["parts"]["total"] for rs in customer.reports.values() for r in rs)


async def _all_reported(shared: Site) -> bool:
    await shared.customer.pull()
    return shared.customer.sent.keys() == shared.customer.reports.keys()


EDGES = [
    *("汉" * n for n in (70, 71, 134, 135)),
    # A pair does not fit behind 66 units: it moves to the next part as a whole, which may cost one more.
    *("汉" * 66 + "😀" + "字" * n for n in (65, 66)),
    *("a" * n for n in (160, 161, 306, 307)),
    # What is in the GSM alphabet as an escape and a septet stays together; € is not in ASCII, brackets are.
    *("a" * n + escaped + "b" * m for escaped in "€[" for n, m in ((158, 0), (159, 0), (152, 151), (152, 152))),
    "Mixed 中文, €[]~, emoji 👨‍👩‍👧 and Ünïcödé\n第二行 end",
]


def _texts(chance: random.Random, n: int) -> list[str]:
    alphabets = [
        BASIC,
        BASIC + ESCAPED * 5,
        "".join(map(chr, range(32, 127))),
        "中文短信内容测试一二三四五六七八九十。,、!?",
        "中文 mixed with ASCII 0123456789",
        "中😀👍🏽🇨🇳文a€",
        "éèüñçαβγдежالعربיעב한글ひらがな",
    ]
    texts = []
    for _ in range(n):
        alphabet = chance.choice(alphabets)
        length = chance.choice([1, 10, 60, 67, 70, 71, 134, 153, 160, 161, 200, 306, 400]) + chance.randint(0, 3)
        body = "".join(chance.choice(alphabet) for _ in range(length))
        body = body.replace("{", "[")  # {name} would be a variable that nobody has filled in
        texts.append(body if body.strip() else body + ".")
    return texts


async def test_random_texts_in_one_call(shared: Site) -> None:
    """And those at the edges of parts, by each channel."""
    chance = dice()
    texts = [*EDGES * len(CHANNELS), *_texts(chance, 200)]
    channels = [name for name in CHANNELS for _ in EDGES] + [chance.choice(list(CHANNELS)) for _ in range(200)]
    numbers = [shared.customer.number(channel) for channel in channels]
    items = [{"to": number, "content": text} for number, text in zip(numbers, texts, strict=True)]
    before = (await shared.client.get("/balance")).data["available"]
    answer = await shared.client.post("/messages/batch", {"items": items})
    sent = shared.customer.note(answer, texts)
    expected = [parts_of(text, channel) for text, channel in zip(texts, channels, strict=True)]
    assert [message.parts for message in sent] == expected
    assert (await shared.client.get("/balance")).data["available"] == before - sum(expected)
    await _arrive(shared, zip(channels, numbers, texts, expected, strict=True))
