"""Ids and times, one-time passwords, and the tree and the verification of the audit log."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from hashlib import sha256

import pytest

from smsgw.core import totp
from smsgw.core.audit import MAX_PROBLEMS, Report
from smsgw.core.errors import Temporary
from smsgw.core.ids import AHEAD, CHINA, EPOCH_MS, IdSource, first_id, time_of
from smsgw.core.merkle import EMPTY, Tree
from smsgw.core.moments import FIRST, LAST, day, iso, minute, nearest


def test_ids_go_up_whatever_the_clock_does() -> None:
    clock = [EPOCH_MS + 1000]
    source = IdSource(3, lambda: clock[0])
    ids = [source.next() for _ in range(9000)]
    clock[0] -= 3_600_000
    ids += [source.next() for _ in range(9000)]
    assert ids == sorted(set(ids))
    assert {i >> 12 & 0x3FF for i in ids} == {3}
    assert (time_of(ids[-1]).timestamp() * 1000 - EPOCH_MS) - 1000 < 6
    for node in (-1, 1024):  # a node number that does not fit
        with pytest.raises(ValueError, match="node number"):
            IdSource(node, lambda: 0)
    clock = [EPOCH_MS + 1000]  # a block has no gap and stays in its millisecond
    source = IdSource(3, lambda: clock[0])
    given = []
    for size in (1, 100, 4000, 4096, 1):
        first = source.block(size)
        given += range(first, first + size)
        assert first >> 12 == (first + size - 1) >> 12
    assert given == sorted(set(given))
    assert source.next() > given[-1]
    with pytest.raises(ValueError, match="block"):
        source.block(4097)


def test_a_clock_that_is_behind_what_was_made_before() -> None:
    clock = [EPOCH_MS + 1_000_000]
    before = IdSource(3, lambda: clock[0])
    made = [before.next() for _ in range(5000)]
    clock[0] -= 500_000
    after = IdSource(3, lambda: clock[0], after=made[-1])
    assert after.last > made[-1], "what it may have made since it was last heard of is not known"
    now = datetime.fromtimestamp(clock[0] / 1000, UTC)
    again = [after.next() for _ in range(5000)]
    assert again == sorted(set(again))
    assert again[0] > made[-1]
    assert after.newest(now - timedelta(days=1)) == again[-1], "what was made is not beyond what can be queued"
    assert IdSource(3, lambda: clock[0] + 600_000, after=made[-1]).last == 0


def test_ids_of_other_nodes_exist_and_a_lost_number_makes_no_more() -> None:
    source = IdSource(3, lambda: EPOCH_MS)
    now = datetime(2024, 1, 1, tzinfo=UTC)
    assert source.newest(now) == first_id(now + AHEAD)
    far = first_id(now + timedelta(days=3)) + 7
    source.seen(far)
    source.seen(5)
    assert source.newest(now) == source.newest_made == far
    source = IdSource(3, lambda: EPOCH_MS)  # a number that is anothers makes no more ids
    source.revoke()
    for make in (source.next, lambda: source.block(3)):
        with pytest.raises(Temporary, match="请"):
            make()


FAR = [timezone(timedelta(hours=hours)) for hours in (-14, 0, 14)]


def test_a_time_beyond_the_bounds_is_the_bound() -> None:
    for zone in FAR:
        for at, bound in ((datetime.min, FIRST), (datetime.max, LAST)):
            found = nearest(at.replace(tzinfo=zone))
            assert found == bound
            assert found.astimezone(CHINA) == bound  # it can be shown
        assert nearest(datetime(2026, 5, 1, tzinfo=zone)) == datetime(2026, 5, 1, tzinfo=zone)
    assert [nearest(d) for d in (date.min, date(2026, 5, 1), date.max)] == [  # so is a day
        date(2000, 1, 1), date(2026, 5, 1), date(2099, 12, 31),
    ]  # fmt: skip
    assert type(nearest(date.max)) is date
    assert minute("9999-12-31 23:59") == iso("9999-12-31T23:59:59.999999-14:00") == LAST
    assert day("9999-12-31") == LAST.date()
    assert iso("2026-05-01T09:00") == iso("2026-05-01T01:00:00Z") == datetime(2026, 5, 1, 1, tzinfo=UTC)
    for read, text in ((minute, "0001-01-01 00:00"), (day, "1999-12-31"), (iso, "0001-01-01T00:00:00+14:00")):
        with pytest.raises(ValueError, match="2000-01-01"):
            read(text)


SECRET = b"12345678901234567890"


def test_codes_are_those_of_the_rfc_and_count_once() -> None:
    """Appendix B, which has eight."""
    for at, code in (
        (59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"),
        (2000000000, "69279037"), (20000000000, "65353130"),
    ):  # fmt: skip
        assert totp.code_at(SECRET, at // 30) == code[2:]
    code = totp.code_at(SECRET, 1000)  # a clock may be off by one step either way
    assert [totp.step_of(SECRET, code, step * 30.0) for step in range(998, 1003)] == [None, 1000, 1000, 1000, None]
    code = totp.code_at(SECRET, 1000)  # a code counts once
    assert totp.step_of(SECRET, code, 30_000.0, after=999) == 1000
    assert totp.step_of(SECRET, code, 30_000.0, after=1000) is None
    assert totp.step_of(SECRET, "１２３４５６", 30_000.0) is None
    assert totp.address("ABC", "li@example.org", " 短信: A&B ") == (  # the address is read as it was meant
        "otpauth://totp/%E7%9F%AD%E4%BF%A1%20A%26B:li%40example.org?secret=ABC&issuer=%E7%9F%AD%E4%BF%A1%20A%26B"
    )


LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def test_roots_are_those_of_the_rfc() -> None:
    for n in ROOTS:
        tree = Tree()
        for leaf in LEAVES[:n]:
            tree.add(leaf)
        assert (tree.leaves, tree.root.hex()) == (n, ROOTS[n])
    tree, leaves = Tree(), list[bytes]()  # any number of leaves
    for n in range(200):
        assert tree.root == _defined(leaves)
        leaves.append(b"%d" % n)
        tree.add(leaves[-1])


def _defined(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word."""
    if not leaves:
        return EMPTY
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + _defined(leaves[:k]) + _defined(leaves[k:])).digest()


def test_what_a_verification_finds_is_told_in_few_lines() -> None:
    report = Report()
    report.add("deleted", 5)
    report.add("deleted", 6)
    report.add("gap", 7, last=9)
    report.add("gap", 10, last=12)
    report.add("gap", 14)
    report.add("edited", 15)
    report.add("edited", 16, "by hand")
    spans = [(p.kind, p.first, p.last, p.detail) for p in report.problems]
    assert spans == [
        ("deleted", 5, 6, ""), ("gap", 7, 12, ""), ("gap", 14, 14, ""), ("edited", 15, 15, ""),
        ("edited", 16, 16, "by hand"),
    ]  # fmt: skip
    assert str(report.problems[1]).startswith("links 7 to 12 are missing")
    report = Report()  # what is not told one by one is counted and not taken for known
    for number in range(MAX_PROBLEMS + 3):
        report.add("edited", 2 * number)
    report.add("edited", 2 * (MAX_PROBLEMS - 1) + 1)
    assert (len(report.problems), report.more) == (MAX_PROBLEMS, 3), "the last one was a neighbour"
    for problem in report.problems:
        problem.known = "li"
    assert not report.sound
    report.more = 0
    assert report.sound
