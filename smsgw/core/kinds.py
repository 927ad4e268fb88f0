"""Business kinds that the operator has made beside the fixed types (业务类型): each is of a type, which decides its
lane, its price and what the law asks, and has policies, rules of routes and figures of its own (docs/adr/086)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from smsgw.core.errors import Invalid
from smsgw.core.model import MessageType
from smsgw.core.words import phrase

NAME = re.compile(r"[a-z][a-z0-9_]{1,31}", re.ASCII)
TYPES = frozenset(MessageType)
RESERVED = TYPES | {"all", "any", "other", "default"}
"""No kind is called so."""
MOST_LABEL = 12
MOST = 50
"""Kinds, retired ones among them: there is a row of policies and a line of each report for every one."""


@dataclass(frozen=True, slots=True)
class CustomKind:
    """One of them."""

    name: str
    """As calls and records have it: for good."""
    label: str
    """As people read it."""
    base: MessageType
    retired: bool = False
    """Nothing new is sent of it; what was sent is still counted by it."""


Kinds = Mapping[str, CustomKind]
"""By name, in the order of names."""


def known(kinds: Kinds) -> list[str]:
    """What a call may name: the fixed types and the kinds in use."""
    return [*MessageType, *(one.name for one in kinds.values() if not one.retired)]


def resolve(kinds: Kinds, name: str, field: str = "type") -> tuple[MessageType, CustomKind | None]:
    """The type that a name stands for, and the kind; None: it is a type. ``PARAM_INVALID`` for what is neither, and for
    a kind that is retired."""
    if name in TYPES:
        return MessageType(name), None
    found = kinds.get(name)
    if found is None:
        raise Invalid("PARAM_INVALID", field=field, reason=phrase("choice.of", known=", ".join(known(kinds))))
    if found.retired:
        raise Invalid("PARAM_INVALID", field=field, reason=phrase("kind.retired", name=name))
    return found.base, found


def is_type(name: str, kinds: Collection[str]) -> bool:
    """Whether it is a type, or one of these kinds."""
    return name in TYPES or name in kinds
