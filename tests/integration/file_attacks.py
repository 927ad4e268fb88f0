"""Files that should not be sent, and forms that bring them."""

from __future__ import annotations

import io
import zipfile

MARKUP = '"><script>alert(2)</script>'


def packed(**parts: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, octets in parts.items():
            archive.writestr(name.replace("__", "/"), octets)
    return file.getvalue()


_TYPES = (b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
          b'<Default Extension="xml" ContentType="application/xml"/></Types>')  # fmt: skip
_LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b'<!ENTITY x SYSTEM "file:///etc/passwd">]><worksheet>&j;&x;</worksheet>'
)
FILES: dict[str, tuple[str, bytes]] = {
    "formulas": ("a.csv", "手机号,姓名,备注\n=1+1,@SUM(A1),\uff1d1\n13800138000,=cmd|x,\u202e-2\n".encode()),
    "path": ("../../evil.csv", b"a,b\n1,2\n"),
    "markup": (MARKUP.replace('"', "'") + ".csv", MARKUP.encode() + b",b\n1,2\n"),
    "turned": ("\u202egpj.csv", "手机号\n\u202e13800138000\n".encode()),
    "long name": ("n" * 10_000 + ".csv", b"a\n1\n"),
    "NUL": ("a\0b.csv", b"a\0b,c\n\0,\0\n"),
    "long cell": ("a.csv", b"a,b\n" + b"x" * 500_000 + b",1\n"),
    "many columns": ("a.csv", b",".join([b"c"] * 50_000) + b"\n"),
    "no text": ("a.csv", bytes(range(256)) * 50),
    "half of UTF-16": ("a.csv", b"\xff\xfea\x00\xd8"),
    "nothing": ("a.csv", b""),
    "bomb": ("a.xlsx", packed(**{"[Content_Types].xml": _TYPES, "xl__worksheets__sheet1.xml": bytes(300_000_000),
                                 "xl__workbook.xml": b"<workbook/>"})),
    "laughs": ("a.xlsx", packed(**{"[Content_Types].xml": _LAUGHS, "xl__workbook.xml": _LAUGHS,
                                   "xl__worksheets__sheet1.xml": _LAUGHS, "xl__sharedStrings.xml": _LAUGHS})),
    "zip that climbs": ("a.xlsx", packed(**{"..__..__evil.csv": b"evil", "[Content_Types].xml": _TYPES})),
    "svg": ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(2)"><script>alert(2)</script></svg>'),
    "svg called png": ("a.png", b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'),
    "page": ("a.pdf", b"<!doctype html><script>alert(2)</script>"),
    "picture and page": ("a.png", b"\x89PNG\r\n\x1a\n" + MARKUP.encode() * 20),
    "document and page": ("a.html", b"%PDF-1.4\n" + MARKUP.encode() * 20),
    "program": ("a.exe", b"MZ" + bytes(2000)),
}  # fmt: skip
KINDS = {"text/csv", "text/plain", "image/png", "image/jpeg", "image/webp", "application/pdf",
         "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}  # fmt: skip
"""What a stored file may be."""
MOST_SECONDS = 20.0


def form(fields: dict[str, str], name: str, octets: bytes) -> bytes:
    """A form as no browser would write it: the name as it is."""
    head = b"".join(
        f'--b\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    )
    named = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode("utf-8", "replace")
    return head + named + octets + b"\r\n--b--\r\n"


MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
