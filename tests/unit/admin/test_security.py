"""Hashes, origins, rights: what needs no database."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from smsgw.admin import app, menu, rights
from smsgw.admin.call import local_path
from smsgw.admin.hashing import hash_password
from smsgw.admin.security import same_origin, same_token
from smsgw.core.permissions import Permission


def test_hashes_are_argon2id_with_the_chosen_cost() -> None:
    assert hash_password("x").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize(
    ("headers", "fine"),
    [
        ({}, True),
        ({"Origin": "https://sms.example"}, True),
        ({"Origin": "https://SMS.example", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "https://sms.example"}, False),
    ],
)
def test_origin(headers: dict[str, str], fine: bool) -> None:
    request = make_mocked_request("POST", "/send", headers={"Host": "sms.example"} | headers)
    assert same_origin(request) is fine


def test_an_empty_token_never_fits() -> None:
    assert not same_token("", "")
    assert not same_token("a", None)
    assert same_token("a", "a")


@pytest.mark.parametrize(
    "path", ["//evil.example", "/\\evil.example", "https://evil.example", "", None, "/a\r\nX: 1"]
)
def test_onward_addresses_stay_here(path: str | None) -> None:
    assert local_path(path) == "/"


def test_every_address_stands_behind_a_right_or_is_meant_for_all() -> None:
    public = {(r.method, r.path) for r in app.routes() if r.action == rights.PUBLIC}
    assert public == {("GET", "/login"), ("POST", "/login"), ("POST", "/language")}
    own = {(r.method, r.path) for r in app.routes() if r.action == rights.SELF}
    assert own == {("POST", "/logout"), ("GET", "/password"), ("POST", "/password")}


def test_a_page_needs_a_permission_that_there_is() -> None:
    for wrong in ("no.such", "home.view", "public"):
        with pytest.raises(ValueError, match="no permission"):
            rights.route("GET", "/x", wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="changed by POST"):
        rights.route("DELETE", "/x", Permission.HOME_VIEW)


def test_the_menu_shows_only_what_one_may_open() -> None:
    def paths(*permissions: Permission) -> list[str]:
        groups = menu.menu_for(permissions)
        assert all(group.entries for group in groups)
        return [entry.path for group in groups for entry in group.entries]

    assert paths() == []
    assert paths(Permission.HOME_VIEW) == ["/"]
    assert paths(Permission.MESSAGE_VIEW) == ["/records"]
    assert paths(*Permission) == ["/", "/send", "/records"]
