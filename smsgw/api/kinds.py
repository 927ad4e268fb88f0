"""``/kinds``: what a call may name as the ``type`` of a message."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from smsgw.api.context import Call
from smsgw.api.route import Route
from smsgw.core.model import MessageType
from smsgw.core.words import chinese_of


class KindEntry(msgspec.Struct):
    """A type, or a kind of the operator's."""

    name: Annotated[str, Meta(description="What calls give as `type`; for good.")]
    label: Annotated[str, Meta(description="What people read; it may change.")]
    base: Annotated[MessageType, Meta(description="The type that decides its lane and price; a type's is itself.")]


class KindList(msgspec.Struct):
    """All that may be named now: the three types, then the kinds in use by their names."""

    items: list[KindEntry]


async def list_kinds(call: Call) -> KindList:
    """``GET /kinds``."""
    labels = chinese_of("type")
    found = [KindEntry(one, labels[one], one) for one in MessageType]
    kinds = call.ctx.snapshots.current.kinds.values()
    return KindList([*found, *(KindEntry(one.name, one.label, one.base) for one in kinds if not one.retired)])


ROUTES = (Route("GET", "/kinds", "send", list_kinds, "What a message may be of", KindList),)
