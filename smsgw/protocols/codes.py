"""What an answer's status means for the one who sent the request."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class CodeClass(StrEnum):
    """How to go on after an answer."""

    OK = "ok"
    #: Refused for good: the same request would be refused again.
    PERMANENT = "permanent"
    #: Not now: repeat later, a bounded number of times.
    TEMPORARY = "temporary"
    #: Too fast: slow the whole connection down, then repeat.
    THROTTLE = "throttle"
    #: The connection or its login is at fault, not the message.
    BIND = "bind"
    #: Not in the table: treat as permanent, count and show it.
    UNKNOWN = "unknown"


class Code(NamedTuple):
    """One status value: its name in the specification, and its class."""

    value: int
    name: str
    kind: CodeClass


def table(kinds: Mapping[CodeClass, Mapping[int, str]]) -> dict[int, Code]:
    """A code table from names grouped by class."""
    return {value: Code(value, name, kind) for kind, names in kinds.items() for value, name in names.items()}


def lookup(codes: Mapping[int, Code], value: int) -> Code:
    """The entry of a value; one of class UNKNOWN when the table does not have it."""
    return codes.get(value) or Code(value, f"0x{value:x}", CodeClass.UNKNOWN)
