"""One-time passwords as RFC 6238 has them."""

from __future__ import annotations

from hashlib import sha256

import pytest

from smsgw.core import totp
from smsgw.core.merkle import EMPTY, Tree

SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("at", "code"),
    [(59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"),
     (2000000000, "69279037"), (20000000000, "65353130")],
)  # fmt: skip
def test_codes_are_the_last_six_digits_of_those_of_the_rfc(at: int, code: str) -> None:
    """Appendix B, which has eight."""
    assert totp.code_at(SECRET, at // 30) == code[2:]


def test_a_clock_may_be_off_by_one_step_either_way() -> None:
    code = totp.code_at(SECRET, 1000)
    assert [totp.step_of(SECRET, code, step * 30.0) for step in range(998, 1003)] == [None, 1000, 1000, 1000, None]


def test_a_code_counts_once() -> None:
    code = totp.code_at(SECRET, 1000)
    assert totp.step_of(SECRET, code, 30_000.0, after=999) == 1000
    assert totp.step_of(SECRET, code, 30_000.0, after=1000) is None
    assert totp.step_of(SECRET, "１２３４５６", 30_000.0) is None


def test_the_address_is_read_as_it_was_meant() -> None:
    assert totp.address("ABC", "li@example.org", " 短信: A&B ") == (
        "otpauth://totp/%E7%9F%AD%E4%BF%A1%20A%26B:li%40example.org?secret=ABC&issuer=%E7%9F%AD%E4%BF%A1%20A%26B"
    )


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
