"""Files that strangers bring: pictures, sounds, films and uploads."""

from __future__ import annotations

import io
import random
import struct
import time
import zlib
from collections.abc import Iterator

import pytest
from PIL import Image

from smsgw.core.errors import Invalid
from smsgw.platform.brand import pictures
from smsgw.platform.materials.media import MOST, THUMBNAIL, made
from smsgw.platform.materials.model import Kind
from smsgw.web.uploads import Form, extract

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


def test_of_each_kind_what_is_seen_or_heard_is_kept_alone() -> None:
    octets = picture()
    assert SECRET in octets
    one = made(octets)
    assert (one.kind, one.media_type, one.width, one.height) == (Kind.PICTURE, "image/jpeg", 400, 640)
    assert SECRET not in one.octets
    with Image.open(io.BytesIO(one.octets)) as image:
        assert not image.getexif()
    with Image.open(io.BytesIO(one.thumbnail)) as small:
        assert max(small.size) == THUMBNAIL
    for behind in (b"", b"TAG" + SECRET + bytes(107), bytes(50)):  # of a sound the frames are kept
        one = made(ID3 + FRAME * 40 + behind)
        assert (one.kind, one.media_type, one.octets) == (Kind.AUDIO, "audio/mpeg", FRAME * 40)
        assert one.millis == 40 * 26_122 // 1000
    octets = film(box(b"uuid", SECRET))  # a film keeps its places and loses where and when it was made
    one = made(octets)
    assert (one.kind, one.width, one.height, one.millis) == (Kind.VIDEO, 320, 240, 2500)
    assert len(one.octets) == len(octets)
    assert one.octets.index(b"\x05" * 100) == octets.index(b"\x05" * 100)
    assert SECRET not in one.octets
    assert b"\x11" * 8 not in one.octets
    assert b"udta" not in one.octets
    assert made(one.octets).octets == one.octets


def test_what_is_none_of_them_or_holds_more_is_not_taken() -> None:
    for octets in (
        b"", b"<svg/>", b"\x89PNG\r\n\x1a\n" + b"<script>" * 20, picture("GIF"), picture()[:200],
        FRAME * 3, ID3 + b"MZ" * 500, FRAME * 40 + b"<script>alert(1)</script>",
        box(b"ftyp", b"isom") + box(b"mdat") + box(b"moov", box(b"mvhd")), film(moov=box(b"trak", box(b"tkhd"))),
        film(b"<script>"), film(box(b"evil", b"x")), film(moov=MVHD), film()[:-1],
        box(b"ftyp", b"qt  ") + film(), struct.pack(">I", 0) + b"ftypisom",
        film(moov=box(b"trak", box(b"trak", box(b"trak", box(b"trak", box(b"trak", box(b"trak", box(b"trak",
             box(b"trak", box(b"trak", MVHD)))))))))),
    ):  # fmt: skip
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
        pytest.param(SOUND, id="MP3"),
        pytest.param(film(box(b"uuid", SECRET)), id="MP4"),
    ],
)
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


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">%s</svg>'
RECT = b'<rect width="5" height="5" fill="#f00"/>'


