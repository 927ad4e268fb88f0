"""SMGP login digests (5.2.2.1). MD5 is what the protocol prescribes; it protects nothing else."""

from __future__ import annotations

import hashlib


def _md5(octets: bytes) -> bytes:
    return hashlib.md5(octets, usedforsecurity=False).digest()


def authenticator_client(client_id: str, secret: str, timestamp: int) -> bytes:
    """AuthenticatorClient of Login: seven zeros between, where CMPP has nine; ten digits of time."""
    return _md5(client_id.encode() + bytes(7) + secret.encode() + f"{timestamp:010d}".encode())


def authenticator_server(status: int, client_digest: bytes, secret: str) -> bytes:
    """AuthenticatorServer of Login_Resp."""
    return _md5(status.to_bytes(4, "big") + client_digest + secret.encode())
