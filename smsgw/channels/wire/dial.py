"""Connecting to a carrier: plain or over TLS, from a chosen address."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from smsgw.net.connection import Connection

TLS_SHUTDOWN = 2.0
"""Seconds for the last words of TLS; asyncio would wait half a minute for a peer that is gone."""


def tls_context(ca: str, *, insecure: bool) -> ssl.SSLContext:
    """Trust in the authorities of the file ``ca``, or of the system. Reads files.

    OSError, with the file's name, when it cannot be read or is no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=ca or None)
    except OSError as exc:
        raise OSError(f"tls_ca {ca}: {exc.strerror or exc}") from exc
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def open_connection(
    connection: Connection, host: str, port: int, *, source: str = "", tls: ssl.SSLContext | None = None, name: str = ""
) -> None:
    """Connect. ``source`` is the local address; with ``tls`` the certificate must be for ``name`` or the host.

    OSError when there is no connection; what is wrong with a certificate is in its text. The caller limits the time.
    """
    how: dict[str, Any] = {}
    if source:
        how["local_addr"] = (source, 0)
    if tls is not None:
        how |= {"ssl": tls, "server_hostname": name or host, "ssl_shutdown_timeout": TLS_SHUTDOWN}
    try:
        await asyncio.get_running_loop().create_connection(lambda: connection, host, port, **how)
    except ssl.SSLCertVerificationError as exc:
        raise OSError(f"TLS: the carrier's certificate is refused: {exc.verify_message}") from exc
    except ssl.SSLError as exc:
        raise OSError(f"TLS: {exc.reason or exc}") from exc
    except OSError as exc:
        if source:  # the event loop does not say which address could not be had
            raise OSError(f"from {source}: {exc}") from exc
        raise
