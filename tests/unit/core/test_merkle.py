"""The tree against the roots that RFC 6962's authors have published, and against its definition."""

from __future__ import annotations

from hashlib import sha256

import pytest

from smsgw.core.merkle import EMPTY, Tree

LEAVES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


@pytest.mark.parametrize("n", ROOTS)
def test_roots_are_those_of_the_rfc(n: int) -> None:
    tree = Tree()
    for leaf in LEAVES[:n]:
        tree.add(leaf)
    assert (tree.leaves, tree.root.hex()) == (n, ROOTS[n])


def _defined(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word."""
    if not leaves:
        return EMPTY
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + _defined(leaves[:k]) + _defined(leaves[k:])).digest()


def test_any_number_of_leaves() -> None:
    tree, leaves = Tree(), list[bytes]()
    for n in range(200):
        assert tree.root == _defined(leaves)
        leaves.append(b"%d" % n)
        tree.add(leaves[-1])
