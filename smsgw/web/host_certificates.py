"""Certificates of single hosts on one listening socket, by the name that a client asks for (SNI, RFC 6066 §3)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence

import structlog

from smsgw.core.brand import HostCertificate, name_of
from smsgw.pipeline.snapshot import Snapshots
from smsgw.platform.brand import certificates

log = structlog.get_logger(__name__)


class HostCertificates:
    """Those of the snapshot in force. A host without one gets the listener's own."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._seen: Sequence[HostCertificate] = ()
        self._contexts: Mapping[str, ssl.SSLContext] = {}

    def choose(self, handshake: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        """For ``SSLContext.sni_callback``: the connection goes on with the host's certificate."""
        found = self._contexts.get(name_of(name)) if name else None
        if found is not None:
            handshake.context = found

    async def look(self) -> None:
        """Take up what has changed: connections from now on get it."""
        current = self._snapshots.current.certificates
        if current != self._seen:
            self._contexts = await asyncio.to_thread(_contexts, current)
            self._seen = current


def _contexts(found: Sequence[HostCertificate]) -> Mapping[str, ssl.SSLContext]:
    made: dict[str, ssl.SSLContext] = {}
    for one in found:
        try:
            context = certificates.context(one.chain, one.key)
        except (OSError, ValueError) as exc:  # of TLS, too: the others go on
            log.warning("certificate.refused", hosts=one.hosts, error=str(exc))
            continue
        made.update(dict.fromkeys(one.hosts, context))
    return made
