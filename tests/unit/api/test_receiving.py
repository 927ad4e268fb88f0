"""Multipart bodies on disk: the field ``file`` is found whatever stands around it."""

from __future__ import annotations

from pathlib import Path

import pytest

from smsgw.api.receiving import unwrap
from smsgw.core.errors import Invalid

BOUNDARY = "----x42"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def body(*parts: tuple[str, bytes], end: str = "--\r\n") -> bytes:
    out = b""
    for head, octets in parts:
        out += f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + octets + b"\r\n"
    return out + f"--{BOUNDARY}{end}".encode()


FILE = 'Content-Disposition: form-data; name="file"; filename="名单.csv"\r\nContent-Type: text/csv'


@pytest.mark.parametrize("octets", [b"a,b\r\n1,2", b"", b"\r\n--\r\n", bytes(range(256)) * 5000])
async def test_the_file_is_found(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "1.part"
    path.write_bytes(body(('Content-Disposition: form-data; name="note"', b"x"), (FILE, octets)))
    assert await unwrap(path, TYPE) == "名单.csv"
    assert path.read_bytes() == octets
    assert [p.name for p in tmp_path.iterdir()] == ["1.part"]


@pytest.mark.parametrize(
    ("octets", "content_type", "code"),
    [
        (b"", TYPE, "PARAM_INVALID"),
        (b"a,b", "text/csv", "PARAM_INVALID"),
        (b"a,b", "multipart/form-data", "PARAM_INVALID"),
        (b"no boundary", TYPE, "PARAM_INVALID"),
        (body((FILE, b"a,b"), end=""), TYPE, "PARAM_INVALID"),
        (body((FILE, b"a,b"))[:-20], TYPE, "PARAM_INVALID"),
        (body(('Content-Disposition: form-data; name="other"', b"x")), TYPE, "PARAM_MISSING"),
        (body(*[('Content-Disposition: form-data; name="n"', b"x")] * 30), TYPE, "PARAM_INVALID"),
    ],
)
async def test_what_is_no_such_body_is_refused(
    tmp_path: Path, octets: bytes, content_type: str, code: str
) -> None:
    path = tmp_path / "1.part"
    path.write_bytes(octets)
    with pytest.raises(Invalid) as caught:
        await unwrap(path, content_type)
    assert caught.value.code == code
