"""Chains of hops (消息回落) as calls have them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from smsgw.api.shapes import Id, Request, Text
from smsgw.api.values import id_of
from smsgw.core.fallback import MOST_HOPS, MOST_MINUTES, MOST_POOL, USUAL_MINUTES, Chain, chain_of


class HopBody(Request):
    """What follows a message that has definitely failed; never one that may have arrived."""

    content: Annotated[Text, Meta(description="The text; {name} as in the first message.")] | None = None
    template_id: Annotated[Id, Meta(description="An approved template, instead of content.")] | None = None
    sign: Annotated[str, Meta(max_length=22, description="Empty: that of the message before.")] = ""
    prefer: Annotated[
        str, Meta(max_length=MOST_POOL, description="Pool of channels to prefer where routing allows it.")
    ] = ""
    when: Annotated[
        Literal["any", "failed", "expired"],
        Meta(description="After which failure: any, refused or reported as failed, or its time was over."),
    ] = "any"
    kind: Annotated[Literal["sms"], Meta(description="Kind of message.")] = "sms"


class FallbackBody(Request):
    """What follows a message that has definitely failed, hop by hop, until one has arrived."""

    hops: Annotated[list[HopBody], Meta(min_length=1, max_length=MOST_HOPS, description="In order.")]
    minutes: Annotated[
        int, Meta(ge=1, le=MOST_MINUTES, description="From the first message on; no hop is taken after.")
    ] = USUAL_MINUTES


def plain(body: FallbackBody | None) -> dict[str, Any] | None:
    """As the engine takes it; ids are numbers."""
    if body is None:
        return None
    hops = [msgspec.structs.asdict(hop) | {"template_id": id_of(hop.template_id)} for hop in body.hops]
    return {"hops": hops, "minutes": body.minutes}


def chain(body: FallbackBody | None) -> Chain | None:
    """The same, checked. ``PARAM_INVALID``."""
    given = plain(body)
    return None if given is None else chain_of(given)


def told(kept: dict[str, Any] | None) -> dict[str, Any] | None:
    """A chain as calls tell it; ids are strings."""
    if kept is None:
        return None
    ids = [None if hop["template_id"] is None else str(hop["template_id"]) for hop in kept["hops"]]
    hops = [hop | {"template_id": id_} for hop, id_ in zip(kept["hops"], ids, strict=True)]
    return {"hops": hops, "minutes": kept["minutes"]}
