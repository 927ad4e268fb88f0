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


@pytest.mark.parametrize(
    ("text", "cmpp", "smpp"),
    [
        ("汉" * 70, 1, 1),
        ("汉" * 71, 2, 2),
        ("汉" * 134, 2, 2),
        ("汉" * 135, 3, 3),
        # The pair does not fit behind 66 units: it moves to the next part as a whole, which may cost one more.
        ("汉" * 66 + "😀" + "字" * 65, 2, 2),
        ("汉" * 66 + "😀" + "字" * 66, 3, 3),
        ("a" * 160, 1, 1),
        ("a" * 161, 2, 2),
        ("a" * 306, 2, 2),
        ("a" * 307, 3, 3),
        # € is in the GSM alphabet, as an escape and a septet that must stay together, and not in ASCII.
        ("a" * 158 + "€", 3, 1),
        ("a" * 159 + "€", 3, 2),
        ("a" * 152 + "€" + "b" * 151, 5, 2),
        ("a" * 152 + "€" + "b" * 152, 5, 3),
        ("a" * 158 + "[", 1, 1),
        ("a" * 159 + "]", 2, 2),
        ("a" * 152 + "[" + "b" * 151, 2, 2),
        ("a" * 152 + "]" + "b" * 152, 3, 3),
        ("Mixed 中文, €[]{}~, emoji 👨‍👩‍👧 and Ünïcödé\n第二行 end", 1, 1),
    ],
    ids=lambda value: None if isinstance(value, int) else f"{value[:1]}{len(value)}{value[-1]}",
)
async def test_boundaries(shared: Site, text: str, cmpp: int, smpp: int) -> None:
    customer = shared.customer
    sent = []
    for channel in CHANNELS:
        parts = smpp if channel == "smpp34" else cmpp
        assert parts_of(text, channel) == parts, "the test's own counting"
        number = customer.number(channel)
        body = {"to": [number], "content": text}
        (told,) = (await shared.client.post("/messages/explain", body)).data["items"]
        assert (told["verdict"], told["parts"], told["price"]) == ("accepted", parts, parts)
        submits = shared.carriers[channel].counts.submits
        (message,) = customer.note(await shared.client.post("/messages", body), [text])
        assert message.parts == parts
        await _arrive(shared, [(channel, number, text, parts)])
        assert shared.carriers[channel].counts.submits - submits == parts
        sent.append(message)
    assert [(await customer.get(m.message_id))["parts"]["ok"] for m in sent] == [cmpp, cmpp, smpp]


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
        length = chance.choice([1, 10, 60, 67, 70, 71, 134, 153, 160, 161, 200, 306, 400]) + chance.randint(
            0, 3
        )
        body = "".join(chance.choice(alphabet) for _ in range(length))
        body = body.replace("{", "[")  # {name} would be a variable that nobody has filled in
        texts.append(body if body.strip() else body + ".")
    return texts


async def test_random_texts_in_one_call(shared: Site) -> None:
    chance = dice()
    texts = _texts(chance, 200)
    channels = [chance.choice(list(CHANNELS)) for _ in texts]
    numbers = [shared.customer.number(channel) for channel in channels]
    items = [{"to": number, "content": text} for number, text in zip(numbers, texts, strict=True)]
    before = (await shared.client.get("/balance")).data["available"]
    answer = await shared.client.post("/messages/batch", {"items": items})
    sent = shared.customer.note(answer, texts)
    expected = [parts_of(text, channel) for text, channel in zip(texts, channels, strict=True)]
    assert [message.parts for message in sent] == expected
    assert (await shared.client.get("/balance")).data["available"] == before - sum(expected)
    await _arrive(shared, zip(channels, numbers, texts, expected, strict=True))
