"""Texts, reassembly and rates, whatever comes."""

from __future__ import annotations

import re

from hypothesis import given, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from smsgw.core import text, udh
from smsgw.core.bucket import TokenBucket
from smsgw.core.concat import Reassembly
from smsgw.core.text import Coding
from smsgw.core.variables import Template

GSM = "".join(chr(c) for c in range(0x2100) if text.choose(chr(c), (Coding.GSM7, Coding.UCS2)) is Coding.GSM7)

ALPHABETS = {
    Coding.GSM7: st.text(alphabet=GSM, max_size=700),
    Coding.ASCII: st.text(alphabet=st.characters(max_codepoint=0x7F), max_size=700),
    Coding.LATIN1: st.text(alphabet=st.characters(max_codepoint=0xFF), max_size=500),
    Coding.BINARY: st.text(alphabet=st.characters(max_codepoint=0xFF), max_size=500),
    Coding.UCS2: st.text(max_size=300),
    Coding.GB18030: st.text(max_size=300),
}
# Texts dense in what must not be cut: pairs, and GB18030 of one, two and four octets.
DENSE = st.text(alphabet="a€[]汉😀\U00020000é", max_size=300)


@given(coding=st.sampled_from(list(ALPHABETS)), data=st.data(), ref=st.integers(0, 0xFFFF), wide=st.booleans())
def test_split_then_join_is_the_same_text(coding: Coding, data: st.DataObject, ref: int, wide: bool) -> None:
    strategy = ALPHABETS[coding]
    if coding in (Coding.UCS2, Coding.GB18030):
        strategy = st.one_of(strategy, DENSE)
    body = data.draw(strategy)
    parts = text.split(body, coding, ref=ref, ref16=wide)
    assert text.join(parts[::-1], coding) == body
    assert text.count_parts(body, coding, ref16=wide) == len(parts)
    for part in parts:
        # each part is readable alone: nothing was cut in two
        assert text.encode(text.decode(part.octets, coding), coding) == part.octets
        if coding in (Coding.GSM7, Coding.ASCII):
            fill = text.gsm7_fill_bits(len(part.udh))
            assert len(part.udh) + len(text.gsm7_pack(part.octets, fill)) <= 140
        else:
            assert len(part.udh) + len(part.octets) <= 140
        if len(parts) > 1:
            expected = udh.Concat(ref if wide else ref & 0xFF, len(parts), part.number, wide)
            assert udh.parse(part.udh).concat == expected


