"""The boot configuration: every problem at once, and the environment wins."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from smsgw.runtime import config
from smsgw.runtime.config import ConfigError


def load(tmp_path: Path, text: str, **environ: str) -> config.Config:
    path = tmp_path / "smsgw.toml"
    path.write_text(text, "utf-8")
    return config.load(path, environ)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    settings = load(
        tmp_path, "[node]\nnumber = 3\n[http]\nlisten = '[::1]:80'", SMSGW_NODE_NUMBER="4",
        SMSGW_HTTP_TRUSTED_PROXIES="10.0.0.0/8, 127.0.0.1", SMSGW_HTTP_INSECURE_BEARER="true",
    )  # fmt: skip
    assert settings.node.number == 4
    assert settings.http.trusted_proxies == ("10.0.0.0/8", "127.0.0.1")
    assert settings.http.insecure_bearer is True
    assert config.split_address(settings.http.listen) == ("::1", 80)


def test_mails_are_from_an_address_that_may_stand_behind_a_name(tmp_path: Path) -> None:
    for sender in ("alarm@sms.example.cn", "短信平台 <alarm@sms.example.cn>", "smsgw <alarm@sms.example.cn>"):
        settings = load(tmp_path, f"[mail]\nhost = 'mail.example.cn'\nsender = '{sender}'")
        assert settings.mail.address == "alarm@sms.example.cn"
    for sender in ("", "alarm", "a b@example.cn", "a..b@example.cn", "告警@example.cn", "alarm@", "<@example.cn>"):
        with pytest.raises(ConfigError, match=r"\[mail\] sender"):
            load(tmp_path, f"[mail]\nhost = 'mail.example.cn'\nsender = '{sender}'")


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(
            tmp_path,
            "[nod]\nx = 1\n[node]\nnumber = 5000\nnunber = 1\n[http]\nlisten = 'here'\n[database]\npool = true\n"
            "[retention]\nmessages_days = 3\n",
            SMSGW_NODE_NUMBR="1",
            SMSGW_DURABILITY_MIN_FREE_MB="much",
        )
    told = "\n".join(caught.value.problems)
    for word in ("[nod]", "number must be in", "nunber", "listen must look like", "pool must be a number",
                 "messages_days must be in", "SMSGW_NODE_NUMBR", "SMSGW_DURABILITY_MIN_FREE_MB"):  # fmt: skip
        assert word in told
    assert len(caught.value.problems) == 8


@pytest.mark.parametrize("text", ["[node", "\udcff"])
def test_what_is_not_toml(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match="not valid TOML"):
        config.load(path, {})
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(tmp_path / "none.toml", {})


def test_what_does_not_go_together_is_told_at_once(tmp_path: Path) -> None:
    """A message may be open for longer than it would be kept, and so on; with what is wrong by itself."""
    with pytest.raises(ConfigError) as caught:
        load(
            tmp_path,
            "[durability]\nunknown_hold_hours = 720\nreport_wait_hours = 100\n"
            "[retention]\nmessages_days = 42\nmo_days = 5\n[database]\npool = 1\nread_pool = 1\n",
        )
    told = "\n".join(caught.value.problems)
    assert "messages_days is 42, and a message may be open for 43 days" in told
    assert "mo_days is 5 and events_days 7" in told
    assert "pool must be in" in told
    assert "read_pool must be in" in told
    assert len(caught.value.problems) == 4
    with pytest.raises(ConfigError, match="unknown_short_seconds is longer"):
        load(tmp_path, "[durability]\nunknown_hold_hours = 1\nunknown_short_seconds = 3601\n")


def test_the_ports_of_workers_metrics_are_free(tmp_path: Path) -> None:
    text = "[node]\nworkers = {n}\n[http]\nlisten = '127.0.0.1:8080'\n[ops]\nlisten = '127.0.0.1:{ops}'"
    for n, ops, problem in ((3, 8078, "8078 to 8080, and this node listens at 8080"), (3, 65534, "none above 65535")):
        with pytest.raises(ConfigError, match=problem):
            load(tmp_path, text.format(n=n, ops=ops))
    for n, ops in ((2, 8078), (1, 8079), (3, 8081), (3, 0)):
        assert load(tmp_path, text.format(n=n, ops=ops)).node.processes == n


def test_the_shortest_retention_fits_the_default_waits(tmp_path: Path) -> None:
    assert load(tmp_path, "[retention]\nmessages_days = 14\nmo_days = 7\n").retention.messages_days == 14
    waits = "[durability]\nunknown_hold_hours = 720\nreport_wait_hours = 100\n[retention]\nmessages_days = "
    settings = load(tmp_path, f"{waits}43\n")
    assert settings.durability.open_for == timedelta(days=7 + 1 + 30, hours=100)


def test_servers_for_partners_have_sections_of_their_own(tmp_path: Path) -> None:
    settings = load(
        tmp_path, "[partners.smpp]\nlisten = '[::]:2775'\ntls = ['chain.pem', 'key.pem']\n",
        SMSGW_PARTNERS_CMPP_LISTEN="127.0.0.1:7890",
    )  # fmt: skip
    assert (settings.partners_smpp.listen, settings.partners_smpp.tls) == ("[::]:2775", ("chain.pem", "key.pem"))
    assert (settings.partners_cmpp.listen, settings.partners_cmpp.tls) == ("127.0.0.1:7890", ())
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "[partners.smtp]\n[partners.cmpp]\nlisten = 'here'\nport = 1\n")
    told = "\n".join(caught.value.problems)
    assert all(word in told for word in ("[partners.smtp]", "[partners.cmpp] listen", "key port in [partners.cmpp]"))


def test_tls_files_and_listeners(tmp_path: Path) -> None:
    text = '[http]\ntls = ["c.pem", "k.pem"]\ntls_listen = "[::]:8443"\n[admin]\nlisten = "127.0.0.1:8444"\n'
    settings = load(tmp_path, text)
    assert (settings.http.tls, settings.http.tls_listen) == (("c.pem", "k.pem"), "[::]:8443")
    assert settings.admin.listen == "127.0.0.1:8444"
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, '[http]\ntls = ["a", "b", "c"]\ntls_listen = "8443"\n[admin]\nlisten = "x"\n')
    assert len(caught.value.problems) == 3
    with pytest.raises(ConfigError, match="needs tls"):
        load(tmp_path, '[http]\ntls_listen = "127.0.0.1:8443"\n')


@pytest.mark.parametrize("url", [
    "redis://:pa55/word@h", "redis://h:6379?password=pa55word", "redis://h:pa55word", "redis://u:pa55#word@h",
    "redis://h:70000/pa55", "redis://u:p@ss55pa55@h", "rediss://", "unix:///pa55", "redis://h/pa55",
    "redis://h@"])  # fmt: skip
def test_an_address_of_redis_that_is_none_is_refused_and_not_shown(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, f"[redis]\nurl = '{url}'")
    assert "[redis] url must look like" in str(refused.value)
    assert "55" not in str(refused.value)
    assert config.redis_server(url) == ""


@pytest.mark.parametrize("password", [
    "55/55", "55?55", "55#55", "55@55", "55[55", "55]55", "[55]", "55%55%", "55 55", "55/5?a=5"])  # fmt: skip
@pytest.mark.parametrize("key", ["dsn", "owner_dsn"])
def test_a_password_that_ends_its_address_is_refused_and_not_shown(tmp_path: Path, key: str, password: str) -> None:
    good = "postgresql://smsgw:x@127.0.0.1:5000/smsgw"
    dsns = {"SMSGW_DATABASE_DSN": good, f"SMSGW_DATABASE_{key}".upper(): good.replace(":x@", f":{password}@")}
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, "", **dsns)
    (problem,) = refused.value.problems
    assert f"[database] {key} must look like" in problem
    assert "55" not in problem
    dsns[f"SMSGW_DATABASE_{key}".upper()] = good.replace(":x@", f":{quote(password, safe='')}@")
    assert getattr(load(tmp_path, "", **dsns).database, key)


@pytest.mark.parametrize(("dsn", "good"), [
    ("postgresql:///smsgw", True), ("postgres://h", True), ("postgresql://u@h:5433", True),
    ("postgresql://u:a:b&c=d$e`f,g@h/d", True), ("postgresql://u:p@[2001:db8::1]:5432/d?sslmode=require", True),
    ("postgresql://u:p@10.0.0.11,10.0.0.12:5433,10.0.0.13/d?target_session_attrs=read-write&connect_timeout=5", True),
    ("postgresql://u@/d?host=/var/run/postgresql&port=5433", True), ("postgresql://o@/d?host=%2Frun", True),
    ("postgresql://u:p@%2Frun/d", True), ("postgresql://u:p@h/d?options=-csearch_path%3Dx", True),
    ("mysql://u:p@h/d", False), ("host=h user=u", False), ("h:5432/d", False), ("postgresql://u:p@h:port/d", False),
    ("postgresql://h/d?sslmode", False), ("postgresql://u:p@h/d/e", False), ("postgresql://u:p@2001:db8::1/d", False),
])  # fmt: skip
def test_what_an_address_of_a_database_may_be(tmp_path: Path, dsn: str, good: bool) -> None:
    if good:
        assert load(tmp_path, "", SMSGW_DATABASE_DSN=dsn).database.dsn == dsn
    else:
        with pytest.raises(ConfigError, match="dsn must look like"):
            load(tmp_path, "", SMSGW_DATABASE_DSN=dsn)


def test_addresses_of_redis(tmp_path: Path) -> None:
    assert config.redis_server("redis://h") == "h:6379"
    assert config.redis_server("rediss://u:a%2Fb@redis.example.org:7000/0") == "redis.example.org:7000"
    assert config.redis_server("redis://:p@[2001:db8::1]:7000") == "[2001:db8::1]:7000"
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, "[redis]\nmaster = 'm'\nsentinels = ['redis://:pa55@h:26379']")
    assert "pa55" not in str(refused.value)
