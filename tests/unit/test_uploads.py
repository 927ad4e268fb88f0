"""Multipart bodies on disk: the field ``file`` is found whatever stands around it."""

from __future__ import annotations

import io
import time

import pytest

from smsgw.core.errors import Invalid
from smsgw.web.uploads import Form, extract

BOUNDARY = "----x42"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def body(*parts: tuple[str, bytes], end: str = "--\r\n") -> bytes:
    out = b""
    for head, octets in parts:
        out += f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + octets + b"\r\n"
    return out + f"--{BOUNDARY}{end}".encode()


FILE = 'Content-Disposition: form-data; name="file"; filename="名单.csv"\r\nContent-Type: text/csv'


@pytest.mark.parametrize("octets", [b"a,b\r\n1,2", b"", b"\r\n--\r\n", bytes(range(256)) * 5000])
def test_the_file_is_found(octets: bytes) -> None:
    whole = body(('Content-Disposition: form-data; name="note"', b"x"), (FILE, octets))
    assert extract(whole, TYPE) == ("名单.csv", octets)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_it_does_not_matter_how_the_body_comes(size: int) -> None:
    octets = b"\r\n------x4\r\n----x42\r\n" * 50
    whole = body(("Content-Disposition: form-data; name=other", b"y" * 500), (FILE, octets)) + b"\r\n"
    out = io.BytesIO()
    form = Form(TYPE, out)
    for at in range(0, len(whole), size):
        form.write(whole[at : at + size])
    assert (form.end(), out.getvalue()) == ("名单.csv", octets)


@pytest.mark.parametrize(
    ("octets", "content_type", "code"),
    [
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
    ],
)
def test_what_is_no_such_body_is_refused(octets: bytes, content_type: str, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        extract(octets, content_type)
    assert caught.value.code == code


MANY = 8 << 20
START = f"--{BOUNDARY}\r\n".encode()


@pytest.mark.parametrize(
    "octets",
    [
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
    ],
    ids=["long header", "many options", "many headers", "quotes", "semicolons", "nearly begun", "returns",
         "nearly ended", "returns in the file", "line feeds", "many parts"],
)  # fmt: skip
def test_what_is_made_to_be_slow_is_not(octets: bytes) -> None:
    """Eight megabytes in a second (a few, where others are busy); read again and again, as headers once were, they
    would take hours."""
    began = time.process_time()
    with pytest.raises(Invalid):
        extract(octets, TYPE)
    assert time.process_time() - began < 5.0
