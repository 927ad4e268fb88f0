"""Pictures that strangers bring: known by their content, made anew, so that nothing but the picture is left of them."""

from __future__ import annotations

import io
import warnings
from xml.parsers import expat

import py_svg_hush
from PIL import Image, UnidentifiedImageError

from smsgw.core.errors import Invalid
from smsgw.platform.brand.model import Picture

MAX_OCTETS = 1024 * 1024
MAX_PIXELS = 4096 * 4096
FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
"""What is taken besides SVG. Animated and layered formats are not."""
_SVG_DATA = {"image": ["png", "jpeg"]}
"""Of the pictures within a picture, these; nothing that lies elsewhere."""
MOVING = frozenset({"set", "animate", "animateColor", "animateMotion", "animateTransform", "discard", "handler"})
"""Elements that change others later: their attributes name what a cleaner has taken out."""
SVG_DEPTH = 64
SVG_ELEMENTS = 20_000


def clean(octets: bytes) -> Picture:
    """The picture without anything else: metadata, scripts, links, what is hidden behind its end. ``FILE_TOO_LARGE``,
    ``FILE_INVALID``. Takes up to a second of the processor: not for the event loop."""
    if len(octets) > MAX_OCTETS:
        raise Invalid("PICTURE_TOO_LARGE", most=MAX_OCTETS // 1024)
    if octets.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        return _clean_svg(octets)
    return _clean_bitmap(octets)


def _clean_svg(octets: bytes) -> Picture:
    try:
        _bound(octets)
        return Picture("image/svg+xml", py_svg_hush.filter_svg(octets, _SVG_DATA))
    except (ValueError, expat.ExpatError) as exc:
        raise Invalid("PICTURE_INVALID") from exc


def _bound(octets: bytes) -> None:
    """``ValueError`` for what is no still SVG, has entities, or nests deeper than a reader that recurses can bear."""
    parser = expat.ParserCreate()
    depth = elements = 0

    def begin(name: str, _: dict[str, str]) -> None:
        nonlocal depth, elements
        plain = name.rpartition(":")[2]
        if plain in MOVING or (not elements and plain != "svg"):
            raise ValueError(name)
        depth, elements = depth + 1, elements + 1
        if depth > SVG_DEPTH or elements > SVG_ELEMENTS:
            raise ValueError("too deep")

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    def doctype(*_: object) -> None:
        raise ValueError("entities")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.StartDoctypeDeclHandler = doctype
    parser.Parse(octets, True)


def _clean_bitmap(octets: bytes) -> Picture:
    out = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(octets), formats=list(FORMATS)) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Invalid("PICTURE_INVALID")
                kind = str(image.format)
                image.load()
                plain = image.convert("RGBA" if image.has_transparency_data else "RGB")
        plain.save(out, kind if kind != "JPEG" or plain.mode == "RGB" else "PNG", optimize=True)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError, Warning) as exc:
        raise Invalid("PICTURE_INVALID") from exc
    return Picture(FORMATS[kind], out.getvalue())
