"""Stored secrets under another key of the key file, in small steps beside all else; may be broken off and repeated."""

from __future__ import annotations

from dataclasses import dataclass, field

from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import KeyFileError, Sealer

PAGE = 200

_PLACES = {
    "API keys": (
        "SELECT key_id AS id, 'api_key/' || key_id AS context, secrets_sealed AS sealed"
        " FROM api_key WHERE key_id > $1 ORDER BY key_id LIMIT $2",
        "UPDATE api_key SET secrets_sealed = $2 WHERE key_id = $1 AND secrets_sealed = $3",
        "",
    ),
    "channels": (
        "SELECT id, 'channel/' || name AS context, ARRAY[password_sealed] AS sealed"
        " FROM channel WHERE id > $1 ORDER BY id LIMIT $2",
        "UPDATE channel SET password_sealed = ($2::bytea[])[1] WHERE id = $1 AND ARRAY[password_sealed] = $3",
        0,
    ),
    "SGIP peers": (
        "SELECT id, 'channel/' || name || '/peer_password' AS context,"
        " ARRAY[decode(profile->>'peer_password', 'hex')] AS sealed"
        " FROM channel WHERE id > $1 AND profile->>'peer_password' <> '' ORDER BY id LIMIT $2",
        "UPDATE channel SET profile = profile || jsonb_build_object('peer_password', encode(($2::bytea[])[1], 'hex'))"
        " WHERE id = $1 AND ARRAY[decode(profile->>'peer_password', 'hex')] = $3",
        0,
    ),
    "versions of channels": (
        "SELECT v.id, 'channel/' || c.name AS context, ARRAY[v.password_sealed] AS sealed"
        " FROM channel_version v JOIN channel c ON c.id = v.channel_id WHERE v.id > $1 ORDER BY v.id LIMIT $2",
        "UPDATE channel_version SET password_sealed = ($2::bytea[])[1] WHERE id = $1 AND ARRAY[password_sealed] = $3",
        0,
    ),
    "SGIP peers of versions": (
        "SELECT v.id, 'channel/' || c.name || '/peer_password' AS context, ARRAY[v.peer_sealed] AS sealed"
        " FROM channel_version v JOIN channel c ON c.id = v.channel_id WHERE v.id > $1 AND v.peer_sealed IS NOT NULL"
        " ORDER BY v.id LIMIT $2",
        "UPDATE channel_version SET peer_sealed = ($2::bytea[])[1] WHERE id = $1 AND ARRAY[peer_sealed] = $3",
        0,
    ),
    "partners": (
        "SELECT id, 'partner/' || protocol || '/' || username AS context, ARRAY[password_sealed] AS sealed"
        " FROM partner WHERE id > $1 ORDER BY id LIMIT $2",
        "UPDATE partner SET password_sealed = ($2::bytea[])[1] WHERE id = $1 AND ARRAY[password_sealed] = $3",
        0,
    ),
    "webhooks": (
        "SELECT id, 'webhook/' || account_id || '/' || name AS context, secrets_sealed AS sealed"
        " FROM webhook WHERE id > $1 ORDER BY id LIMIT $2",
        "UPDATE webhook SET secrets_sealed = $2 WHERE id = $1 AND secrets_sealed = $3",
        0,
    ),
    "certificates": (
        "SELECT id, 'brand/' || id || '/key' AS context, ARRAY[key_sealed] AS sealed"
        " FROM brand WHERE id > $1 AND key_sealed IS NOT NULL ORDER BY id LIMIT $2",
        "UPDATE brand SET key_sealed = ($2::bytea[])[1] WHERE id = $1 AND ARRAY[key_sealed] = $3",
        0,
    ),
    "provider of number look-ups": (
        "SELECT 1 AS id, 'number_vendor' AS context, ARRAY[secret_sealed] AS sealed"
        " FROM number_vendor WHERE $1::bigint < 1 LIMIT $2",
        "UPDATE number_vendor SET secret_sealed = ($2::bytea[])[1] WHERE $1::bigint = 1 AND ARRAY[secret_sealed] = $3",
        0,
    ),
    "receivers of alarms": (
        "SELECT id, 'alarm_receiver/' || id AS context, sealed"
        " FROM alarm_receiver WHERE id > $1 AND sealed <> '{}' ORDER BY id LIMIT $2",
        "UPDATE alarm_receiver SET sealed = $2 WHERE id = $1 AND sealed = $3",
        0,
    ),
    "key of the hashes of numbers": (
        "SELECT id, 'pseudonym_key' AS context, ARRAY[sealed] AS sealed"
        " FROM pseudonym_key WHERE id > $1 ORDER BY id LIMIT $2",
        "UPDATE pseudonym_key SET sealed = ($2::bytea[])[1] WHERE id = $1 AND ARRAY[sealed] = $3",
        0,
    ),
    "key of the codes of short links": (
        "SELECT id, 'short_link_key' AS context, ARRAY[sealed] AS sealed"
        " FROM short_link_key WHERE id > $1 ORDER BY id LIMIT $2",
        "UPDATE short_link_key SET sealed = ($2::bytea[])[1] WHERE id = $1 AND ARRAY[sealed] = $3",
        0,
    ),
    "authenticators": (
        "SELECT staff_id AS id, 'staff_totp/' || staff_id AS context, ARRAY[secret_sealed] AS sealed"
        " FROM staff_totp WHERE staff_id > $1 ORDER BY staff_id LIMIT $2",
        "UPDATE staff_totp SET secret_sealed = ($2::bytea[])[1] WHERE staff_id = $1 AND ARRAY[secret_sealed] = $3",
        0,
    ),
}
"""What is sealed: how to read it page by page, how to put it back if nobody has changed it since, and where to begin.

Answers that are kept for repeats (``request_key``) are sealed as well and are not here: they are gone after seven days.
"""


@dataclass(slots=True)
class Resealed:
    """What ``reseal`` has met in one place."""

    place: str
    values: int = 0
    changed: int = 0
    """Now under the key that seals."""
    stuck: list[str] = field(default_factory=list)
    """Which do not open with any key of the file."""


async def reseal(database: Database, sealer: Sealer, *, dry: bool = False) -> list[Resealed]:
    """Seal every stored secret with the first key of the key file; with ``dry`` only count what that would be."""
    return [await _place(database, sealer, name, dry=dry) for name in _PLACES]


async def _place(database: Database, sealer: Sealer, name: str, *, dry: bool) -> Resealed:
    select, update, after = _PLACES[name]
    done = Resealed(name)
    while rows := await database.fetch(select, after, PAGE):
        after = rows[-1]["id"]
        for row in rows:
            old = row["sealed"]
            done.values += len(old)
            try:
                new = [sealer.reseal(value, row["context"]) for value in old]
            except KeyFileError:
                done.stuck.append(row["context"])
                continue
            if any(new) and not dry:
                await database.execute(update, row["id"], [n or o for n, o in zip(new, old, strict=True)], old)
            done.changed += sum(value is not None for value in new)
    return done