@given(septets=st.binary(max_size=160).map(lambda b: bytes(x & 0x7F for x in b)), fill=st.integers(0, 6))
def test_unpack_undoes_pack(septets: bytes, fill: int) -> None:
    packed = text.gsm7_pack(septets, fill)
    assert len(packed) == -(-(7 * len(septets) + fill) // 8)
    assert text.gsm7_unpack(packed, len(septets), fill) == septets
    guessed = text.gsm7_unpack(packed, fill_bits=fill)
    assert guessed in (septets, septets[:-1])
    assert guessed == septets or septets[-1] == 0


@given(octets=st.binary(max_size=200), coding=st.sampled_from(Coding))
def test_decode_never_raises(octets: bytes, coding: Coding) -> None:
    assert isinstance(text.decode(octets, coding), str)


@given(octets=st.binary(max_size=200))
def test_udh_parse_reads_or_refuses(octets: bytes) -> None:
    try:
        header = udh.parse(octets)
    except udh.InvalidUdh:
        return
    assert header.length <= len(octets)
    if header.length <= 140:
        assert udh.build(header.elements) == octets[: header.length]


NAME = st.from_regex(r"[\w]{1,32}", fullmatch=True)
PLAIN = st.text(st.characters(exclude_characters="{}", exclude_categories=("Cs",)), max_size=30)


@given(st.lists(st.tuples(PLAIN, NAME), max_size=6), PLAIN, st.data())
def test_a_text_is_its_pieces_with_the_values_between(
    pieces: list[tuple[str, str]], end: str, data: st.DataObject
) -> None:
    template = Template("".join(f"{plain}{{{name}}}" for plain, name in pieces) + end)
    names = tuple(dict.fromkeys(name for _, name in pieces))
    assert template.names == names
    values = data.draw(st.lists(st.text(max_size=20), min_size=len(names), max_size=len(names)))
    by_name = dict(zip(names, values, strict=True))
    assert template.fill(values) == "".join(plain + by_name[name] for plain, name in pieces) + end


@given(st.text(max_size=80))
def test_any_text_can_be_taken_apart(text: str) -> None:
    template = Template(text)
    filled = template.fill([f"{{{name}}}" for name in template.names])
    # With each variable filled by its own name only doubled braces have become single ones.
    assert filled == re.sub(r"\{\{|\}\}|(\{\w{1,32}\})", lambda m: m[1] or m[0][0], text)


def test_doubled_braces_are_braces() -> None:
    template = Template("{{订单}} {订单}{订单} {a b} {}")
    assert template.names == ("订单",)
    assert template.fill(["{x}"]) == "{订单} {x}{x} {a b} {}"


LIFETIME = 100.0
PLACES = st.integers(1, 4).flatmap(lambda total: st.tuples(st.integers(1, total), st.just(total)))


class ReassemblyMachine(RuleBasedStateMachine):
    """Against a model that holds the parts of every open message: nothing is lost, nothing is given twice."""

    def __init__(self) -> None:
        super().__init__()
        self.box: Reassembly[str] = Reassembly(lifetime=LIFETIME, max_parts=255, repeat_window=0)
        self.now = 0.0
        self.open: dict[int, dict[int, str]] = {}

    @rule(seconds=st.floats(0, 60))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(key=st.integers(0, 5), place=PLACES, part=st.sampled_from("ab"))
    def add(self, key: int, place: tuple[int, int], part: str) -> None:
        number, total = place
        added = self.box.add(key, number, total, part, self.now)
        for lost in added.abandoned:
            assert self.open.pop(lost.key) == lost.parts  # type: ignore[call-overload]
        held = self.open.get(key, {})
        if added.repeated:
            assert held[number] == part
            return
        assert number not in held or total == 1
        if added.whole is None:
            self.open.setdefault(key, {})[number] = part
            return
        if total > 1:
            held = self.open.pop(key, {})
            held[number] = part
            assert added.whole == tuple(held[n] for n in range(1, total + 1))

    @rule()
    def expire(self) -> None:
        for lost in self.box.expire(self.now):
            assert self.open.pop(lost.key) == lost.parts  # type: ignore[call-overload]
        deadline = self.box.deadline()
        assert deadline is None or self.now < deadline <= self.now + LIFETIME

    @invariant()
    def counts(self) -> None:
        assert len(self.box) == len(self.open)
        assert self.box.parts_held == sum(map(len, self.open.values()))


TestReassembly = ReassemblyMachine.TestCase
steps = st.lists(st.tuples(st.floats(0, 3), st.integers(0, 50)), max_size=60)


@given(rate=st.floats(0.1, 5000), burst=st.floats(1, 200), steps=steps, start=st.floats(0, 1e7))
def test_no_span_of_time_gets_more_than_burst_and_rate(
    rate: float, burst: float, steps: list[tuple[float, int]], start: float
) -> None:
    bucket = TokenBucket(rate, burst, now=start)
    now = start
    grants: list[tuple[float, int]] = []
    for pause, wanted in steps:
        now += pause
        grants.append((now, bucket.take(now, wanted)))
    for first in range(len(grants)):
        total = 0
        for at, granted in grants[first:]:
            total += granted
            assert total <= burst + rate * (at - grants[first][0]) + 1e-3


@given(rate=st.floats(0.1, 5000), burst=st.floats(1, 200), pauses=st.lists(st.floats(0, 2), max_size=30))
def test_waiting_until_next_at_is_enough(rate: float, burst: float, pauses: list[float]) -> None:
    bucket = TokenBucket(rate, burst)
    now = 0.0
    for pause in pauses:
        now += pause
        bucket.take(now, 1000)
        now = bucket.next_at(now)
        assert bucket.take(now) == 1
