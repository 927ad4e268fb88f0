"""Pictures, sounds and films that strangers bring: what is kept of them, and what is not taken."""

from __future__ import annotations

import io
import random
import struct
import time
from collections.abc import Iterator

import pytest
from PIL import Image

from smsgw.core.errors import Invalid
from smsgw.platform.materials.media import MOST, THUMBNAIL, made
from smsgw.platform.materials.model import Kind

SECRET = b"39.9042N 116.4074E"


def picture(kind: str = "JPEG", size: tuple[int, int] = (640, 400), orientation: int = 6) -> bytes:
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x0112], exif[0x010E] = orientation, SECRET.decode()
    Image.new("RGB", size, "red").save(out, kind, exif=exif)
    return out.getvalue()


def box(name: bytes, *content: bytes) -> bytes:
    octets = b"".join(content)
    return struct.pack(">I", len(octets) + 8) + name + octets


MVHD = box(b"mvhd", bytes(4), b"\x11" * 8, struct.pack(">II", 1000, 2500), bytes(80))
TKHD = box(b"tkhd", bytes(4), b"\x11" * 8, bytes(64), struct.pack(">II", 320 << 16, 240 << 16))
HDLR = box(b"hdlr", bytes(8), b"vide", bytes(12), SECRET)
UDTA = box(b"udta", box(b"\xa9xyz", SECRET))


def film(*more: bytes, moov: bytes = MVHD + box(b"trak", TKHD, box(b"mdia", HDLR)) + UDTA) -> bytes:
    return box(b"ftyp", b"isom", bytes(4), b"isom") + box(b"moov", moov) + box(b"mdat", b"\x05" * 100) + b"".join(more)


FRAME = b"\xff\xfb\x90\x00" + bytes(413)
"""MPEG-1, layer III, 128 kbit/s, 44,100 samples a second: 417 octets, 26 ms."""
ID3 = b"ID3\x03\x00\x00\x00\x00\x00\x12" + SECRET


def test_a_picture_is_made_anew_upright_and_without_what_its_camera_knows() -> None:
    octets = picture()
    assert SECRET in octets
    one = made(octets)
    assert (one.kind, one.media_type, one.width, one.height) == (Kind.PICTURE, "image/jpeg", 400, 640)
    assert SECRET not in one.octets
    with Image.open(io.BytesIO(one.octets)) as image:
        assert not image.getexif()
    with Image.open(io.BytesIO(one.thumbnail)) as small:
        assert max(small.size) == THUMBNAIL


@pytest.mark.parametrize("behind", [b"", b"TAG" + SECRET + bytes(107), bytes(50)])
def test_of_a_sound_the_frames_are_kept(behind: bytes) -> None:
    one = made(ID3 + FRAME * 40 + behind)
    assert (one.kind, one.media_type, one.octets) == (Kind.AUDIO, "audio/mpeg", FRAME * 40)
    assert one.millis == 40 * 26_122 // 1000


def test_a_film_keeps_its_places_and_loses_where_and_when_it_was_made() -> None:
    octets = film(box(b"uuid", SECRET))
    one = made(octets)
    assert (one.kind, one.width, one.height, one.millis) == (Kind.VIDEO, 320, 240, 2500)
    assert len(one.octets) == len(octets)
    assert one.octets.index(b"\x05" * 100) == octets.index(b"\x05" * 100)
    assert SECRET not in one.octets
    assert b"\x11" * 8 not in one.octets
    assert b"udta" not in one.octets
    assert made(one.octets).octets == one.octets


@pytest.mark.parametrize(
    "octets",
    [
        b"", b"<svg/>", b"\x89PNG\r\n\x1a\n" + b"<script>" * 20, picture("GIF"), picture()[:200],
        FRAME * 3, ID3 + b"MZ" * 500, FRAME * 40 + b"<script>alert(1)</script>",
        box(b"ftyp", b"isom") + box(b"mdat") + box(b"moov", box(b"mvhd")), film(moov=box(b"trak", box(b"tkhd"))),
        film(b"<script>"), film(box(b"evil", b"x")), film(moov=MVHD), film()[:-1],
        box(b"ftyp", b"qt  ") + film(), struct.pack(">I", 0) + b"ftypisom",
        film(moov=box(b"trak", box(b"trak", box(b"trak", box(b"trak", box(b"trak", box(b"trak", box(b"trak",
             box(b"trak", box(b"trak", MVHD)))))))))),
    ],
)  # fmt: skip
def test_what_is_none_of_them_or_holds_more_is_not_taken(octets: bytes) -> None:
    with pytest.raises(Invalid) as wrong:
        made(octets)
    assert wrong.value.code == "FILE_INVALID"


def small(kind: str) -> bytes:
    """A picture with all that a camera writes: tables of which an octet may lead anywhere."""
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x011A], exif[0x829A] = 6, "seen", 72.0, (1, 50)
    exif.get_ifd(0x8825).update({1: "N", 2: (39.0, 54.0, 15.0)})
    Image.effect_noise((24, 16), 60).convert("RGB").save(out, kind, exif=exif, quality=60)
    return out.getvalue()


SOUND = ID3 + (b"\xff\xe3\x18\xc4" + bytes(68)) * 14
"""MPEG-2.5, 8 kbit/s: frames of 72 octets, so that there are few to change."""


def spoiled(octets: bytes) -> Iterator[bytes]:
    """Every beginning of a file, and the file with single octets changed."""
    yield from (octets[:end] for end in range(len(octets)))
    chance = random.Random(7)  # noqa: S311 - not for secrets
    for at in range(len(octets)):
        for octet in {0, 0xFF, octets[at] ^ 1 << chance.randrange(8), chance.randrange(256)} - {octets[at]}:
            yield octets[:at] + bytes([octet]) + octets[at + 1 :]


@pytest.mark.parametrize(
    "octets",
    [
        *(pytest.param(small(kind), id=kind) for kind in ("JPEG", "PNG", "WEBP")),
        pytest.param(SOUND, id="MP3"), pytest.param(film(box(b"uuid", SECRET)), id="MP4"),
    ],
)  # fmt: skip
def test_a_spoiled_file_is_made_or_refused_and_costs_no_more_than_a_whole_one(octets: bytes) -> None:
    made(octets)
    longest = 0.0
    for one in spoiled(octets):
        began = time.process_time()
        try:
            made(one)
        except Invalid as exc:
            assert exc.code == "FILE_INVALID"  # noqa: PT017 - most are taken: only what is refused has a code
        longest = max(longest, time.process_time() - began)
    assert longest < 5, "seconds of the processor, for a few hundred octets"


def test_each_kind_has_its_bound() -> None:
    for begin, kind in ((FRAME * 40, Kind.AUDIO), (film(), Kind.VIDEO), (picture(), Kind.PICTURE)):
        with pytest.raises(Invalid) as wrong:
            made(begin + bytes(MOST[kind]))
        assert wrong.value.code == "FILE_TOO_LARGE"
