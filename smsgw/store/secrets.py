"""Sealed secrets (AES-256-GCM with the key file) and the making of new ones."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = b"\x01"


class KeyFileError(RuntimeError):
    """The key file is missing, unreadable or not what it should be."""


class Sealer:
    """Seals short secrets for storage. ``context`` binds a sealed value to its place: it opens nowhere else."""

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise KeyFileError("a sealing key has 32 octets")
        self._aead = AESGCM(key)

    def seal(self, text: str, context: str) -> bytes:
        """Encrypted and authenticated octets: version, nonce, ciphertext."""
        nonce = os.urandom(12)
        return _VERSION + nonce + self._aead.encrypt(nonce, text.encode(), context.encode())

    def open(self, sealed: bytes, context: str) -> str:
        """The text; ``KeyFileError`` when it was sealed with another key, for another place, or changed."""
        try:
            return self._aead.decrypt(sealed[1:13], sealed[13:], context.encode()).decode()
        except (InvalidTag, ValueError) as exc:
            raise KeyFileError(
                f"a stored secret ({context}) does not open with this key file: put back the key file that it was "
                "sealed with ([security] key_file), or make the key or password anew"
            ) from exc


def _make_key(path: Path) -> None:
    """Make the file whole or not at all: several commands may want it at the same moment, and one key wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def load_key(path: Path, *, create: bool) -> Sealer:
    """The sealer of a key file (64 hex digits, mode 0600); made when ``create`` and it does not exist."""
    if create and not path.exists():
        _make_key(path)
    try:
        return Sealer(bytes.fromhex(path.read_text("ascii").strip()))
    except (OSError, ValueError) as exc:
        raise KeyFileError(f"cannot use the key file {path}: {exc}") from exc
