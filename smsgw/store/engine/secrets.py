"""Sealed secrets (AES-256-GCM with the key file), keys derived from it, and the making of new ones.

The key file holds keys of 64 hex digits, one a line. The first one seals; all of them open, so that a key is replaced
while values are still sealed with the one before (``smsgwctl key-file``). A key's id is made from the key itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

log = structlog.get_logger(__name__)

_VERSION = b"\x01"
MAX_KEYS = 32


class KeyFileError(RuntimeError):
    """The key file is missing, unreadable, open to others or not what it should be."""


def key_id(key: bytes) -> str:
    """What a key is called in the open: eight hex digits."""
    return hashlib.sha256(b"smsgw key id\0" + key).hexdigest()[:8]


@dataclass(slots=True)
class _Key:
    id: str
    aead: AESGCM = field(repr=False)
    octets: bytes = field(repr=False)
    derived: dict[str, bytes] = field(default_factory=dict, repr=False)

    def derive(self, purpose: str) -> bytes:
        if purpose not in self.derived:
            made = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(self.octets)
            self.derived[purpose] = made
        return self.derived[purpose]


class Sealer:
    """Seals short secrets for storage. ``context`` binds a sealed value to its place: it opens nowhere else.

    With ``path`` it follows that file: a key that was put into it is used from then on.
    """

    def __init__(self, *keys: bytes, path: Path | None = None) -> None:
        self._path = path
        self._seen: tuple[int, ...] | None = None
        if path is not None:
            self._seen = _signature(path)
        self._keys = _keys(keys)

    def _follow(self) -> None:
        """Take up a key file that has changed. One that cannot be used is told once, and the keys stay."""
        if self._path is None or (now := _signature(self._path)) == self._seen:
            return
        self._seen = now
        try:
            self._keys = _keys(read_keys(self._path))
        except KeyFileError as exc:
            log.error("key_file.refused", error=str(exc))

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of its keys; the first one seals."""
        self._follow()
        return tuple(key.id for key in self._keys)

    def seal(self, text: str, context: str) -> bytes:
        """Encrypted and authenticated octets: version, nonce, ciphertext."""
        self._follow()
        nonce = os.urandom(12)
        return _VERSION + nonce + self._keys[0].aead.encrypt(nonce, text.encode(), context.encode())

    def open(self, sealed: bytes, context: str) -> str:
        """The text; ``KeyFileError`` when it was sealed with another key, for another place, or changed."""
        found = self._open(sealed, context)
        if found is None:
            self._follow()
            found = self._open(sealed, context)
        if found is None:
            raise KeyFileError(
                f"a stored secret ({context}) does not open with this key file: put back the key file that it was "
                "sealed with ([security] key_file), or make the key or password anew"
            )
        return found[0]

    def reseal(self, sealed: bytes, context: str) -> bytes | None:
        """The same under the key that seals now; ``None`` when it is sealed with that one. Raises ``KeyFileError``."""
        self._follow()
        text = self.open(sealed, context)
        found = self._open(sealed, context)
        return None if found is not None and found[1] == self._keys[0].id else self.seal(text, context)

    def _open(self, sealed: bytes, context: str) -> tuple[str, str] | None:
        for key in self._keys:
            with contextlib.suppress(InvalidTag, ValueError):
                return key.aead.decrypt(sealed[1:13], sealed[13:], context.encode()).decode(), key.id
        return None

    def derive(self, purpose: str) -> tuple[str, bytes]:
        """The id of the key that seals now, and 32 octets derived from it for ``purpose`` (HKDF-SHA-256)."""
        self._follow()
        return self._keys[0].id, self._keys[0].derive(purpose)

    def derived(self, purpose: str, id_: str) -> bytes | None:
        """The octets derived from the key ``id_``; ``None`` when the file does not hold it."""
        for key in self._keys:
            if key.id == id_:
                return key.derive(purpose)
        return None


