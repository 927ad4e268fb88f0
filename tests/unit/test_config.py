"""The boot configuration, its reference, and the files of ``conf/ha``."""

from __future__ import annotations

import dataclasses
import getpass
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from certificates import certified

from smsgw.core.errors import SmsgwError
from smsgw.platform.database.queries import locks_wanted
from smsgw.runtime import config
from smsgw.runtime.config import Config, ConfigError, RetentionConfig, load as load_config
from smsgw.web import envelope


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
    settings = load(  # servers for partners have sections of their own
        tmp_path,
        "[partners.smpp]\nlisten = '[::]:2775'\ntls = ['chain.pem', 'key.pem']\n",
        SMSGW_PARTNERS_CMPP_LISTEN="127.0.0.1:7890",
    )
    assert (settings.partners_smpp.listen, settings.partners_smpp.tls) == ("[::]:2775", ("chain.pem", "key.pem"))
    assert (settings.partners_cmpp.listen, settings.partners_cmpp.tls) == ("127.0.0.1:7890", ())
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "[partners.smtp]\n[partners.cmpp]\nlisten = 'here'\nport = 1\n")
    told = "\n".join(caught.value.problems)
    assert all(word in told for word in ("[partners.smtp]", "[partners.cmpp] listen", "key port in [partners.cmpp]"))
    text = '[http]\ntls = ["c.pem", "k.pem"]\ntls_listen = "[::]:8443"\n[admin]\nlisten = "127.0.0.1:8444"\n'
    settings = load(tmp_path, text)
    assert (settings.http.tls, settings.http.tls_listen) == (("c.pem", "k.pem"), "[::]:8443")
    assert settings.admin.listen == "127.0.0.1:8444"
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, '[http]\ntls = ["a", "b", "c"]\ntls_listen = "8443"\n[admin]\nlisten = "x"\n')
    assert len(caught.value.problems) == 3
    with pytest.raises(ConfigError, match="needs tls"):
        load(tmp_path, '[http]\ntls_listen = "127.0.0.1:8443"\n')


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


def test_ports_and_retention_fit(tmp_path: Path) -> None:
    text = "[node]\nworkers = {n}\n[http]\nlisten = '127.0.0.1:8080'\n[ops]\nlisten = '127.0.0.1:{ops}'"
    for n, ops, problem in ((3, 8078, "8078 to 8080, and this node listens at 8080"), (3, 65534, "none above 65535")):
        with pytest.raises(ConfigError, match=problem):
            load(tmp_path, text.format(n=n, ops=ops))
    for n, ops in ((2, 8078), (1, 8079), (3, 8081), (3, 0)):
        assert load(tmp_path, text.format(n=n, ops=ops)).node.processes == n
    assert load(tmp_path, "[retention]\nmessages_days = 14\nmo_days = 7\n").retention.messages_days == 14
    waits = "[durability]\nunknown_hold_hours = 720\nreport_wait_hours = 100\n[retention]\nmessages_days = "
    settings = load(tmp_path, f"{waits}43\n")
    assert settings.durability.open_for == timedelta(days=7 + 1 + 30, hours=100)


@pytest.mark.parametrize(
    "password", ["55/55", "55?55", "55#55", "55@55", "55[55", "55]55", "[55]", "55%55%", "55 55", "55/5?a=5"]
)
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
    for url in (  # an address of redis that is none is refused and not shown
        "redis://:pa55/word@h", "redis://h:6379?password=pa55word", "redis://h:pa55word", "redis://u:pa55#word@h",
        "redis://h:70000/pa55", "redis://u:p@ss55pa55@h", "rediss://", "unix:///pa55", "redis://h/pa55",
        "redis://h@",
    ):  # fmt: skip
        with pytest.raises(ConfigError) as refused:
            load(tmp_path, f"[redis]\nurl = '{url}'")
        assert "[redis] url must look like" in str(refused.value)
        assert "55" not in str(refused.value)
        assert config.redis_server(url) == ""


EXAMPLE = Path(__file__).parents[2] / "conf" / "smsgw.toml"
COMMENTED_KEY = re.compile(r"^#(\w+ = )", re.MULTILINE)


