"""Logins of partners and their binds, as people see them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from smsgw.store.config.partners import BIND_TTL

STATES = ("bound", "idle", "stopped")
"""Of a login: it has binds, it has none, it may not have any."""


@dataclass(frozen=True, slots=True)
class BindView:
    """A bind, as its node last said; counts are since it was bound."""

    node: int
    mode: str
    ip: str
    bound_at: datetime
    version: str
    submits: int
    refused: int
    slowed: int
    """Refused for too much at a time."""
    delivered: int
    unanswered: int
    """Its requests without an answer; …"""
    deliveries: int
    """… ours without one of its own."""
    rate: float
    """Destinations a second."""
    last_at: datetime | None
    codes: Mapping[str, int]
    kick: bool
    """Its node has been asked to end it."""


LIVE = f"b.partner_id = p.id AND b.seen_at > clock_timestamp() - interval '{BIND_TTL} seconds'"
"""Of ``partner_bind b``: that it is one of the login ``p`` and still there."""
BINDS = f"""
COALESCE((SELECT json_agg(json_build_object(
    'node', b.node, 'mode', b.mode, 'ip', b.ip, 'bound_at', b.bound_at, 'version', b.version, 'submits', b.submits,
    'refused', b.refused, 'slowed', b.slowed, 'delivered', b.delivered, 'unanswered', b.unanswered,
    'deliveries', b.deliveries, 'rate', b.rate, 'last_at', b.last_at, 'codes', b.codes, 'kick', b.kick)
    ORDER BY b.bound_at)
 FROM partner_bind b WHERE {LIVE}), '[]')
"""  # noqa: S608 - constant text
MARK = "left(encode(sha256(convert_to(p::text, 'UTF8')), 'hex'), 16)"
"""Of a login as people set it: another one when somebody has changed it."""


@dataclass(frozen=True, slots=True)
class PartnerView:
    """A login with the binds of all nodes; without its password."""

    id: int
    account_id: int
    account: Annotated[str, "a.name"]
    protocol: str
    username: str
    status: str
    max_binds: int
    window: Annotated[int, "p.send_window"]
    rate: int
    ip_allow: tuple[str, ...]
    type: str
    code: str
    any_source: bool
    any_clock: bool
    alphabet: str
    message_ids: str
    long_mo: str
    created_at: datetime
    mark: Annotated[str, MARK]
    binds: Annotated[tuple[BindView, ...], BINDS]

    @property
    def state(self) -> str:
        """Of ``STATES``."""
        return "stopped" if self.status != "active" else "bound" if self.binds else "idle"

    @property
    def pace(self) -> float:
        """Destinations a second, over all binds."""
        return sum(bind.rate for bind in self.binds)

    @property
    def busiest(self) -> float:
        """Those of the node that has most of them: the login's rate holds on each."""
        nodes = {bind.node for bind in self.binds}
        return max((sum(bind.rate for bind in self.binds if bind.node == node) for node in nodes), default=0.0)

    @property
    def last_at(self) -> datetime | None:
        """When it last sent something."""
        return max((bind.last_at for bind in self.binds if bind.last_at), default=None)

    @property
    def codes(self) -> dict[str, int]:
        """Why submits of all binds were refused -> how many, most of them first."""
        counts = Counter[str]()
        for bind in self.binds:
            counts.update(bind.codes)
        return dict(counts.most_common())

    def total(self, name: str) -> int:
        """A count over all binds."""
        return sum(int(getattr(bind, name)) for bind in self.binds)


_STATE = f"""
CASE WHEN p.status <> 'active' THEN p.status
     WHEN EXISTS (SELECT FROM partner_bind b WHERE {LIVE}) THEN 'bound' ELSE 'idle' END
"""


@dataclass(frozen=True, slots=True)
class PartnerFilter:
    """Which logins are looked for."""

    account: Annotated[int | None, "p.account_id = {value}"] = None
    protocol: Annotated[str, "p.protocol = {value}"] = ""
    partner_state: Annotated[str, f"{_STATE} = {{value}}"] = ""
    """Of ``STATES``."""
    user: Annotated[str, "strpos(p.username, {value}) > 0"] = ""
