"""States of parts in statements: written by name, sent as the numbers that partial indexes are made with."""

from __future__ import annotations

import re

from smsgw.core.states import PartState

_NAME = re.compile(rf"(?<![:\w]):({'|'.join(PartState.__members__)})\b")


def by_name(statement: str) -> str:
    """The statement with the number of a ``PartState`` for each ``:NAME`` of one.

    The numbers stand in the text and are no parameters: a plan for any value of a parameter uses no partial index.
    Where a statement comes back to rows by their key, it says ``+p.state``: the sign keeps partial indexes out of the
    plan. On a day that has just begun their few rows look as cheap as the key, and the plan then stays when each row
    must be compared with thousands.
    """
    return _NAME.sub(lambda found: str(PartState[found[1]].value), statement)
