"""Style sheets, scripts and icons: addresses with a fingerprint, which a browser may keep for ever.

The fingerprint is that of all files together and stands first: ``/static/{fingerprint}/js/main.js``. So a module finds
the ones beside it by their relative names, and none is ever mixed with that of another version.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from aiohttp import web

from smsgw.admin.kit.compression import takes_gzip

log = structlog.get_logger(__name__)

ROOT = Path(__file__).parent / "static"
VENDOR = ("vendor/bootstrap.min.css", "vendor/htmx.min.js", "vendor/echarts.min.js", "vendor/icons.svg")
"""Fetched at set-up (assets/package.json), not part of the repository."""
_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
}
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(slots=True)
class _File:
    content: bytes
    type: str
    gzipped: bytes | None = field(default=None, repr=False)


class StaticFiles:
    """All files, read once at start; nothing else can be asked for, so no path can lead out."""

    def __init__(self, root: Path = ROOT) -> None:
        self._files: dict[str, _File] = {}
        total = hashlib.sha256()
        for path in sorted(root.rglob("*")):
            if path.is_file() and path.suffix in _TYPES:
                content = path.read_bytes()
                name = path.relative_to(root).as_posix()
                self._files[name] = _File(content, _TYPES[path.suffix])
                total.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
        self.version = total.hexdigest()[:12]
        if missing := [name for name in VENDOR if name not in self._files]:
            log.warning("portal.assets_missing", files=missing, hint="fetch the portal's front-end assets")

    def url(self, name: str) -> str:
        """The address of a file."""
        return f"/static/{self.version if name in self._files else 'missing'}/{name}"

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer ``GET /static/{version}/{name}``."""
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        current = request.match_info["version"] == self.version
        headers = {"Cache-Control": _FOREVER if current else "no-cache", "Vary": "Accept-Encoding"}
        body = file.content
        if takes_gzip(request.headers.get("Accept-Encoding", "")) and len(body) > 1024:
            if file.gzipped is None:
                file.gzipped = await asyncio.to_thread(gzip.compress, body, 9)
            body = file.gzipped
            headers["Content-Encoding"] = "gzip"
        text = file.type.startswith("text/") or file.type.endswith("+xml")
        return web.Response(body=body, content_type=file.type, charset="utf-8" if text else None, headers=headers)