class Passing:
    """Seals words on their way, which nobody keeps, with keys derived for that, one a day: a nonce that chance gives
    twice harms no stored secret. The key file is looked at by ``follow`` alone, not with each word that comes.

    A sealed word: the key's id, the day, a nonce, the ciphertext. ``at``: seconds since 1970.
    """

    def __init__(self, sealer: Sealer, purpose: str) -> None:
        self._sealer = sealer
        self._purpose = purpose
        self._id = b""
        self.follow()

    def follow(self) -> None:
        """Seal with the key that the file has first now."""
        self._id = self._sealer.ids[0].encode()

    def seal(self, word: bytes, at: float) -> bytes:
        """It, encrypted and authenticated."""
        head = self._id + _day(at).to_bytes(4, "big")
        if (aead := self._aead(head)) is None:  # the key has left the file since
            self.follow()
            return self.seal(word, at)
        nonce = os.urandom(12)
        return head + nonce + aead.encrypt(nonce, word, head)

    def open(self, sealed: bytes, at: float) -> bytes | None:
        """The word; None when it is not of our keys and these days, or was changed."""
        head = sealed[:12]
        if len(sealed) < 12 + 12 + 16 or abs(int.from_bytes(head[8:], "big") - _day(at)) > 1:
            return None
        if (aead := self._aead(head)) is not None:
            with contextlib.suppress(InvalidTag):
                return aead.decrypt(sealed[12:24], sealed[24:], head)
        return None

    def _aead(self, head: bytes) -> AESGCM | None:
        day = int.from_bytes(head[8:], "big")
        octets = self._sealer.derived(f"{self._purpose} {day}", head[:8].decode("latin-1"))
        return None if octets is None else AESGCM(octets)


def _day(at: float) -> int:
    return int(at // 86400)


def _keys(keys: tuple[bytes, ...]) -> tuple[_Key, ...]:
    if not 1 <= len(keys) <= MAX_KEYS or any(len(key) != 32 for key in keys):
        raise KeyFileError(f"a key file holds 1 to {MAX_KEYS} keys of 32 octets (64 hex digits), one a line")
    return tuple(_Key(key_id(key), AESGCM(key), key) for key in keys)


def _signature(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode


def _check_mode(path: Path, found: os.stat_result) -> None:
    """Whoever reads the key file reads every secret, and can write an audit log that looks genuine."""
    if str(path.parent) == os.environ.get("CREDENTIALS_DIRECTORY"):  # systemd guards it by an access list
        return
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFileError(
            f"the key file {path} has mode {stat.S_IMODE(found.st_mode):04o} and is open to others than its owner: "
            f"chmod 600 {path}, and rotate the key if others may have read it (smsgwctl key-file rotate)"
        )
    if os.geteuid() not in (0, found.st_uid):
        raise KeyFileError(f"the key file {path} belongs to another user (uid {found.st_uid})")


def read_keys(path: Path) -> tuple[bytes, ...]:
    """The keys of a key file, the one that seals first. Raises ``KeyFileError``."""
    try:
        with open(path, encoding="ascii") as file:
            _check_mode(path, os.fstat(file.fileno()))
            lines = file.read(64 * 1024).split("\n")
        return tuple(bytes.fromhex(line.strip()) for line in lines if line.strip() and not line.startswith("#"))
    except (OSError, ValueError) as exc:
        raise KeyFileError(f"cannot use the key file {path}: {exc}") from exc


def _draft(path: Path, keys: tuple[bytes, ...]) -> Path:
    """A file beside ``path``, for its owner alone and on the disk; the caller gives it the name, or removes it."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("".join(f"{key.hex()}\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())
    return draft


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_key(path: Path) -> None:
    """Make the file whole or not at all: several commands may want it at the same moment, and one key wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft(path, (secrets.token_bytes(32),))
    try:
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    _sync(path.parent)


def change_keys(path: Path, change: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]) -> tuple[bytes, ...]:
    """Put what ``change`` makes of its keys into an existing key file: whole or not at all, with its owner; the keys
    before. One at a time: no key may be lost to somebody else's change. Raises ``KeyFileError``."""
    try:
        with _alone(path.parent):
            before = read_keys(path)
            keys = change(before)
            if keys != before:
                _write_keys(path, keys)
    except OSError as exc:
        raise KeyFileError(
            f"cannot put a new file in the place of {path}, which is unchanged: {exc.strerror}; the directory must "
            "belong to the user that runs smsgw"
        ) from exc
    return before


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_keys(path: Path, keys: tuple[bytes, ...]) -> None:
    _keys(keys)
    owner = path.stat()
    draft = _draft(path, keys)
    try:
        if os.geteuid() == 0:
            os.chown(draft, owner.st_uid, owner.st_gid)
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def load_key(path: Path, *, create: bool) -> Sealer:
    """The sealer of a key file (mode 0600 or 0400), which it follows; made when ``create`` and it does not exist."""
    if create and not path.exists():
        _make_key(path)
    return Sealer(*read_keys(path), path=path)
