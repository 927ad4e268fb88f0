"""The setup code (P0, first run): who can read it at the machine may make the first person of an empty database.

It is derived from the key file and the database, so that all nodes and ``smsgwctl setup-code`` know the same one and
nothing is stored; with the first person it opens nothing any more.
"""

from __future__ import annotations

import base64
import hmac
import re

from smsgw.platform.handles import Database, Sealer
from smsgw.platform.org import queries

_OCTETS = 10
"""80 bits: 16 letters and digits."""
_DATABASE = "SELECT oid::text FROM pg_database WHERE datname = current_database()"


async def waiting(database: Database, sealer: Sealer) -> str:
    """The code while nobody has ever been entered; empty: the first run is over."""
    if await queries.inhabited(database):
        return ""
    _, octets = sealer.derive(f"setup code of database {await database.fetchval(_DATABASE)}")
    text = base64.b32encode(octets[:_OCTETS]).decode()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def fits(code: str, given: str) -> bool:
    """Whether a code was typed right, with or without hyphens, in any case; compared in constant time."""
    plain = [re.sub(r"[^A-Z0-9]", "", text.upper()[:64]).encode() for text in (code, given)]
    return bool(plain[0]) and hmac.compare_digest(*plain)
