"""The codec against everything its tables allow, and against noise."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from smsgw.protocols.dialects import DIALECTS, Dialect
from smsgw.protocols.errors import FramingLost, Malformed
from smsgw.protocols.fields import CStr, Fixed, Kind, Numbers, Octets, Raw, SequenceTriple, Tlv, Tlvs, UInt
from smsgw.protocols.layout import Layout
from smsgw.protocols.pdu import Pdu, Unknown
from smsgw.protocols.record_lists import Records
from smsgw.protocols.render import from_fields, to_fields

U32 = st.integers(0, 0xFFFFFFFF)
TRIPLE = st.tuples(U32, U32, U32)
CHARACTERS = st.one_of(
    st.sampled_from(string.ascii_letters + string.digits + " :"), st.characters(min_codepoint=1, max_codepoint=255)
)
TLVS = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40)).map(lambda pair: Tlv(*pair)), max_size=4).map(
    tuple
)


def text(limit: int) -> st.SearchStrategy[str]:
    return st.text(CHARACTERS, max_size=limit)


def values_of(kind: Kind) -> st.SearchStrategy[Any]:
    match kind:
        case UInt():
            return st.integers(0, (1 << 8 * kind.width) - 1)
        case Fixed(number=True):
            return text(kind.size).map(lambda value: value.rstrip(" "))
        case Fixed():
            return text(kind.size)
        case Raw():
            return st.binary(min_size=kind.size, max_size=kind.size)
        case CStr():
            return text(kind.size - 1)
        case Octets():
            return st.binary(max_size=min(kind.limit, 300))
        case Numbers():
            return st.lists(values_of(kind.item), max_size=4).map(tuple)
        case Records():
            layouts = [kind.plain] if kind.plain else [layout for _, layout in kind.choices]
            entries = [records_of(layout) for layout in layouts]
            return st.lists(st.one_of(entries), max_size=4).map(tuple)
        case SequenceTriple():
            return TRIPLE
        case Tlvs():
            return TLVS
    raise AssertionError(kind)


def rows_of(layout: Layout) -> dict[str, st.SearchStrategy[Any]]:
    return {row.attribute: values_of(row.kind) for row in layout.rows if row.kind is not None}


def records_of(layout: Layout) -> st.SearchStrategy[Any]:
    return st.builds(layout.cls, **rows_of(layout))


def pdus_of(dialect: Dialect, cls: type[Pdu]) -> st.SearchStrategy[Pdu]:
    header = dialect.protocol.header
    common: dict[str, st.SearchStrategy[Any]] = {"sequence": TRIPLE if header.triple else U32}
    if header.status:
        common["command_status"] = st.one_of(st.just(0), U32)
    return st.builds(cls, **common, **rows_of(dialect.layout(cls)))


EVERY = [(dialect, cls) for dialect in DIALECTS.values() for cls in dialect.pdus.values()]
IDS = [f"{dialect.name}-{cls.pdu_name}" for dialect, cls in EVERY]


@pytest.mark.parametrize(("dialect", "cls"), EVERY, ids=IDS)
def test_decode_of_encode_is_the_same(dialect: Dialect, cls: type[Pdu]) -> None:
    @settings(max_examples=20, deadline=None)
    @given(pdus_of(dialect, cls))
    def check(pdu: Pdu) -> None:
        frame = dialect.encode(pdu)
        assert dialect.decode(frame) == pdu
        fields = to_fields(dialect, pdu)
        assert from_fields(dialect, fields) == pdu
        assert from_fields(dialect, fields, name=cls.pdu_name) == pdu
        assert dialect.framer().feed(frame) == [frame]

    check()


def frames_of(dialect: Dialect) -> st.SearchStrategy[bytes]:
    """Frames with a right length, a known or unknown command and noise behind it."""

    def build(command_id: int, rest: bytes) -> bytes:
        head = command_id.to_bytes(4, "big") + rest
        return (len(head) + 4).to_bytes(4, "big") + head

    known = st.sampled_from(sorted(dialect.pdus))
    noise = st.one_of(
        st.binary(min_size=dialect.header_size - 8, max_size=400),
        st.lists(st.sampled_from([b"\0", b"1", b"\x02", b"\xff"]), min_size=12, max_size=300).map(b"".join),
    )
    return st.builds(build, st.one_of(known, known, U32), noise)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=str)
def test_noise_gives_a_pdu_or_malformed(dialect: Dialect) -> None:
    @settings(max_examples=300, deadline=None)
    @given(frames_of(dialect))
    def check(frame: bytes) -> None:
        found: Pdu | Malformed
        try:
            found = dialect.decode(frame)
        except Malformed as fault:
            found = fault
        assert found.command_id == int.from_bytes(frame[4:8], "big")
        if isinstance(found, Malformed):
            assert found.offset in range(len(frame) + 1)
        elif isinstance(found, Unknown):
            assert dialect.encode(found) == frame

    check()


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(DIALECTS.values())), st.lists(st.binary(max_size=60), max_size=8))
def test_noise_in_a_stream(dialect: Dialect, chunks: list[bytes]) -> None:
    framer = dialect.framer(256)
    taken = b""
    try:
        for chunk in chunks:
            for frame in framer.feed(chunk):
                assert dialect.header_size <= len(frame) <= 256
                taken += frame
            assert framer.pending < 256
    except FramingLost as lost:
        taken += b"".join(lost.frames) + lost.header
    else:
        assert len(taken) + framer.pending == sum(map(len, chunks))
    assert b"".join(chunks).startswith(taken)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_split_gives_the_same_frames(data: st.DataObject) -> None:
    dialect = data.draw(st.sampled_from(list(DIALECTS.values())))
    frames = data.draw(st.lists(frames_of(dialect), min_size=1, max_size=4))
    stream = b"".join(frames)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=12)))
    framer = dialect.framer()
    found: list[bytes] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += framer.feed(stream[start:end])
    assert found == frames


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(EVERY), st.data())
def test_values_of_any_type_give_octets_or_malformed(case: tuple[Dialect, type[Pdu]], data: st.DataObject) -> None:
    dialect, cls = case
    names = [row.attribute for row in dialect.layout(cls).rows] or ["sequence"]
    odd = st.one_of(st.none(), st.integers(), st.text(), st.binary(max_size=300), st.lists(st.integers()))
    pdu = cls(**{data.draw(st.sampled_from(names)): data.draw(odd)})
    try:
        frame = dialect.encode(pdu)
    except Malformed:
        return
    dialect.decode(frame)
