from __future__ import annotations

import json
from pathlib import Path

import pytest

from smsgw.core import text, udh
from smsgw.core.concat import Reassembly

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "vectors.json").read_text("utf-8"))


def test_vector_parts_of_a_long_reply_in_any_order() -> None:
    case = next(c for c in VECTORS["derived"] if c["id"] == "reassembly-1")
    pdus = {p["id"]: p["fields"] for p in VECTORS["pdus"]}
    box: Reassembly[bytes] = Reassembly()
    whole = None
    for name in case["input"]["pdus_in_order"]:
        content = bytes.fromhex(pdus[name]["Msg_Content_hex"])
        header = udh.parse(content)
        assert header.concat is not None
        concat = header.concat
        whole = box.add(concat.ref, concat.number, concat.total, content[header.length :], 0.0).whole
    assert whole is not None
    assert text.decode(b"".join(whole), text.Coding.UCS2) == case["expect"]["text"]


def test_one_of_one_needs_no_waiting() -> None:
    box: Reassembly[str] = Reassembly()
    assert box.add("k", 1, 1, "a", 0.0).whole == ("a",)
    assert len(box) == 0


def test_repeats_do_no_harm_before_and_after_completion() -> None:
    box: Reassembly[str] = Reassembly(repeat_window=10)
    assert box.add("k", 2, 2, "b", 0.0).whole is None
    assert box.add("k", 2, 2, "b", 1.0).repeated
    assert box.add("k", 1, 2, "a", 2.0).whole == ("a", "b")
    again = box.add("k", 2, 2, "b", 11.9)
    assert again.repeated
    assert again.whole is None
    assert len(box) == 0
    # later the same text under the same reference is a new message
    assert box.add("k", 2, 2, "b", 12.0).whole is None
    assert box.add("k", 1, 2, "a", 12.5).whole == ("a", "b")


def test_a_reference_used_again_gives_up_the_old_message() -> None:
    box: Reassembly[str] = Reassembly()
    box.add("k", 1, 3, "old 1", 0.0)
    added = box.add("k", 1, 3, "new 1", 1.0)
    assert [a.parts for a in added.abandoned] == [{1: "old 1"}]
    other_total = box.add("k", 1, 2, "newer 1", 1.5)
    assert [a.parts for a in other_total.abandoned] == [{1: "new 1"}]
    assert box.add("k", 2, 2, "newer 2", 2.0).whole == ("newer 1", "newer 2")
    assert box.parts_held == 0


def test_a_new_message_right_after_a_complete_one() -> None:
    box: Reassembly[str] = Reassembly()
    box.add("k", 1, 2, "a", 0.0)
    assert box.add("k", 2, 2, "b", 0.0).whole == ("a", "b")
    assert not box.add("k", 1, 2, "c", 1.0).repeated
    # its second part equals the old one, and still belongs to the new message
    assert box.add("k", 2, 2, "b", 1.0).whole == ("c", "b")


def test_expiry() -> None:
    box: Reassembly[str] = Reassembly(lifetime=100)
    assert box.deadline() is None
    box.add("old", 1, 2, "a", 0.0)
    box.add("new", 1, 2, "b", 50.0)
    assert box.deadline() == 100
    assert box.expire(99.9) == []
    given_up = box.expire(100.0)
    assert [(g.key, g.total, g.parts) for g in given_up] == [("old", 2, {1: "a"})]
    assert (len(box), box.parts_held) == (1, 1)


def test_bounded() -> None:
    box: Reassembly[int] = Reassembly(max_parts=255)
    abandoned = []
    for n in range(300):
        abandoned += box.add(n, 1, 2, n, float(n)).abandoned
        assert box.parts_held <= 255
    assert [a.key for a in abandoned] == list(range(45))


@pytest.mark.parametrize(("number", "total"), [(0, 2), (3, 2), (1, 0), (1, 256)])
def test_impossible_places_are_refused(number: int, total: int) -> None:
    with pytest.raises(ValueError, match="part"):
        Reassembly[str]().add("k", number, total, "a", 0.0)