def png(width: int = 4, height: int = 3, **info: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGBA", (width, height), (255, 0, 0, 128)).save(out, "PNG", **info)
    return out.getvalue()


def refused(octets: bytes) -> str:
    with pytest.raises(Invalid) as caught:
        pictures.clean(octets)
    return caught.value.code


def test_bitmaps_keep_their_points_and_nothing_else() -> None:
    for kind in ("PNG", "JPEG", "WEBP"):
        out = io.BytesIO()
        Image.new("RGB", (40, 30), (200, 30, 30)).save(out, kind, exif=b"Exif\0\0secret place")
        cleaned = pictures.clean(out.getvalue() + b"<script>alert(1)</script>")
        assert cleaned.media_type == pictures.FORMATS[kind]
        assert b"secret" not in cleaned.octets
        assert b"script" not in cleaned.octets
        with Image.open(io.BytesIO(cleaned.octets)) as image:
            assert (image.format, image.size) == (kind, (40, 30))
    with Image.open(io.BytesIO(pictures.clean(png()).octets)) as image:  # a see through picture stays so
        assert image.getpixel((1, 1)) == (255, 0, 0, 128)


def test_a_drawing_does_nothing_and_asks_nobody() -> None:
    for evil in (
        b"<script>alert(1)</script>", b'<a href="javascript:alert(1)"><text>x</text></a>',
        b'<image href="https://elsewhere.example/x.png"/>', b"<style>@import url(https://elsewhere.example)</style>",
        b'<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><form action="/x"/></body></foreignObject>',
        b'<rect onclick="alert(1)" width="1" height="1"/>',
        b'<use href="https://elsewhere.example/x.svg#a"/>',
        b'<image href="data:text/html;base64,PHNjcmlwdD4="/>', b'<image href="data:image/svg+xml;base64,PHN2Zz4="/>',
    ):  # fmt: skip
        cleaned = pictures.clean(SVG % (RECT + evil))
        assert cleaned.media_type == "image/svg+xml"
        assert b"<rect" in cleaned.octets
        for left in (b"script", b"alert", b"import", b'href="http', b"form", b"onclick", b"text/html", b"svg+xml"):
            assert left not in cleaned.octets, cleaned.octets


def test_what_is_no_picture_is_refused() -> None:
    for octets in (
        b"", b"<", b"<html><body>x</body></html>", b"GIF89a" + b"\0" * 50, b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"PK\3\4",
        b'<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]>' + SVG % b"<text>&b;</text>",
        SVG % (b"<g>" * 20_000 + b"</g>" * 20_000), SVG % (b"<g/>" * 30_000), (SVG % RECT)[:-4],
        SVG % b'<set attributeName="onclick" to="alert(1)"/>',
    ):  # fmt: skip
        assert refused(octets) == "PICTURE_INVALID"

    def chunk(kind: bytes, data: bytes) -> bytes:  # a small file that is a giant picture is refused
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 6, 0, 0, 0))
    assert refused(bomb + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")) == "PICTURE_INVALID"
    assert refused(b"\0" * (pictures.MAX_OCTETS + 1)) == "PICTURE_TOO_LARGE"


BOUNDARY = "----x42"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def body(*parts: tuple[str, bytes], end: str = "--\r\n") -> bytes:
    out = b""
    for head, octets in parts:
        out += f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + octets + b"\r\n"
    return out + f"--{BOUNDARY}{end}".encode()


FILE = 'Content-Disposition: form-data; name="file"; filename="名单.csv"\r\nContent-Type: text/csv'


def test_the_file_is_found_however_the_body_comes() -> None:
    for octets in (b"a,b\r\n1,2", b"", b"\r\n--\r\n", bytes(range(256)) * 5000):
        whole = body(('Content-Disposition: form-data; name="note"', b"x"), (FILE, octets))
        assert extract(whole, TYPE) == ("名单.csv", octets)
    for size in (1, 2, 7, 1000):  # it does not matter how the body comes
        octets = b"\r\n------x4\r\n----x42\r\n" * 50
        whole = body(("Content-Disposition: form-data; name=other", b"y" * 500), (FILE, octets)) + b"\r\n"
        out = io.BytesIO()
        form = Form(TYPE, out)
        for at in range(0, len(whole), size):
            form.write(whole[at : at + size])
        assert (form.end(), out.getvalue()) == ("名单.csv", octets)
    for octets, content_type, code in (  # what is no such body is refused
        (b"", TYPE, "PARAM_INVALID"),
        (b"a,b", "text/csv", "PARAM_INVALID"),
        (b"a,b", "multipart/form-data", "PARAM_INVALID"),
        (b"a,b", "multipart/form-data; boundary=" + "x" * 71, "PARAM_INVALID"),
        (b"a,b", "multipart/form-data; boundary=线", "PARAM_INVALID"),
        (b"no boundary", TYPE, "PARAM_INVALID"),
        (body((FILE, b"a,b"), end=""), TYPE, "PARAM_INVALID"),
        (body((FILE, b"a,b"))[:-20], TYPE, "PARAM_INVALID"),
        (body(('Content-Disposition: form-data; name="other"', b"x")), TYPE, "PARAM_MISSING"),
        (body(*[('Content-Disposition: form-data; name="n"', b"x")] * 30), TYPE, "PARAM_INVALID"),
        (body((FILE + "\r\nX: " + "x" * 5000, b"a,b")), TYPE, "PARAM_INVALID"),
        (body((FILE + "\r\nX: y" * 20, b"a,b")), TYPE, "PARAM_INVALID"),
    ):
        with pytest.raises(Invalid) as caught:
            extract(octets, content_type)
        assert caught.value.code == code


MANY = 8 << 20
START = f"--{BOUNDARY}\r\n".encode()


def test_what_is_made_to_be_slow_is_not() -> None:
    """Eight megabytes in a second (a few, where others are busy); read again and again, as headers once were, they
    would take hours."""
    for octets in (
        START + b"X: " + b";" * MANY,
        START + b"Content-Disposition: form-data" + b"; a=b" * (MANY // 5) + b"\r\n\r\n",
        START + b"X: y\r\n" * (MANY // 6),
        START + b'Content-Disposition: form-data; name="' + b'\\"' * 2000 + b"\r\n\r\n" + b"x" * MANY,
        START + b'Content-Disposition: form-data; name="' + b";" * 4000 + b"\r\n\r\n" + b"x" * MANY,
        b"\r\n--" * (MANY // 4),
        b"\r" * MANY,
        START + FILE.encode() + b"\r\n\r\n" + b"\r\n------x4" * (MANY // 10),
        START + FILE.encode() + b"\r\n\r\n" + b"\r" * MANY,
        START + FILE.encode() + b"\r\n\r\n" + b"\n-" * (MANY // 2),
        (START + b'Content-Disposition: form-data; name="n"\r\n\r\n\r\n') * (MANY // 60),
    ):
        began = time.process_time()
        with pytest.raises(Invalid):
            extract(octets, TYPE)
        assert time.process_time() - began < 5.0
