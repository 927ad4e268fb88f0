"""Handles: what an edge is given, passes on to services, and never looks into.

Portal, API and command line import no store; these names are all of it that they need, for what they hold and for
what they catch. That they ask a database nothing themselves is held by ``tests/unit/test_house.py``.
"""

from __future__ import annotations

from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import KeyFileError, Sealer

__all__ = ("Database", "KeyFileError", "Sealer")
