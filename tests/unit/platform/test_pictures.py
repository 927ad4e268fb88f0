"""Uploaded pictures: nothing but the picture is left of them."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image

from smsgw.core.errors import Invalid
from smsgw.platform.brand import pictures

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


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_bitmaps_keep_their_points_and_nothing_else(kind: str) -> None:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 30, 30)).save(out, kind, exif=b"Exif\0\0secret place")
    cleaned = pictures.clean(out.getvalue() + b"<script>alert(1)</script>")
    assert cleaned.media_type == pictures.FORMATS[kind]
    assert b"secret" not in cleaned.octets
    assert b"script" not in cleaned.octets
    with Image.open(io.BytesIO(cleaned.octets)) as image:
        assert (image.format, image.size) == (kind, (40, 30))


def test_a_see_through_picture_stays_so() -> None:
    with Image.open(io.BytesIO(pictures.clean(png()).octets)) as image:
        assert image.getpixel((1, 1)) == (255, 0, 0, 128)


@pytest.mark.parametrize(
    "evil",
    [
        b"<script>alert(1)</script>", b'<a href="javascript:alert(1)"><text>x</text></a>',
        b'<image href="https://elsewhere.example/x.png"/>', b"<style>@import url(https://elsewhere.example)</style>",
        b'<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><form action="/x"/></body></foreignObject>',
        b'<rect onclick="alert(1)" width="1" height="1"/>',
        b'<use href="https://elsewhere.example/x.svg#a"/>',
        b'<image href="data:text/html;base64,PHNjcmlwdD4="/>', b'<image href="data:image/svg+xml;base64,PHN2Zz4="/>',
    ],
)  # fmt: skip
def test_a_drawing_does_nothing_and_asks_nobody(evil: bytes) -> None:
    cleaned = pictures.clean(SVG % (RECT + evil))
    assert cleaned.media_type == "image/svg+xml"
    assert b"<rect" in cleaned.octets
    for left in (b"script", b"alert", b"import", b"href=\"http", b"form", b"onclick", b"text/html", b"svg+xml"):
        assert left not in cleaned.octets, cleaned.octets


@pytest.mark.parametrize(
    "octets",
    [
        b"", b"<", b"<html><body>x</body></html>", b"GIF89a" + b"\0" * 50, b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"PK\3\4",
        b'<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]>' + SVG % b"<text>&b;</text>",
        SVG % (b"<g>" * 20_000 + b"</g>" * 20_000), SVG % (b"<g/>" * 30_000), (SVG % RECT)[:-4],
        SVG % b'<set attributeName="onclick" to="alert(1)"/>',
    ],
    ids=range(11),
)  # fmt: skip
def test_what_is_no_picture_is_refused(octets: bytes) -> None:
    assert refused(octets) == "PICTURE_INVALID"


def test_a_small_file_that_is_a_giant_picture_is_refused() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 6, 0, 0, 0))
    assert refused(bomb + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")) == "PICTURE_INVALID"
    assert refused(b"\0" * (pictures.MAX_OCTETS + 1)) == "PICTURE_TOO_LARGE"
