"""PostgreSQL releases that must not carry the ledger.

PostgreSQL 18.0 to 18.6 prune partitions at run time with memory that an EvalPlanQual recheck has freed: the session
crashes and takes the whole server down for a moment, or rows are passed over. Upstream commit 1b5dd3a (October 2026)
mends it; 15, 16 and 17 do not have the fault (docs/adr/103).
"""

from __future__ import annotations

import re

_FIRST, _FIXED = (18, 0), (18, 7)


def is_faulty(version: str) -> bool:
    """Whether a server that calls itself ``version`` (``18.4``, ``17.12 (Debian …)``) has the fault."""
    found = re.match(r"(\d+)(?:\.(\d+))?", version)
    return found is not None and _FIRST <= (int(found[1]), int(found[2] or 0)) < _FIXED
