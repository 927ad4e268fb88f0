"""Differences between route tables, and two people's changes of one."""

from __future__ import annotations

from typing import Any

from smsgw.core.route_edit import differences, merge, tidy


def table(*rules: str, pools: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    """Rules of these names for an account of the name each, to the pool ``own`` or as ``changed`` says."""
    found = {"own": ["a"]} if pools is None else pools
    return {
        "pool": [{"name": name, "channels": channels} for name, channels in found.items()],
        "rule": [{"name": one, "account": [one], "pool": changed.get(one, "own")} for one in rules],
    }


def told(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one.kind, one.name, one.what) for one in differences(before, after)]


def test_what_means_the_same_is_no_difference() -> None:
    short = {"pool": [{"name": "own", "channels": ["a"]}], "rule": [{"name": "x", "account": "shop", "pool": "own"}]}
    long = {
        "rule": [{"pool": "own", "account": ["shop"], "name": "x"}],
        "pool": [{"channels": [{"standby": False, "name": "a", "weight": 1}], "name": "own"}],
    }
    assert differences(short, long) == []
    assert tidy(short) == tidy(long)
    assert differences({}, {"pool": [], "rule": []}) == []


def test_what_was_added_removed_changed_and_moved() -> None:
    before = table("x", "y", "z", pools={"own": ["a"], "old": ["b"]})
    after = table("z", "x", "new", pools={"own": ["a", {"name": "b", "standby": True}]}, x="CMCC")
    assert told(before, after) == [
        ("pool", "own", "changed"), ("pool", "old", "removed"),
        ("rule", "z", "moved"), ("rule", "x", "changed"), ("rule", "new", "added"), ("rule", "y", "removed"),
    ]  # fmt: skip


def test_changes_of_two_people_come_together() -> None:
    base = table("x", "y")
    mine = table("x", "mine", "y", y="CMCC")
    theirs = table("theirs", "x", "y", pools={"own": ["a", "b"]})
    found = merge(base, mine, theirs)
    assert found.clashes == ()
    assert [rule["name"] for rule in found.document["rule"]] == ["theirs", "x", "mine", "y"]
    assert found.document["rule"][3]["pool"] == "CMCC"
    assert [m["name"] for m in found.document["pool"][0]["channels"]] == ["a", "b"]
    assert merge(base, base, theirs).document == tidy(theirs)
    assert merge(base, mine, base).document == tidy(mine)


def test_what_both_have_changed_is_mine_and_is_named() -> None:
    base = table("x", "y", "z")
    mine = table("x", "z", x="CMCC")
    theirs = table("x", "y", x="CTCC", y="CUCC")
    found = merge(base, mine, theirs)
    assert found.clashes == (("rule", "x"), ("rule", "y"))
    assert [(rule["name"], rule["pool"]) for rule in found.document["rule"]] == [("x", "CMCC")]


def test_a_pool_that_a_rule_still_leads_to_is_not_lost() -> None:
    base = table("x", pools={"own": ["a"], "spare": ["b"]})
    mine = table("x", "new", pools={"own": ["a"], "spare": ["b"]}, new="spare")
    theirs = table("x")
    found = merge(base, mine, theirs)
    assert {pool["name"] for pool in found.document["pool"]} == {"own", "spare"}


def test_an_order_that_somebody_has_changed_is_kept() -> None:
    base = table("x", "y", "z")
    assert [r["name"] for r in merge(base, table("z", "x", "y"), table("x", "y", "z", "w")).document["rule"]] == [
        "z", "w", "x", "y"]  # fmt: skip
    assert [r["name"] for r in merge(base, table("x", "y", "z", "w"), table("y", "x", "z")).document["rule"]] == [
        "y", "x", "z", "w"]  # fmt: skip
