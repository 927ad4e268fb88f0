"""A send call as it is stored: its rows, its keys, and what becomes of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, NamedTuple, Protocol

from smsgw.core.abroad import Abroad
from smsgw.core.actor import ActorLabel
from smsgw.core.errors import SmsgwError
from smsgw.core.frequency import Watch
from smsgw.store.engine.cte_batch import columns_of
from smsgw.store.engine.database import Connection


class MessageRow(NamedTuple):
    """What a call fills in of a row of ``message``, column by column. The spool knows it by these names."""

    id: Annotated[int, "bigint"]
    batch_id: Annotated[int, "bigint"]
    account_id: Annotated[int, "bigint"]
    origin: Annotated[str, "text"]
    type: Annotated[str, "text"]
    number: Annotated[str, "text"]
    carrier: Annotated[str, "text"]
    province: Annotated[str, "text"]
    content: Annotated[str, "text"]
    sign: Annotated[str, "text"]
    coding: Annotated[str, "text"]
    parts: Annotated[int, "smallint"]
    concat_ref: Annotated[int, "smallint"]
    price: Annotated[int, "int"]
    client_ref: Annotated[str, "text"]
    ext: Annotated[str, "text"]
    extend_code: Annotated[str, "text"]
    submitter: Annotated[str, "text"]
    refund_failed: Annotated[bool, "boolean"]
    test: Annotated[bool, "boolean"]
    template_id: Annotated[int, "bigint"]
    kind: Annotated[str, "text"]


class PartRow(NamedTuple):
    """The same of ``part``."""

    id: Annotated[int, "bigint"]
    part: Annotated[int, "smallint"]
    total: Annotated[int, "smallint"]
    account_id: Annotated[int, "bigint"]
    pool_id: Annotated[int, "int"]
    lane: Annotated[int, "smallint"]
    state: Annotated[int, "smallint"]
    unknown_policy: Annotated[str | None, "text"]
    next_at: Annotated[datetime | None, "timestamptz"]
    expires_at: Annotated[datetime, "timestamptz"]
    code: Annotated[str, "text"]
    class_: Annotated[str, "text"]
    by_us: Annotated[bool, "boolean"]
    accepted_at: Annotated[datetime, "timestamptz"]
    final_at: Annotated[datetime | None, "timestamptz"]


class LinkRow(NamedTuple):
    """A message that carries a short link."""

    id: Annotated[int, "bigint"]
    """Of the message."""
    link_id: Annotated[int, "bigint"]
    n: Annotated[int, "int"]
    """Which of its codes."""
    personal: Annotated[bool, "boolean"]
    """One recipient alone has it."""


MESSAGE_TYPES, PART_TYPES, LINK_TYPES = columns_of(MessageRow), columns_of(PartRow), columns_of(LinkRow)
"""The columns that a call fills in, as PostgreSQL has them."""
REFUSED_TYPES = MESSAGE_TYPES | {"refusal": "text"}
"""Of a message that is refused."""


@dataclass(frozen=True, slots=True)
class Fence:
    """Under whose right a claim is made; without a live lease on ``resource`` it finds nothing."""

    resource: str
    node: int
    epoch: int
    channel_id: int


@dataclass(frozen=True, slots=True)
class RequestKey:
    """An Idempotency-Key (``k``), client_ref (``r``) or nonce of a signature (``n``) with what it stands for."""

    kind: str
    key: str
    request_sha256: bytes
    message_id: int
    answers: bool = True
    """A repeat is answered with the first answer; False: with ``CLIENT_REF_EXISTS`` (one reference of many), or
    ``AUTH_NONCE_REPLAYED``."""


class ChunkGuard(Protocol):
    """What else has to hold, and is written, in the transaction that stores a call."""

    async def admit(self, connection: Connection) -> SmsgwError | None:
        """Why the call may not be stored; None when it may. Must not wait for locks."""

    async def mark(self, connection: Connection) -> None:
        """The call is being stored."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A recipient that gets nothing: it stands in the record, and is reported."""

    message: MessageRow
    part: PartRow
    text: str
    """Why, for people."""
    event_id: int
    """Of the report."""
    told: bool = True
    """False: nobody is offered the report; it is there for the statistics."""


