"""The first run behind the login: channel, account and signature, a test; each by itself, all in the audit log."""

from __future__ import annotations

import json

import pytest
from browsing import Browser
from changes import by_test
from portal_site import Site
from visits import boss, fails

from smsgw.core.errors import Refused
from smsgw.platform.channels import service as channels
from smsgw.store.config.channels import SECRET, profile_context
from smsgw.store.engine.secrets import Sealer

__all__ = ["boss"]

SEALER = Sealer(b"k" * 32)
REAL = {"name": "mobile-1", "host": "192.0.2.1", "port": "7890", "username": "900001", "password": "se cret",
        "rate": "0", "connections": "1", "window": "16"}  # fmt: skip
SIMULATE = "/setup/channel/new/simulated"


pytestmark = pytest.mark.staff(boss="super", clerk=("operator", "hall"))


async def stop_all(site: Site) -> None:
    await site.db.execute("UPDATE channel SET desired = 'stopped', version = nextval('config_version')")


async def test_a_simulated_channel_stands_in_and_goes_when_a_real_one_comes(site: Site, boss: Browser) -> None:
    assert "不能同时启用" in await boss.refusal(SIMULATE, {})
    await stop_all(site)
    page = await boss.post(SIMULATE, {})
    assert boss.path == "/setup/channel"
    assert "不会到达任何手机" in page
    page = await boss.post("/setup/channel/new/cmpp30", REAL)
    assert boss.path == "/setup/channel"
    assert "仿真通道已停用" in page
    rows = await site.db.fetch("SELECT name, desired, host, profile FROM channel WHERE id > 0 ORDER BY name")
    assert {r["name"]: r["desired"] for r in rows} == {"mobile-1": "started", "mobile-a": "stopped",
                                                       "simulated": "stopped"}  # fmt: skip
    assert [r["name"] for r in rows if json.loads(r["profile"]).get("simulated")] == ["simulated"]


async def test_a_channel_that_is_wrong_is_told_at_its_fields_and_makes_nothing(site: Site, boss: Browser) -> None:
    page = await boss.refusal("/setup/channel/new/sgip12", REAL | {"name": "x y", "port": "0", "sgip_listen": "8801"})
    for field in ("name", "port", "sgip_listen", "node"):
        assert f'id="{field}-problem"' in page, field
    assert "se cret" not in page
    assert 'id="name-problem"' in await boss.refusal("/setup/channel/new/cmpp30", REAL | {"name": "mobile-a"})
    assert await site.db.fetchval("SELECT count(*) FROM channel WHERE id > 0") == 1


async def test_a_channel_is_mended_and_keeps_what_the_form_does_not_say(site: Site, boss: Browser) -> None:
    profile = {"keepalive": 20, SECRET: "gateway's", "node": 3021012345, "sgip_listen": "0.0.0.0:8801"}
    fields = {"protocol": "sgip12", "host": "192.0.2.1", "port": 8801, "username": "u", "password": "p",
              "profile": profile, "desired": "stopped"}  # fmt: skip
    id_ = await channels.add(by_test(site.db), SEALER, "unicom", fields)
    page = await boss.get(f"/setup/channel/{id_}")
    assert 'value="3021012345"' in page
    assert "gateway" not in page.partition("<form")[2].partition("</form>")[0].replace("gateway-", "")
    form = {"host": "192.0.2.2", "port": "8801", "username": "u", "rate": "0", "connections": "1", "window": "16",
            "node": "3021012346", "sgip_listen": "0.0.0.0:8801"}  # fmt: skip
    page = await boss.post(f"/setup/channel/{id_}", form)
    assert (boss.status, "请重新填写接入密码" in page) == (422, True), "the stored one goes nowhere else"
    assert await boss.status_of(f"/setup/channel/{id_}", form | {"host": "192.0.2.1", "port": "8802"}) == 422
    await boss.post(f"/setup/channel/{id_}", form | {"password": "new"})
    assert boss.path == "/setup/channel"
    await boss.post(f"/setup/channel/{id_}", form)
    assert boss.path == "/setup/channel", "with the same address it is kept"
    row = await site.db.fetchrow("SELECT host, profile FROM channel WHERE id = $1", id_)
    stored = json.loads(row["profile"])
    assert (row["host"], stored["node"], stored["keepalive"]) == ("192.0.2.2", 3021012346, 20)
    assert SEALER.open(bytes.fromhex(stored[SECRET]), profile_context("unicom")) == "gateway's"


async def test_real_and_simulated_never_run_together_whoever_starts_them(site: Site) -> None:
    fields = {"protocol": "cmpp30", "host": "localhost", "port": 7890, "username": "u", "password": "",
              "profile": {"simulated": True}}  # fmt: skip
    await fails(Refused, channels.add(by_test(site.db), SEALER, "simulated", fields), code="STATE_CONFLICT")
    await channels.add(by_test(site.db), SEALER, "simulated", fields | {"desired": "stopped"})
    await fails(Refused, channels.edit(by_test(site.db), SEALER, "simulated", {"desired": "started"}))
    await channels.edit(by_test(site.db), SEALER, "mobile-a", {"desired": "draining"})
    await channels.edit(by_test(site.db), SEALER, "simulated", {"desired": "started"})


async def test_account_signature_and_test_message(site: Site, boss: Browser) -> None:
    assert "初始化清单" in await boss.get("/")
    account = str(site.accounts["hall"])
    form = {"account": account, "sign": "政务服务", "registered": "CMCC", "login_codes": "1"}
    assert await boss.status_of("/setup/sign", form | {"sign": "政 务"}) == 422
    page = await boss.post("/setup/sign", form)
    assert boss.path == "/setup/test"
    assert "审核通过" in page
    assert "已申请" in await boss.post("/setup/sign", form)
    assert await boss.status_of("/setup/test", {"account": account, "number": "12", "content": "您好"}) == 422
    page = await boss.post("/setup/test", {"account": account, "number": "13800138000", "content": "您好"})
    assert boss.path.startswith("/setup/test/")
    assert "【政务服务】您好" in page
    await site.carrier_reports(await site.carrier_takes())
    assert "运营商报告短信已送达手机" in await boss.get(boss.path)
    await boss.post("/setup/hide", {})
    assert "初始化清单" not in await boss.get("/")
