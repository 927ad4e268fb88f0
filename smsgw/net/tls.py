"""The certificate of a listening socket: TLS 1.2 or later, taken up anew when its files change."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

LOOK_EVERY = 5.0
"""Seconds between looks at the files, for whoever follows them."""
HANDSHAKE_TIMEOUT = 10.0

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"

ByName = Callable[[ssl.SSLObject, str | None, ssl.SSLContext], None]
"""Looks at the name that a client asks for (``ssl.SSLContext.sni_callback``)."""


class Certificate:
    """Certificate chain and key, from one file or two (PEM). ``context`` is for the socket."""

    def __init__(self, files: Sequence[str], setting: str, by_name: ByName | None = None) -> None:
        """``setting`` names the configuration key in errors; ``by_name`` may give a connection another certificate."""
        self.files = tuple(files)
        self._setting = setting
        self._stamps: list[tuple[int, int]] = []
        self.digest = b""
        """SHA-256 of the certificate itself, without its chain."""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if by_name is not None:
            self.context.sni_callback = by_name

    async def start(self) -> None:
        """Read the files. Raises ``OSError`` that says what is wrong with them."""
        try:
            await asyncio.to_thread(self._load)
        except (OSError, ssl.SSLError, ValueError) as exc:
            raise OSError(f"{self._setting} {', '.join(self.files)}: {exc}") from exc

    async def look(self) -> None:
        """Take up changed files: connections from now on get the new certificate, others are not touched. A pair that
        is no good (half-way replaced) leaves the old one in place."""
        try:
            if await asyncio.to_thread(self._seen) == self._stamps:
                return
            await asyncio.to_thread(self._load)
        except (OSError, ssl.SSLError, ValueError) as exc:
            log.warning("certificate.refused", setting=self._setting, error=str(exc))
            return
        log.info("certificate.loaded", setting=self._setting)

    def _seen(self) -> list[tuple[int, int]]:
        return [(stat.st_mtime_ns, stat.st_size) for stat in (Path(f).stat() for f in self.files)]

    def _load(self) -> None:
        stamps = self._seen()
        # Tried beside the one in use: a certificate without its key would stay in it.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*self.files)
        self.context.load_cert_chain(*self.files)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._stamps = stamps
        _, begin, rest = Path(self.files[0]).read_text("latin-1").partition(_BEGIN)
        first = begin + rest.partition(_END)[0] + _END
        self.digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).digest() if begin else b""
