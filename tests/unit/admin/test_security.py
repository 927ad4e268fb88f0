"""Hashes, origins, rights: what needs no database."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from smsgw.admin import app, rights
from smsgw.admin.call import local_path
from smsgw.admin.hashing import hash_password
from smsgw.admin.security import masked, same_origin, same_token
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


def test_a_token_looks_different_in_each_answer_and_fits_masked_only() -> None:
    token = "0123456789abcdefABCDEF_-01234567"
    shown = {masked(token) for _ in range(50)}
    assert len(shown) == 50
    assert all(same_token(token, one) for one in shown)
    assert not any(token in one for one in shown)
    for wrong in (token, masked(token[:-1] + "x"), masked(token)[:-4], "\udcff", "字", "=", "a"):
        assert not same_token(token, wrong), wrong
    assert not same_token("", "")
    assert not same_token("a", None)
    assert not same_token("", masked(""))


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "https://evil.example", "", None, "/a\r\nX: 1"])
def test_onward_addresses_stay_here(path: str | None) -> None:
    assert local_path(path) == "/"


def test_every_address_stands_behind_a_right_or_is_meant_for_all() -> None:
    public = {(r.method, r.path) for r in app.routes() if r.action == rights.PUBLIC}
    known = {("GET", "/login"), ("POST", "/login"), ("POST", "/language"), ("POST", "/theme")}
    step = {("GET", "/login/step"), ("POST", "/login/step"), ("POST", "/login/step/sms"),
            ("POST", "/login/step/passkey"), ("POST", "/login/cancel"), ("POST", "/login/enrol"),
            ("POST", "/login/enrol/confirm")}  # fmt: skip
    first = {(m, p) for m in ("GET", "POST") for p in ("/setup", "/setup/brand", "/setup/administrator")}
    screen = {("GET", "/wall"), ("POST", "/wall"), ("GET", "/wall/live")}
    assert public - step - first - screen == known, (
        "a step of a login asks for that login, the first run for its code, a screen for its own"
    )
    own = {(r.method, r.path) for r in app.routes() if r.action == rights.SELF}
    others = {path for _, path in own if not path.startswith(("/me/", "/proof"))}
    assert others == {"/logout", "/password", "/menu/badges", "/me"}


def test_a_page_needs_a_permission_that_there_is() -> None:
    for wrong in ("no.such", "home.view", "public"):
        with pytest.raises(ValueError, match="no permission"):
            rights.route("GET", "/x", wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="changed by POST"):
        rights.route("DELETE", "/x", Permission.HOME_VIEW)


P = Permission


@pytest.mark.parametrize("permission", [P.KEY_EDIT, P.PARTNER_EDIT, P.WEBHOOK_EDIT, P.BALANCE_EDIT, P.CHANNEL_EDIT])
def test_whoever_makes_a_way_in_or_out_shows_an_app_or_a_passkey(permission: P) -> None:
    """Keys, logins of partners, addresses that messages are sent to, money, carriers."""
    made = rights.Route("POST", "/somewhere", permission, app.routes()[0].handler, passive=False)
    assert made.proof is rights.Proof.FACTOR