@dataclass(frozen=True, slots=True)
class NewReview:
    """Why a call is HELD, and what the reviewer sees of it at first."""

    type: str
    origin: str
    submitter: ActorLabel
    reasons: tuple[str, ...]
    numbers: int
    content: str
    due: datetime | None
    validity_s: float
    """Seconds, from its release on."""
    expires: datetime
    """When nobody is asked any more."""


@dataclass(frozen=True, slots=True)
class NewFollow:
    """What may follow the messages of a call when they fail."""

    chain: dict[str, Any]
    hop: int
    first_id: int | None
    task_id: int | None
    run: int | None
    reviewed: bool
    values: dict[str, dict[str, str]]
    """Message -> variable -> value; empty: no hop has variables."""
    until: datetime
    look_at: datetime


@dataclass(frozen=True, slots=True)
class NewCall:
    """All rows of one send call."""

    account_id: int
    batch_id: int
    messages: list[MessageRow]
    parts: list[PartRow]
    units: int
    """Debited from the account."""
    keys: tuple[RequestKey, ...]
    answer: bytes
    """What a repeat of the call is answered with."""
    emergency_by: ActorLabel | None = None
    """Who has sent it on the emergency lane: that is audited."""
    above: tuple[int, ...] = ()
    """Accounts above, whose quotas count it."""
    guards: tuple[int, ...] = ()
    """Those of the account and the ones above that have a quota."""
    departments: tuple[int, ...] = ()
    """Departments whose quotas count it."""
    test: bool = False
    """Of a test key, or of an account that rehearses: nothing is counted and nothing is paid."""
    training: bool = False
    """The account rehearsed when the call was made; refused when that is otherwise by now."""
    callback_url: str = ""
    """Where the reports of these messages go."""
    joins: tuple[int, ...] = ()
    """A message put together from parts of a partner: their ids. Refused when one is part of another by now."""
    spooled: bool = False
    """Was accepted while the database was away, and comes from the spool."""
    gate: ChunkGuard | None = None
    refused: tuple[Refusal, ...] = ()
    """Recipients that were refused. A call that has nothing else is stored all the same; it costs nothing."""

    watches: tuple[Watch, ...] = ()
    """Messages whose numbers must not get too many."""
    abroad: tuple[Abroad, ...] = ()
    """Messages that go outside mainland China."""
    review: NewReview | None = None
    """It is HELD."""
    follow: NewFollow | None = None
    """What may follow its messages."""
    links: tuple[LinkRow, ...] = ()

    @property
    def first(self) -> int:
        """Id of a message of it."""
        return (self.messages or [r.message for r in self.refused])[0].id


class Entrances(Protocol):
    """Channels that have nothing to do: what they take is entered as claimed by them, and never waits in a queue."""

    def open(self, calls: Sequence[NewCall]) -> Mapping[int, Fence]:
        """By message, for which channel it is to be entered as claimed; room is kept for it there. Called at the moment
        in which it is entered, at most once in a transaction."""

    def taken(self, ids: Collection[int]) -> None:
        """The messages that were: the others are queued, because the lease of their channel was not its any more."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The call is committed; ``replay`` holds the first answer when it had been made before, as ``batch_id``."""

    batch_id: int
    replay: bytes | None = None
    present: bool = field(default=False, compare=False)
    """It had been committed before: a repeat of the transaction, or of a replay, has found it."""
    revised: bytes | None = None
    """The answer, where it is another than the call had."""
    waits: bool = field(default=True, compare=False)
    """Something of it may wait in a queue; False: channels have all of it already."""