def test_the_example_names_every_key_with_its_default(tmp_path: Path) -> None:
    assert load_config(EXAMPLE, {}) == Config()
    shown = tmp_path / "smsgw.toml"  # every key is shown with its default
    shown.write_text(COMMENTED_KEY.sub(r"\1", EXAMPLE.read_text(encoding="utf-8")), encoding="utf-8")
    assert load_config(shown, {}) == Config()
    document = tomllib.loads(shown.read_text(encoding="utf-8"))
    document |= {f"partners_{name}": table for name, table in document.pop("partners").items()}
    keys = {section: set(values) for section, values in document.items()}
    assert keys == {
        section.name: {key.name for key in dataclasses.fields(getattr(Config(), section.name))}
        for section in dataclasses.fields(Config)
    }


ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf" / "ha"
MACHINES = ("10.0.0.11", "10.0.0.12", "10.0.0.13")
PASSWORDS = {
    "SMSGW_DATABASE_DSN": "postgresql://smsgw:x@127.0.0.1:5000/smsgw",
    "SMSGW_DATABASE_OWNER_DSN": "postgresql://smsgw_owner:x@127.0.0.1:5000/smsgw",
}
HAPROXY = shutil.which("haproxy", path="/usr/local/sbin:/usr/sbin:/sbin:/usr/bin")
ANALYZE = shutil.which("systemd-analyze")


def test_the_files_of_ha_agree_with_each_other() -> None:
    settings = load_config(CONF / "smsgw.toml", PASSWORDS)
    proxy = (CONF / "haproxy.cfg").read_text("utf-8")
    looked_for = re.findall(r"server sms1 (\S+) check port (\d+)", proxy)
    assert looked_for == [(settings.http.listen, settings.ops.listen.partition(":")[2])]
    assert settings.http.trusted_proxies == tuple(f"{one}/32" for one in MACHINES)
    for machine in MACHINES:
        assert re.search(rf"server db\d {machine}:5432 check port 8008", proxy)
    assert "bind 127.0.0.1:5000" in proxy
    # An outage that has lasted too long: programs read a code, not a page of HAProxy's.
    said = re.search(r"string '(.+)' if { path_beg /api/ } { nbsrv", (CONF / "haproxy.cfg").read_text("utf-8"))
    assert said
    status, body, _ = envelope.failure(SmsgwError("NOT_READY"), "", english=False)
    assert (status, json.loads(body) | {"data": {}}) == (503, json.loads(said[1]))
    text = (CONF / "patroni.yml").read_text("utf-8")  # a dead primary is replaced by who has everything
    said = dict(re.findall(r"^ +(\w+): (\S+)$", text, re.MULTILINE))
    assert (said["synchronous_mode"], said["synchronous_mode_strict"]) == ("true", "true")
    assert int(said["loop_wait"]) + 2 * int(said["retry_timeout"]) <= int(said["ttl"])
    assert {said[name] for name in ("fsync", "synchronous_commit", "full_page_writes")} == {'"on"'}
    roles = (CONF / "roles.sql").read_text("utf-8")
    limit = re.search(r"CONNECTION LIMIT (\d+)", roles)
    assert int(limit[1]) < int(said["max_connections"])
    locks = int(said["max_locks_per_transaction"]) * int(said["max_connections"])
    assert locks >= locks_wanted(RetentionConfig().messages_days)
    # A rotation puts a new file beside the old one, as the user smsgw.
    key_file = load_config(CONF / "smsgw.toml", PASSWORDS).key_file  # the key file is where the service may write
    lines = (ROOT / "systemd" / "smsgw.tmpfiles").read_text("utf-8").splitlines()
    made = {line.split()[1]: line.split()[2:5] for line in lines if not line.startswith("#")}
    assert made[str(key_file.parent)] == ["0700", "smsgw", "smsgw"]
    text = (ROOT / "docs" / "ha.md").read_text("utf-8")
    assert f"install -o smsgw -g smsgw -m 600 /dev/null {key_file}" in text
    assert f"openssl rand -hex 32 > {key_file} " in text


@pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")
def test_haproxy_takes_its_file(tmp_path: Path) -> None:
    assert HAPROXY is not None
    text = (CONF / "haproxy.cfg").read_text("utf-8")
    pem = tmp_path / "smsgw.pem"
    pem.write_text("".join(certified("sms.example.cn")), "ascii")
    conf = tmp_path / "haproxy.cfg"
    conf.write_text(text.replace("/etc/haproxy/smsgw.pem", str(pem)), "utf-8")
    done = subprocess.run([HAPROXY, "-c", "-f", str(conf)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


def test_the_template_is_the_unit_but_for_what_is_its_own() -> None:
    """What is learned about the one holds for the other."""

    def service(name: str) -> list[str]:
        return (ROOT / "systemd" / name).read_text("utf-8").split("[Service]\n", 1)[1].splitlines()

    one, several = service("smsgw.service"), service("smsgw@.service")
    own = {"Environment", "EnvironmentFile", "StateDirectory", "RuntimeDirectory"}

    def common(lines: list[str]) -> list[str]:
        return [line for line in lines if line.partition("=")[0] not in own]

    assert common(one) == common(several)
    assert "EnvironmentFile=/etc/smsgw/%i.env" in several
    assert "StateDirectory=smsgw smsgw/%i" in several


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_template(tmp_path: Path) -> None:
    assert ANALYZE is not None
    text = (ROOT / "systemd" / "smsgw@.service").read_text("utf-8")
    unit = tmp_path / "smsgw@1.service"
    unit.write_text(text.replace("/opt/smsgw/.venv/bin/smsgwctl", "/bin/true"), "utf-8")
    done = subprocess.run(
        [ANALYZE, "verify", "--man=no", "--recursive-errors=no", str(unit)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "smsgw@1.service" in line]
    assert ours == [], done.stderr


PASSWORD = "postgresql://smsgw:a$b`c&d@127.0.0.1:5000/smsgw?sslmode=disable&x=1 2"


class Installed:
    """``systemd/smsgwctl`` with directories of the test's and a program that shows what it was started with."""

    def __init__(self, folder: Path) -> None:
        self.settings, self.state = folder / "etc", folder / "lib"
        self.settings.mkdir()
        self.state.mkdir()
        shown = folder / "shown"
        shown.write_text(
            f"#!{sys.executable}\nimport json, os, sys\nprint(json.dumps([sys.argv[1:], dict(os.environ)]))\n"
        )
        shown.chmod(0o755)
        text = (ROOT / "systemd" / "smsgwctl").read_text("utf-8")
        made = {
            'SERVICE = "smsgw"': f'SERVICE = "{getpass.getuser()}"', '"/etc/smsgw"': f'"{self.settings}"',
            '"/var/lib/smsgw"': f'"{self.state}"', '"/opt/smsgw/.venv/bin/smsgwctl"': f'"{shown}"',
        }  # fmt: skip
        for there, here in made.items():
            assert there in text
            text = text.replace(there, here)
        self._program = folder / "smsgwctl"
        self._program.write_text(text, "utf-8")

    def __call__(self, *arguments: str, **environ: str) -> tuple[list[str], dict[str, str]]:
        done = subprocess.run(
            [sys.executable, "-I", str(self._program), *arguments],
            capture_output=True, text=True, timeout=30, check=False, env={"PATH": os.environ["PATH"], **environ},
        )  # fmt: skip
        if done.returncode:
            raise ValueError(done.stderr)
        given, found = json.loads(done.stdout)
        return given, found

    def environment(self, text: str) -> None:
        (self.settings / "environment").write_bytes(text.encode())


@pytest.fixture
def smsgwctl(tmp_path: Path) -> Installed:
    return Installed(tmp_path)


def test_the_command_line_has_what_the_service_has(smsgwctl: Installed) -> None:
    """Its file, its data directory, and its passwords as systemd reads them: octets, and no words of a shell."""
    arguments, found = smsgwctl("node", "a b")
    assert arguments == ["node", "a b"]
    assert (found["SMSGW_CONFIG"], found["SMSGW_NODE_DATA_DIR"], found["HOME"]) == (
        f"{smsgwctl.settings}/smsgw.toml", f"{smsgwctl.state}/data", str(smsgwctl.state)
    )  # fmt: skip
    smsgwctl.environment(f"# of all\nSMSGW_DATABASE_DSN={PASSWORD}\nPGSSLMODE=require\nSMSGW_A_B='q\"'")
    _, found = smsgwctl()
    assert (found["SMSGW_DATABASE_DSN"], found["PGSSLMODE"], found["SMSGW_A_B"]) == (PASSWORD, "require", 'q"')
    smsgwctl.environment("SMSGW_NODE_DATA_DIR=/one\nSMSGW_DATABASE_DSN=of-the-file")
    _, found = smsgwctl("status", SMSGW_NODE_DATA_DIR="/var/lib/smsgw/2")
    assert (found["SMSGW_NODE_DATA_DIR"], found["SMSGW_DATABASE_DSN"]) == ("/var/lib/smsgw/2", "of-the-file")


def test_an_environment_file_is_read_as_systemd_reads_it(smsgwctl: Installed) -> None:
    for text, value in (
        ("A=x\r\nB=y\r\n", "x"), ("  \tA=x", "x"), ("A = x", "x"), ("A=x \t\nB=y", "x"), ("A=", ""), ("A=\nB=y", ""),
        ("A= a  b ", "a  b"), (r"A=a\\b\$c\"d", r'a\b$c"d'), ("A=a\\ \n", "a "), ("A=a\\\nb", "ab"),
        ("A=a#b;c", "a#b;c"), ("A=a'b'", "a'b'"), (r"A='a\b' ", r"a\b"), ("A='a\nb'", "a\nb"),
        (r'A="a\\b\$c\d"', r"a\b$c\d"), ('A="a\\\nb"', "ab"), ("A='a ' \"b\" c ", "a bc"),
        ("\n; B=1\n#\n\n # x\nA=x", "x"), ("A=x\nA=y", "y"), ("A=中文", "中文"),
    ):  # fmt: skip
        smsgwctl.environment(text)
        assert smsgwctl()[1]["A"] == value
    # It might be the one that names the database: what goes on without it works on another one. No value is shown.
    for text, why in (  # a line that is not understood ends the command
        ("A=1\nSMSGW_DATABASE_DSN\n", "line 2: neither NAME=VALUE nor a comment"),
        ("export A=pa55", "line 1: neither"), ("A-B=pa55", "line 1: neither"),
        ("# ends so \\\nA=pa55", "line 1: neither"), ("A='pa55", "line 1: the value of A has a quote"),
        ('A="pa55\\"\nB=1', "line 1: the value of A has a quote"),
        ("A=pa55\\", "line 1: the value of A has a quote or a backslash"),
    ):  # fmt: skip
        smsgwctl.environment(text)
        with pytest.raises(ValueError, match=why) as told:
            smsgwctl("status")
        assert "pa55" not in str(told.value)
        assert "Traceback" not in str(told.value)
        (smsgwctl.settings / "environment").write_bytes(b"A=\xffpa55")
        with pytest.raises(ValueError, match=r"smsgwctl: .*environment cannot be read: 'utf-8'") as told:
            smsgwctl("status")
        assert "pa55" not in str(told.value)


def test_a_node_of_several_is_named(smsgwctl: Installed) -> None:
    """``@2`` has what smsgw@2 has; without it nobody gets an empty node beside those that are there."""
    smsgwctl.environment("SMSGW_HTTP_LISTEN=of-all\nSMSGW_DATABASE_DSN=of-all")
    (smsgwctl.settings / "2.env").write_text("SMSGW_HTTP_LISTEN=of-2\n", "utf-8")
    arguments, found = smsgwctl("@2", "status")
    assert (arguments, found["SMSGW_NODE_DATA_DIR"]) == (["status"], f"{smsgwctl.state}/2")
    assert (found["SMSGW_HTTP_LISTEN"], found["SMSGW_DATABASE_DSN"]) == ("of-2", "of-all")
    for name in ("3", "", "../2", "2/"):
        with pytest.raises(ValueError, match="there is no node @"):
            smsgwctl(f"@{name}", "status")
    for name in ("1", "2"):
        (smsgwctl.state / name).mkdir()
        (smsgwctl.state / name / "node.json").touch()
    with pytest.raises(ValueError, match=r"nodes of their own here \(@1, @2\): say which, smsgwctl @1 …"):
        smsgwctl("status")
    assert smsgwctl("@2", "status")[0] == smsgwctl("status", SMSGW_NODE_DATA_DIR="/elsewhere")[0]
    (smsgwctl.state / "data").mkdir()
    (smsgwctl.state / "data" / "node.json").touch()
    smsgwctl("status")
