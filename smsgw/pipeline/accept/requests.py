"""A send call on its way in, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from smsgw.core.actor import ActorLabel
from smsgw.core.fallback import Follow
from smsgw.core.frequency import Tagged
from smsgw.core.kinds import CustomKind
from smsgw.core.model import Account, MessageType, Origin
from smsgw.core.sent_links import LinkCode
from smsgw.store.messages.calls import ChunkGuard


@dataclass(frozen=True, slots=True)
class SendItem:
    """One recipient and what it gets."""

    to: str
    content: str
    client_ref: str = ""
    ext: str = ""
    extend_code: str = ""
    sign: str = ""
    template_id: int = 0
    """The content is made of this template; ``content`` is empty then."""
    params: Mapping[str, str] | None = None
    """Values of the template's variables."""
    link: LinkCode | None = None
    """The code of a short link that stands in its text; None: there is none."""


@dataclass(frozen=True, slots=True)
class SendRequest:
    """One send call, its shape already checked by the edge."""

    account: Account
    items: tuple[SendItem, ...]
    type: MessageType
    origin: Origin
    submitter: ActorLabel
    idempotency_key: str | None = None
    request_sha256: bytes = b""
    nonce: str = ""
    """Of its signature: stored with the messages, and refused when it is there already."""
    send_at: datetime | None = None
    expire_at: datetime | None = None
    batch_client_ref: str = ""
    test: bool = False
    """Of a test key, or of an account that rehearses: it goes to the simulated carrier inside the daemon, costs nothing
    and counts nowhere."""
    callback_url: str = ""
    """Where the reports go instead of the account's way; its host must be on the account's list."""
    emergency: bool = False
    """Before everything else (特发); the account needs the right."""
    ids: Sequence[int] = ()
    """Ascending, one an item: the items' messages have these, so that a row tells its message. Empty: new ones."""
    gate: Callable[[Sequence[ItemResult]], ChunkGuard] | None = None
    """Given what becomes of the items: what has to hold, and is written, in the transaction that stores them."""
    dedupe: int = 0
    """Seconds in which the same text goes to a number once, as the caller wants it; 0: it does not say."""
    reviewed: bool = False
    """A reviewer has passed what it is a part of: nobody is asked again."""
    tagged: Tagged | None = None
    """How often a number gets what has this tag, as the sender wants it; None: as the policies say."""
    prefer: str = ""
    """The pool that a message waits in where a rule of its own leads there and it has a channel; empty: the first
    rule's."""
    follow: Follow | None = None
    """What may follow the messages when they fail (消息回落)."""
    joins: tuple[int, ...] = ()
    """One recipient whose content was put together from these parts of a partner; they go over into the message."""
    kind: CustomKind | None = None
    """What kind of its ``type`` it is; None: of no kind in particular."""

    def __post_init__(self) -> None:
        if self.account.training:  # by whichever way it came: key, page, task, partner, hop, resend
            object.__setattr__(self, "test", True)

    @property
    def kind_name(self) -> str:
        """Empty: of no kind in particular."""
        return self.kind.name if self.kind is not None else ""


class ItemResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one recipient; ``to`` as given."""

    to: str
    message_id: str | None
    status: str
    parts: int
    code: str | None = None
    message: str | None = None
    message_en: str | None = None
    link: str | None = None
    """The address of the short link in its text."""


class SendResult(msgspec.Struct, frozen=True):
    """What became of a call."""

    batch_id: str
    accepted: int
    rejected: int
    items: tuple[ItemResult, ...]
    replayed: bool = False
