"""A Merkle tree as of RFC 6962 (2.1), leaf by leaf, in as much memory as the tree is high."""

from __future__ import annotations

from hashlib import sha256

EMPTY = sha256().digest()
"""The root of a tree without leaves."""


class Tree:
    """Takes leaves in their order and tells the root of those that it has."""

    def __init__(self) -> None:
        self.leaves = 0
        self._peaks: list[bytes] = []
        """Roots of the whole trees within it, the largest first: one for each bit that is set in ``leaves``."""

    def add(self, leaf: bytes) -> None:
        """One leaf more."""
        node = sha256(b"\0" + leaf).digest()
        left = self.leaves
        while left & 1:
            node = sha256(b"\1" + self._peaks.pop() + node).digest()
            left >>= 1
        self._peaks.append(node)
        self.leaves += 1

    @property
    def root(self) -> bytes:
        """Of all leaves so far."""
        if not self._peaks:
            return EMPTY
        *rest, node = self._peaks
        for peak in reversed(rest):
            node = sha256(b"\1" + peak + node).digest()
        return node
