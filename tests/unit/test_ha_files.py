"""The files of ``conf/ha`` and the template unit, as far as they can be judged without running them."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from certificates import certified

from smsgw.core.errors import SmsgwError
from smsgw.platform.database.queries import locks_wanted
from smsgw.runtime.config import RetentionConfig, load
from smsgw.web import envelope

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf" / "ha"
MACHINES = ("10.0.0.11", "10.0.0.12", "10.0.0.13")
PASSWORDS = {
    "SMSGW_DATABASE_DSN": "postgresql://smsgw:x@127.0.0.1:5000/smsgw",
    "SMSGW_DATABASE_OWNER_DSN": "postgresql://smsgw_owner:x@127.0.0.1:5000/smsgw",
}
HAPROXY = shutil.which("haproxy", path="/usr/local/sbin:/usr/sbin:/sbin:/usr/bin")
ANALYZE = shutil.which("systemd-analyze")


def test_the_nodes_listen_where_haproxy_looks_for_them() -> None:
    settings = load(CONF / "smsgw.toml", PASSWORDS)
    proxy = (CONF / "haproxy.cfg").read_text("utf-8")
    looked_for = re.findall(r"server sms1 (\S+) check port (\d+)", proxy)
    assert looked_for == [(settings.http.listen, settings.ops.listen.partition(":")[2])]
    assert settings.http.trusted_proxies == tuple(f"{one}/32" for one in MACHINES)
    for machine in MACHINES:
        assert re.search(rf"server db\d {machine}:5432 check port 8008", proxy)
    assert "bind 127.0.0.1:5000" in proxy


def test_haproxy_says_in_the_words_of_the_api_that_no_node_is_ready() -> None:
    """An outage that has lasted too long: programs read a code, not a page of HAProxy's."""
    said = re.search(r"string '(.+)' if { path_beg /api/ } { nbsrv", (CONF / "haproxy.cfg").read_text("utf-8"))
    assert said
    status, body, _ = envelope.failure(SmsgwError("NOT_READY"), "", english=False)
    assert (status, json.loads(body) | {"data": {}}) == (503, json.loads(said[1]))


def test_a_dead_primary_is_replaced_by_who_has_everything() -> None:
    text = (CONF / "patroni.yml").read_text("utf-8")
    said = dict(re.findall(r"^ +(\w+): (\S+)$", text, re.MULTILINE))
    assert (said["synchronous_mode"], said["synchronous_mode_strict"]) == ("true", "true")
    assert int(said["loop_wait"]) + 2 * int(said["retry_timeout"]) <= int(said["ttl"])
    assert {said[name] for name in ("fsync", "synchronous_commit", "full_page_writes")} == {'"on"'}
    roles = (CONF / "roles.sql").read_text("utf-8")
    limit = re.search(r"CONNECTION LIMIT (\d+)", roles)
    assert int(limit[1]) < int(said["max_connections"])
    locks = int(said["max_locks_per_transaction"]) * int(said["max_connections"])
    assert locks >= locks_wanted(RetentionConfig().messages_days)


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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=x\r\nB=y\r\n", "x"), ("  \tA=x", "x"), ("A = x", "x"), ("A=x \t\nB=y", "x"), ("A=", ""), ("A=\nB=y", ""),
        ("A= a  b ", "a  b"), (r"A=a\\b\$c\"d", r'a\b$c"d'), ("A=a\\ \n", "a "), ("A=a\\\nb", "ab"),
        ("A=a#b;c", "a#b;c"), ("A=a'b'", "a'b'"), (r"A='a\b' ", r"a\b"), ("A='a\nb'", "a\nb"),
        (r'A="a\\b\$c\d"', r"a\b$c\d"), ('A="a\\\nb"', "ab"), ("A='a ' \"b\" c ", "a bc"),
        ("\n; B=1\n#\n\n # x\nA=x", "x"), ("A=x\nA=y", "y"), ("A=中文", "中文"),
    ],
)  # fmt: skip
def test_an_environment_file_is_read_as_systemd_reads_it(smsgwctl: Installed, text: str, value: str) -> None:
    smsgwctl.environment(text)
    assert smsgwctl()[1]["A"] == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("A=1\nSMSGW_DATABASE_DSN\n", "line 2: neither NAME=VALUE nor a comment"),
        ("export A=pa55", "line 1: neither"),
        ("A-B=pa55", "line 1: neither"),
        ("# ends so \\\nA=pa55", "line 1: neither"),
        ("A='pa55", "line 1: the value of A has a quote"),
        ('A="pa55\\"\nB=1', "line 1: the value of A has a quote"),
        ("A=pa55\\", "line 1: the value of A has a quote or a backslash"),
    ],
)
def test_a_line_that_is_not_understood_ends_the_command(smsgwctl: Installed, text: str, why: str) -> None:
    """It might be the one that names the database: what goes on without it works on another one. No value is shown."""
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


def test_the_key_file_is_where_the_service_may_write() -> None:
    """A rotation puts a new file beside the old one, as the user smsgw."""
    key_file = load(CONF / "smsgw.toml", PASSWORDS).key_file
    lines = (ROOT / "systemd" / "smsgw.tmpfiles").read_text("utf-8").splitlines()
    made = {line.split()[1]: line.split()[2:5] for line in lines if not line.startswith("#")}
    assert made[str(key_file.parent)] == ["0700", "smsgw", "smsgw"]
    text = (ROOT / "docs" / "ha.md").read_text("utf-8")
    assert f"install -o smsgw -g smsgw -m 600 /dev/null {key_file}" in text
    assert f"openssl rand -hex 32 > {key_file} " in text
