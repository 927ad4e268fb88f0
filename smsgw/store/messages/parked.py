"""Facts that the database has refused as often as they were tried: kept as they were said, until an operator looks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from smsgw.core.model import Inbound, Outcome, OutcomeKind, Report, UnknownPolicy
from smsgw.core.states import PartState
from smsgw.store.engine.database import Connection, Database
from smsgw.store.messages.inbound import Arrived
from smsgw.store.messages.outcomes import Answer, GivenBack

Fact = Answer | GivenBack | Report | Arrived

KINDS: dict[type, str] = {Answer: "answer", GivenBack: "given_back", Report: "report", Arrived: "inbound"}


@dataclass(frozen=True, slots=True)
class Parked:
    """A fact that lies aside."""

    id: int
    node: int
    kind: str
    error: str
    parked_at: datetime
    fact: Fact


_PUT = "INSERT INTO parked_fact (node, kind, fact, error) VALUES ($1, $2, $3, $4)"


async def put(connection: Connection, node: int, fact: Fact, error: str) -> None:
    """Keep a fact; ``error`` says why it was refused, without values."""
    text = json.dumps(asdict(fact), default=_plain)  # ASCII: what it cannot hold stands there escaped
    await connection.execute(_PUT, node, KINDS[type(fact)], text, error)


def _plain(value: datetime | bytes) -> str:
    return value.hex() if isinstance(value, bytes) else value.isoformat()


def _fact(kind: str, text: str) -> Fact:
    said: dict[str, Any] = json.loads(text)

    def time(name: str, of: dict[str, Any] = said) -> datetime | None:
        return datetime.fromisoformat(of[name]) if of[name] else None

    def outcome(of: dict[str, Any]) -> Outcome:
        return Outcome(**of | {"kind": OutcomeKind(of["kind"])})

    match kind:
        case "answer":
            at = datetime.fromisoformat(said["at"])
            return Answer(outcome(said["outcome"]), at, time("next_at"), UnknownPolicy(said["policy"]))
        case "given_back":
            return GivenBack(tuple(map(outcome, said["outcomes"])), datetime.fromisoformat(said["at"]))
        case "report":
            times = {"received_at": time("received_at"), "submitted": time("submitted")}
            octets = bytes.fromhex(said.get("pdu", ""))
            return Report(**said | times | {"state": PartState(said["state"]), "pdu": octets})
        case "inbound":
            inbound = said["inbound"]
            arrived = Inbound(**inbound | {"received_at": time("received_at", inbound)})
            return Arrived(arrived, said["account_id"], said["extend_code"])
    raise ValueError(f"no kind of fact: {kind}")


_LIST = "SELECT * FROM parked_fact WHERE $1::bigint[] IS NULL OR id = ANY($1) ORDER BY id LIMIT $2"


async def list_(database: Database, ids: Sequence[int] | None = None, *, limit: int) -> list[Parked]:
    """What lies aside, or these of it, oldest first."""
    rows = await database.fetch(_LIST, list(ids) if ids else None, limit)
    return [
        Parked(row["id"], row["node"], row["kind"], row["error"], row["parked_at"], _fact(row["kind"], row["fact"]))
        for row in rows
    ]


_COUNT = "SELECT count(*) FROM (SELECT FROM parked_fact LIMIT 10000) looked"


async def count(database: Database) -> int:
    """How many lie aside (counted up to 10,000)."""
    found: int = await database.fetchval(_COUNT)
    return found


_REMOVE = "DELETE FROM parked_fact WHERE id = ANY($1::bigint[])"


async def remove(database: Database, ids: Sequence[int]) -> None:
    """These have been applied, or lie aside anew."""
    await database.execute(_REMOVE, list(ids))
