"""The cookie by which a person's own devices are known."""

from __future__ import annotations

from smsgw.admin.devices import DAYS, MAX_PEOPLE, Devices
from smsgw.store.engine.secrets import Sealer

NOW = 1_800_000_000.0


def test_a_device_is_known_for_its_own_person_on_every_node_and_for_a_time() -> None:
    cookie = Devices(Sealer(b"k" * 32)).renew("", "zhang", NOW)
    other_node = Devices(Sealer(b"k" * 32))
    device = other_node.find(cookie, "zhang", NOW)
    assert device
    assert other_node.find(cookie, "li", NOW) == ""
    assert other_node.find(cookie, "zhang", NOW + DAYS * 86_400) == ""
    renewed = other_node.renew(cookie, "zhang", NOW + 86_400)
    assert renewed != cookie
    assert other_node.find(renewed, "zhang", NOW + DAYS * 86_400) == device, "still the same device"
    assert len(renewed.split(".")) == 1


def test_what_we_have_not_made_is_nobodys() -> None:
    devices = Devices(Sealer(b"k" * 32))
    forged = Devices(Sealer(b"x" * 32)).renew("", "zhang", NOW)
    good = devices.renew("", "zhang", NOW)
    for cookie in (forged, good[:-2], "A" * 75, "é.%.!", "." * 5000, "x" * 100_000, f"{good[:40]}.{good[40:]}"):
        assert devices.find(cookie, "zhang", NOW) == ""
    assert devices.find(f"{forged}.{good}", "zhang", NOW), "beside a good one rubbish is harmless"


def test_people_who_share_a_browser_are_all_known_and_its_cookie_stays_small() -> None:
    devices = Devices(Sealer(b"k" * 32))
    cookie = ""
    for n in range(10):
        cookie = devices.renew(cookie, f"user{n}", NOW)
    known = [bool(devices.find(cookie, f"user{n}", NOW)) for n in range(10)]
    assert known == [False] * (10 - MAX_PEOPLE) + [True] * MAX_PEOPLE
    assert len(cookie) < 400
