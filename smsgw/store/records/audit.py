"""The audit log: who did what. It is added to, never changed.

Every row carries an HMAC under a key that is not in the database, so that nobody who can only write to the database can
make one up or edit one. Which rows there are, and in which order, says the chain that ``audit_chain`` makes of
them a moment later: writers do not wait for each other.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from ipaddress import ip_address, ip_interface
from typing import TYPE_CHECKING, Any

from smsgw.core.actor import Author
from smsgw.core.numbers import masked
from smsgw.runtime import clock

if TYPE_CHECKING:
    from smsgw.store.engine.database import Connection, Database
    from smsgw.store.engine.secrets import Sealer

JsonObject = Mapping[str, Any]

PURPOSE = "smsgw audit v1"
"""Of the keys that are derived from the key file."""
HIDDEN = "***"

_SECRET = re.compile(r"password|passwd|secret|bearer|token|sealed|private|credential|shared", re.IGNORECASE)
"""Names of values that are not written down, whoever hands them over."""
_GIVEN_AWAY = re.compile(r"smk_(?:live|test)_[\w-]+|whsec_[\w+/=-]+|://[^/\s@]+@")
"""What is a secret wherever it stands: bearer keys, signing secrets, user and password in an address."""

_source: Callable[[], Sealer] | None = None


def use(source: Callable[[], Sealer]) -> None:
    """Whose keys sign the rows that this process writes; asked when there is one to write."""
    global _source
    _source = source


def keys() -> Sealer:
    """The keys that ``use`` has named."""
    if _source is None:
        raise RuntimeError("no key signs the audit log: call audit.use first")
    return _source()


def row_mac(
    key: bytes, id_: int, at: datetime, author: Author, action: str, object_: str, before: str | None, after: str | None
) -> bytes:
    """HMAC-SHA-256 of a row. ``before`` and ``after`` are what PostgreSQL writes for the ``jsonb``, the author's
    address its host."""
    row = [
        id_,
        at.astimezone(UTC).isoformat(timespec="microseconds"),
        author.label,
        author.address,
        action,
        object_,
        before,
        after,
    ]
    return hmac.digest(key, b"row\0" + json.dumps(row, ensure_ascii=False).encode(), "sha256")


def _clean(value: Any) -> Any:
    """A value without what must not be in a log: secrets, and whole mobile numbers in whatever people write."""
    if isinstance(value, Mapping):
        return {name: _hide(str(name), item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, str):
        return masked(_GIVEN_AWAY.sub(_hidden, value))
    if isinstance(value, int) and (number := masked(str(value))) != str(value):  # as the database has them
        return number
    return value


def _hidden(found: re.Match[str]) -> str:
    return f"://{HIDDEN}@" if found[0].startswith("://") else HIDDEN


def _hide(name: str, value: Any) -> Any:
    told = value is None or isinstance(value, bool | int | float)  # how many there are, until when, whether
    return HIDDEN if _SECRET.search(name) and not told else _clean(value)


def _json(value: JsonObject | None) -> str | None:
    return None if value is None else json.dumps(_clean(value), ensure_ascii=False, sort_keys=True)


async def record(
    db: Database,
    author: Author,
    action: str,
    object: str,
    before: JsonObject | None = None,
    after: JsonObject | None = None,
) -> None:
    """Append a row in a transaction of its own."""
    async with db.transaction() as connection:
        await append(connection, author, action, object, before, after)


CLOCKS_APART = timedelta(minutes=5)
"""How far the server's clock may be off from ours to be believed."""

_NEXT = """
SELECT nextval('audit_entry') AS id, clock_timestamp() AS at, host($1::text::inet) AS ip,
       $2::text::jsonb::text AS before, $3::text::jsonb::text AS after
"""

_APPEND = """
WITH entry AS (
    INSERT INTO audit (id, at, actor, ip, action, object, before, after, key, mac)
    VALUES ($1, $2, $3, $4::text::inet, $5, $6, $7::text::jsonb, $8::text::jsonb, $9, $10)
    RETURNING id
)
INSERT INTO audit_open (id) SELECT id FROM entry
"""


async def append(
    connection: Connection,
    author: Author,
    action: str,
    object: str,
    before: JsonObject | None = None,
    after: JsonObject | None = None,
) -> None:
    """Append a row inside the caller's transaction: the change and its record stand or fall together."""
    ip = author.address
    key, secret = keys().derive(PURPOSE)
    object = masked(object)
    said = _json(before), _json(after)
    # The row as the server will give it back; whoever rules it must not choose what we sign.
    (row,) = await connection.fetch(_NEXT, ip, *said)
    same_ip = row["ip"] is None if ip is None else ip_address(row["ip"]) == ip_interface(ip).ip
    if not same_ip or not all(map(_same, said, (row["before"], row["after"]))):
        raise RuntimeError("the database gives an audit row back as other than what was said")
    now = clock.now()
    at = row["at"] if abs(row["at"] - now) < CLOCKS_APART else now
    what = (action, object, row["before"], row["after"])
    mac = row_mac(secret, row["id"], at, Author(author.label, row["ip"]), *what)
    await connection.execute(_APPEND, row["id"], at, author.label, row["ip"], *what, key, mac)


def _same(said: str | None, given_back: str | None) -> bool:
    if said is None or given_back is None:
        return said is given_back
    exact = json.JSONDecoder(parse_int=Decimal, parse_float=Decimal)  # 1e23 comes back with all its digits
    return bool(exact.decode(said) == exact.decode(given_back))


# --- rows from before -------------------------------------------------------------------------------------------

FIRST = b"\0" * 32
"""What stood for the hash before the first row."""


def row_hash(
    previous: bytes,
    *,
    at: datetime,
    author: Author,
    action: str,
    object: str,
    before: JsonObject | None,
    after: JsonObject | None,
) -> bytes:
    """The chain from before, without a key: SHA-256 over the previous hash and the row as canonical JSON."""
    row = {
        "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": author.label,
        "ip": author.address,
        "action": action,
        "object": object,
        "before": before,
        "after": after,
    }
    text = json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(previous + text.encode()).digest()
