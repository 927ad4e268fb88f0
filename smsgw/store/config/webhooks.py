"""Ways and endpoints of accounts, as the configuration in memory has them."""

from __future__ import annotations

import base64
import json

from smsgw.core.actor import Author
from smsgw.core.errors import Invalid
from smsgw.core.webhooks import Endpoint, Hooks, Options, Way, Wrong, parse_options
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.rows import each
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import audit


def secret_context(account_id: int, name: str) -> str:
    """What the secrets of an endpoint are sealed for."""
    return f"webhook/{account_id}/{name}"


def lease_of(webhook_id: int) -> str:
    """The lease of the node that pushes an endpoint."""
    return f"push/{webhook_id}"


_LOAD = "SELECT w.*, a.name AS account FROM webhook w JOIN account a ON a.id = w.account_id ORDER BY w.id"
_WAYS = "SELECT account_id, way FROM event_setting"


def _endpoint(row: Row, sealer: Sealer) -> Endpoint:
    context = secret_context(row["account_id"], row["name"])
    try:
        options = parse_options(json.loads(row["options"]))
    except Wrong:  # of a later program
        options = Options()
    return Endpoint(
        id=row["id"],
        account_id=row["account_id"],
        account=row["account"],
        name=row["name"],
        url=row["url"],
        events=tuple(row["events"]),
        options=options,
        secrets=tuple(base64.b64decode(sealer.open(s, context)) for s in row["secrets_sealed"]),
        old_until=row["old_until"],
        hosts=tuple(row["hosts"]),
        status=row["status"],
        reason=row["reason"],
    )


async def load(source: Connection | Database, sealer: Sealer) -> Hooks:
    """All ways and endpoints, their secrets opened."""
    endpoints = each("webhook", await source.fetch(_LOAD), lambda row: _endpoint(row, sealer))
    ways = each("event_setting", await source.fetch(_WAYS), lambda row: (row["account_id"], Way(row["way"])))
    return Hooks(endpoints, dict(ways))


_DISABLE = """
UPDATE webhook w SET status = 'disabled', reason = $3, failing_since = NULL FROM account a
WHERE w.account_id = $1 AND w.name = $2 AND a.id = w.account_id RETURNING a.name
"""


async def disable(database: Database, account_id: int, name: str, reason: str, *, by: Author) -> None:
    """Stop pushing to an endpoint whose receiver wants nothing more; its events wait. ``NOT_FOUND``."""
    async with database.transaction() as connection:
        account = await connection.fetchval(_DISABLE, account_id, name, reason[:200])
        if account is None:
            raise Invalid("NOT_FOUND")
        await audit.append(connection, by, "webhook.disable", f"webhook/{account}/{name}", after={"reason": reason})
