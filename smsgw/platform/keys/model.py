"""API keys as those see them who hand them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated


@dataclass(frozen=True, slots=True)
class NewKey:
    """What is shown once when a key is made."""

    key_id: str
    secret: str = field(repr=False)
    bearer: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key as lists show it, without anything secret."""

    id: int
    key_id: str
    account_id: int
    account: Annotated[str, "a.name"]
    mode: Annotated[str, "CASE WHEN k.test THEN 'test' ELSE 'live' END"]
    scopes: Sequence[str]
    networks: Annotated[Sequence[str], "k.ip_allow"]
    requests_per_second: int
    status: str
    expires_at: datetime | None
    created_at: datetime
    rotated_at: datetime | None
    rotating: Annotated[bool, "cardinality(k.secrets_sealed) > 1"]
    """The secret from before the last rotation is still good."""
    last_used_at: datetime | None
    last_used_ip: Annotated[str | None, "host(k.last_used_ip)"]


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """Which keys are looked for."""

    account: Annotated[int | None, "k.account_id = {value}"] = None
    status: Annotated[str, "k.status = {value}"] = ""
    mode: Annotated[str, "k.test = ({value} = 'test')"] = ""
    key_id: Annotated[str, "strpos(k.key_id, {value}) > 0"] = ""
