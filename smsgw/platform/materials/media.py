"""Files that strangers bring as pictures, sounds and films: known by their content, and kept without anything else.

Pictures are decoded and made anew. Of MP3 the frames are kept: tags and whatever lies around them go. MP4 stays in its
place, since its tables count octets from the beginning; what says where, when and by whom it was filmed is overwritten.
Pure; takes up to a second of the processor: not for the event loop.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator

from PIL import Image, ImageOps

from smsgw.core.errors import Invalid
from smsgw.core.words import phrase
from smsgw.platform.materials.model import Kind, Made

MOST = {Kind.PICTURE: 5 * 1024 * 1024, Kind.AUDIO: 10 * 1024 * 1024, Kind.VIDEO: 20 * 1024 * 1024}
"""Octets, by what it is."""
MAX_PIXELS = 4096 * 4096
THUMBNAIL = 320
"""Pixels of its longer side."""
FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
MP3, MP4 = "audio/mpeg", "video/mp4"


def made(octets: bytes) -> Made:
    """The file as it is kept. ``FILE_INVALID``, ``FILE_TOO_LARGE``."""
    if octets[4:8] == b"ftyp":
        return _video(_bounded(octets, Kind.VIDEO))
    if octets[:3] == b"ID3" or (len(octets) > 1 and octets[0] == 0xFF and octets[1] & 0xE6 == 0xE2):
        return _audio(_bounded(octets, Kind.AUDIO))
    return _picture(_bounded(octets, Kind.PICTURE))


def _bounded(octets: bytes, kind: Kind) -> bytes:
    if len(octets) > MOST[kind]:
        raise Invalid("FILE_TOO_LARGE")
    return octets


def _bad() -> Invalid:
    return Invalid("FILE_INVALID", reason=phrase("material.kind"))


# --- pictures --------------------------------------------------------------------------------------------------------


_UNREADABLE = (
    OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, AttributeError, ArithmeticError, struct.error,
    zlib.error, Image.DecompressionBombError, Warning,
)  # fmt: skip
"""What the decoders raise for octets that they cannot read: most of it by accident, as a table leads beyond the end."""


def _picture(octets: bytes) -> Made:
    out, small = io.BytesIO(), io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(octets), formats=list(FORMATS)) as image:
                if image.width * image.height > MAX_PIXELS or getattr(image, "n_frames", 1) > 1:
                    raise _bad()
                kind = str(image.format)
                image.load()
                upright = ImageOps.exif_transpose(image)  # how the camera was held is lost with the rest
                plain = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
        kind = "PNG" if kind == "JPEG" and plain.mode != "RGB" else kind
        plain.save(out, kind, optimize=True, **({"quality": 90} if kind != "PNG" else {}))
        width, height = plain.size
        plain.thumbnail((THUMBNAIL, THUMBNAIL))
        plain.save(small, "WEBP", quality=70)
    except _UNREADABLE as exc:
        raise _bad() from exc
    return Made(Kind.PICTURE, FORMATS[kind], out.getvalue(), width, height, thumbnail=small.getvalue())


# --- sounds: ISO 11172-3 2.4.1 ----------------------------------------------------------------------------------------

_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""Samples a second, by the version's bits."""
_KBITS = {
    True: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Of layer III, by whether it is MPEG-1."""
LEAST_FRAMES = 10


def _audio(octets: bytes) -> Made:
    at = _behind_id3(octets)
    begin, frames, micros = at, 0, 0
    while frame := _frame(octets, at):
        length, lasts = frame
        at, frames, micros = at + length, frames + 1, micros + lasts
    rest = octets[at:]
    tail = not rest or rest[:3] == b"TAG" or rest[:8] == b"APETAGEX" or not rest.strip(b"\0")
    if frames < LEAST_FRAMES or not tail:
        raise _bad()
    return Made(Kind.AUDIO, MP3, octets[begin:at], millis=micros // 1000)


def _behind_id3(octets: bytes) -> int:
    """Where the tag ends that may stand before the frames; its length has seven bits an octet."""
    if octets[:3] != b"ID3" or len(octets) < 10:
        return 0
    size = 0
    for octet in octets[6:10]:
        size = size << 7 | octet & 0x7F
    at = 10 + size + (10 if octets[5] & 0x10 else 0)
    while at < len(octets) and octets[at] == 0:  # padding that the length does not count
        at += 1
    return at


def _frame(octets: bytes, at: int) -> tuple[int, int] | None:
    """Length and microseconds of the frame of layer III that is there whole; None: there is none."""
    if at + 4 > len(octets) or octets[at] != 0xFF or octets[at + 1] & 0xE6 != 0xE2:
        return None
    version, rate_at = octets[at + 1] >> 3 & 3, octets[at + 2] >> 2 & 3
    kbits_at, padding = octets[at + 2] >> 4, octets[at + 2] >> 1 & 1
    if version not in _RATES or rate_at == 3 or not 1 <= kbits_at <= 14:
        return None
    rate, first = _RATES[version][rate_at], version == 3
    samples = 1152 if first else 576
    length = samples // 8 * _KBITS[first][kbits_at - 1] * 1000 // rate + padding
    return (length, samples * 1_000_000 // rate) if at + length <= len(octets) else None


# --- films: ISO 14496-12 ---------------------------------------------------------------------------------------------

_INSIDE = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf"})
"""Boxes that are made of boxes."""
_TOLD = frozenset({b"udta", b"meta", b"uuid", b"free", b"skip"})
"""What says more of a film than is seen and heard, or may hide anything."""
_TOP = frozenset({b"ftyp", b"moov", b"mdat", b"wide"}) | _TOLD
BRANDS = frozenset({b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V "})
MAX_BOXES, MAX_DEPTH = 10_000, 8


def _video(octets: bytes) -> Made:
    kept = bytearray(octets)
    top, handlers, millis, size = set[bytes](), set[bytes](), 0, (0, 0)
    for name, begin, end, depth in _boxes(octets):
        if depth == 0:
            top.add(name)
            if name not in _TOP or (name == b"ftyp" and octets[begin : begin + 4] not in BRANDS):
                raise _bad()
        if name in _TOLD:
            kept[begin:end] = bytes(end - begin)
            kept[begin - 4 : begin] = b"free"
        elif name in (b"mvhd", b"tkhd", b"mdhd"):
            times = begin + 4, begin + (20 if octets[begin:end][:1] == b"\1" else 12)
            if times[1] > end:
                raise _bad()
            kept[slice(*times)] = bytes(times[1] - times[0])  # when it was made and changed
            if name == b"mvhd":
                millis = _lasts(octets[begin:end])
            elif name == b"tkhd":
                size = max(size, _shown(octets[begin:end]))
        elif name == b"hdlr":
            handlers.add(octets[begin:end][8:12])
            kept[begin + 24 : end] = bytes(max(0, end - begin - 24))  # a name: of the program, mostly
    if not {b"ftyp", b"moov", b"mdat"} <= top or b"vide" not in handlers or not millis:
        raise _bad()
    return Made(Kind.VIDEO, MP4, bytes(kept), *size, millis)


def _boxes(octets: bytes) -> Iterator[tuple[bytes, int, int, int]]:
    """Name, first and last octet of the content, and depth of each box; those that are overwritten are not opened."""
    open_ = [(0, len(octets), 0)]
    number = 0
    while open_:
        at, end, depth = open_.pop()
        while at < end:
            number += 1
            if at + 8 > end or number > MAX_BOXES or depth > MAX_DEPTH:
                raise _bad()
            length, name = struct.unpack_from(">I4s", octets, at)
            begin = at + 8
            if length == 1 and at + 16 <= end:
                (length,) = struct.unpack_from(">Q", octets, begin)
                if name != b"mdat":  # nothing else is that long; and its name stands elsewhere
                    raise _bad()
                begin += 8
            elif length == 0:
                length = end - at
            if at + length > end or at + length < begin:
                raise _bad()
            yield name, begin, at + length, depth
            if name in _INSIDE:
                open_.append((begin, at + length, depth + 1))
            at += length


def _lasts(box: bytes) -> int:
    """Milliseconds by the film's header."""
    try:
        scale, units = struct.unpack_from(">IQ", box, 20) if box[:1] == b"\1" else struct.unpack_from(">II", box, 12)
    except struct.error as exc:
        raise _bad() from exc
    lasts: int = units * 1000 // scale if scale else 0
    return lasts if lasts < 24 * 3600 * 1000 else 0


def _shown(box: bytes) -> tuple[int, int]:
    """Width and height of a track: the last eight octets, fixed point."""
    if len(box) < 8:
        raise _bad()
    width, height = struct.unpack(">II", box[-8:])
    return width >> 16, height >> 16
