"""The menu from what pages declare, and pages found by folder."""

from __future__ import annotations

import re

import pytest

from smsgw.admin.kit import discovery, people
from smsgw.admin.kit.menu import Entry, menu_for
from smsgw.admin.pages.people.roles import GIVEN
from smsgw.admin.rights import PROOFS
from smsgw.admin.words.menu import ENTRIES, GROUPS, PERSONAL, Side
from smsgw.admin.words.pinyin import PINYIN
from smsgw.core.permissions import Permission, duties_of, with_implied

P = Permission


def paths(*permissions: Permission) -> list[str]:
    menu = menu_for(discovery.entries(), permissions)
    assert all(group.entries for group in menu.groups)
    return [entry.path for group in menu.groups for entry in group.entries]


def test_the_menu_shows_only_what_one_may_open() -> None:
    assert paths() == []
    assert paths(P.HOME_VIEW) == ["/", "/duty"], "whom to turn to is for everybody"
    assert paths(P.MESSAGE_VIEW) == ["/records"]
    everything = paths(*Permission)
    assert [p for p in everything if p in ("/", "/send", "/records")] == ["/", "/send", "/records"]


def test_every_entry_leads_to_a_page_of_its_own_address() -> None:
    reached = {(r.path, r.action) for r in discovery.routes() if r.method == "GET"}
    for entry in discovery.entries():
        assert (entry.path, entry.permission) in reached, entry
    keys = [entry.key for entry in discovery.entries()]
    assert len(keys) == len(set(keys))
    routes = discovery.routes()
    assert len({(r.method, r.path) for r in routes}) == len(routes)
    with_place = ["{" in r.path for r in routes]
    assert with_place == sorted(with_place)


def test_every_permission_opens_something_by_itself() -> None:
    for permission in GIVEN:
        may = with_implied({permission})
        open_ = {entry.path for entry in discovery.entries() if entry.permission in may | {P.SELF_EDIT}}
        assert permission in people.governed(), f"{permission}: no page asks for it"
        assert open_ - {"/notices", "/duty"}, f"{permission}: no way leads to what it is for"


def test_what_a_permission_implies_goes_no_further_than_it_must() -> None:
    assert with_implied({P.ACCOUNT_STOP}) == {P.ACCOUNT_STOP, P.ACCOUNT_VIEW}
    assert with_implied({P.PERSON_RESET}) == {P.PERSON_RESET, P.PERSON_VIEW}
    assert with_implied({P.MESSAGE_SEND}) == {P.MESSAGE_SEND}, "who sends need not see records"
    for permission in P:
        more = with_implied({permission}) - {permission}
        assert duties_of(more) <= duties_of({permission}), permission
        assert not PROOFS.keys() & more, f"{permission}: nobody asks who it is"


def test_groups_and_entries_have_their_words() -> None:
    assert {key.partition(".")[0] for key in ENTRIES} == GROUPS.keys()
    with pytest.raises(ValueError, match="no such entry"):
        Entry("records.nothing", "/nothing", P.HOME_VIEW)


def test_the_longest_beginning_of_the_address_is_where_one_is() -> None:
    entries = [
        Entry("home.workbench", "/", P.HOME_VIEW), Entry("records.sent", "/records", P.HOME_VIEW),
        Entry("records.daily", "/records/daily", P.HOME_VIEW), Entry("routing.channels", "/channels", P.HOME_VIEW),
    ]  # fmt: skip
    for path, key, side in (
        ("/", "home.workbench", Side.BUSINESS), ("/records/17", "records.sent", Side.BUSINESS),
        ("/records/daily/x", "records.daily", Side.BUSINESS), ("/channels/1", "routing.channels", Side.OPERATIONS),
    ):  # fmt: skip
        menu = menu_for(entries, {P.HOME_VIEW}, path)
        assert menu.here.here
        assert menu.here.here.key == key
        assert menu.side is side
    assert menu_for(entries, {P.HOME_VIEW}, "/recordsx").here is None
    assert menu_for(entries, {P.HOME_VIEW}).sides == (Side.BUSINESS, Side.OPERATIONS)
    assert menu_for(entries, {P.HOME_VIEW}, "/").opened == "records"
    assert menu_for(entries, {P.HOME_VIEW}).first(Side.OPERATIONS) == "/channels"


def test_a_shortcut_stands_in_the_menu_and_its_page_where_it_belongs() -> None:
    menu = menu_for(discovery.entries(), Permission, "/staff/17")
    assert menu.entry.key == "people.staff"
    area = next(group for group in menu.groups if group.key == "area")
    assert [(entry.label, entry.path) for entry in area.entries] == [
        ("签名设置", "/signs"), ("部门管理", "/departments"), ("人员管理", "/staff"), ("平台设置", "/platform"),
    ]  # fmt: skip
    assert all(entry.shortcut for entry in area.entries)


def test_every_label_of_the_menu_is_found_by_its_pinyin() -> None:
    """A new label without it would be found by who types Chinese alone: scripts/pinyin."""
    labels = {words.label for words in (*ENTRIES.values(), *GROUPS.values())} | set(PERSONAL.values())
    assert sorted(labels - PINYIN.keys()) == []
    for label in labels:
        spoken = re.findall(r"[\u4e00-\u9fff]|[A-Za-z0-9]+", label)
        assert len(PINYIN[label].split()) == len(spoken), label
        assert re.fullmatch(r"[a-z0-9]+( [a-z0-9]+)*", PINYIN[label]), label
