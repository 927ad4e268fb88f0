"""Rules for Prometheus and boards for Grafana: what they name is there, and they say what they should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest
import yaml
from harness import site, until
from prometheus_client.parser import text_string_to_metric_families

CONF = Path(__file__).resolve().parents[2] / "conf"
RULES = CONF / "prometheus" / "smsgw.rules.yml"
BOARDS = sorted((CONF / "grafana").glob("*.json"))
PROMTOOL = shutil.which("promtool")
_NAME = re.compile(r"\b(?:smsgw|process)_[a-z0-9_]+\b")
_RECORDED = re.compile(r"\bsmsgw:[a-z0-9_:]+\b")


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


def board(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def expressions() -> list[str]:
    """All that rules and boards ask for."""
    found = [rule["expr"] for rule in rules()]
    for path in BOARDS:
        made = board(path)
        found += [target["expr"] for panel in made["panels"] for target in panel["targets"]]
        found += [one["expr"] for one in made["annotations"]["list"]]
        found += [one["query"] for one in made["templating"]["list"] if one["type"] == "query"]
    return found


_DATASOURCE = {
    "type": "object",
    "required": ["type", "uid"],
    "properties": {"type": {"const": "prometheus"}, "uid": {"const": "${datasource}"}},
}
_TARGET = {
    "type": "object", "required": ["refId", "datasource", "expr"], "additionalProperties": False,
    "properties": {
        "refId": {"type": "string", "pattern": "^[A-Z]$"}, "datasource": _DATASOURCE,
        "expr": {"type": "string", "minLength": 3}, "legendFormat": {"type": "string"},
        "format": {"const": "table"}, "instant": {"type": "boolean"},
    },
}  # fmt: skip
_PANEL = {
    "type": "object", "required": ["id", "title", "type", "datasource", "gridPos", "fieldConfig", "targets"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "integer", "minimum": 1}, "title": {"type": "string", "minLength": 2},
        "description": {"type": "string"}, "type": {"enum": ["stat", "timeseries", "table"]},
        "datasource": _DATASOURCE, "options": {"type": "object"},
        "gridPos": {
            "type": "object", "required": ["x", "y", "w", "h"], "additionalProperties": False,
            "properties": {
                "x": {"type": "integer", "minimum": 0, "maximum": 23}, "y": {"type": "integer", "minimum": 0},
                "w": {"type": "integer", "minimum": 1, "maximum": 24}, "h": {"type": "integer", "minimum": 1},
            },
        },
        "fieldConfig": {
            "type": "object", "required": ["defaults", "overrides"],
            "properties": {"defaults": {"type": "object", "required": ["unit", "thresholds"], "properties": {
                "unit": {"enum": ["short", "s", "bytes", "percentunit", "reqps"]}}}},
        },
        "targets": {"type": "array", "minItems": 1, "items": _TARGET},
    },
}  # fmt: skip
BOARD = {
    "type": "object",
    "required": ["uid", "title", "tags", "schemaVersion", "refresh", "time", "templating", "annotations", "panels"],
    "properties": {
        "uid": {"type": "string", "pattern": "^[a-z-]{3,40}$"}, "schemaVersion": {"type": "integer", "minimum": 36},
        "templating": {"type": "object", "required": ["list"], "properties": {"list": {
            "type": "array", "items": {"type": "object", "required": ["name", "type", "query"]}}}},
        "panels": {"type": "array", "minItems": 4, "items": _PANEL},
    },
}  # fmt: skip
"""What we use of the JSON that Grafana reads."""


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.name)
def test_a_board_is_as_grafana_reads_it(path: Path) -> None:
    made = board(path)
    jsonschema.validate(made, BOARD)
    panels = made["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24, panel["title"]
        assert not cells & taken, f"{panel['title']} lies over another one"
        taken |= cells


@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool (Debian: prometheus)")
def test_rules_are_right_and_fire_when_they_should(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    for how, name in (("check", "smsgw.rules.yml"), ("test", "smsgw.rules.test.yml")):
        done = subprocess.run(
            [PROMTOOL, how, "rules", name], cwd=RULES.parent, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    said = yaml.safe_load((RULES.parent / "smsgw.rules.test.yml").read_text("utf-8"))["tests"]
    fired = {case["alertname"] for test in said for case in test.get("alert_rule_test", ()) if case["exp_alerts"]}
    assert fired == {rule["alert"] for rule in rules() if "alert" in rule}, "each is seen to fire"
    for number, expression in enumerate(expressions()):  # of boards, too
        if "label_values" in expression:
            continue
        text = expression.replace("$channel", ".+")
        (tmp_path / f"{number}.yml").write_text(
            yaml.safe_dump({"groups": [{"name": "a", "rules": [{"record": "a:b", "expr": text}]}]}), "utf-8"
        )
    files = [str(path) for path in tmp_path.iterdir()]
    done = subprocess.run([PROMTOOL, "check", "rules", *files], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_recorded_is_there() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert {name for text in expressions() for name in _RECORDED.findall(text)} <= recorded


async def test_every_metric_of_a_rule_or_a_board_is_told_by_a_daemon_at_work(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, channels=["cmpp30"]) as built:
        sent = await built.customer.send("cmpp30")
        await built.customer.reaches(sent.message_id, "delivered")
        url = (await built.node.status())["urls"]["ops"]

        async def scraped() -> dict[str, float] | None:
            async with aiohttp.ClientSession() as client, client.get(f"{url}/metrics") as answer:
                text = await answer.text()
            found: dict[str, float] = {}
            for family in text_string_to_metric_families(text):
                parts = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",)}.get(family.type, ("",))
                found |= {f"{family.name}{part}": 0.0 for part in parts}
                for sample in family.samples:
                    found[sample.name] = found.get(sample.name, 0.0) + sample.value
            return found if found["smsgw_report_seconds_count"] else None

        found = await until(scraped, what="a report is counted")
        named = {name for text in expressions() for name in _NAME.findall(text)}
        assert len(named) > 20
        assert named - found.keys() == set()
        for stage in ("accept", "queue", "answer", "report"):
            assert found[f"smsgw_{stage}_seconds_count"] >= 1, stage
        assert found["smsgw_channel_parts_total"] >= 1
        assert found["smsgw_channel_success_objective"] == 0.99
        assert found["smsgw_database_up"] == found["smsgw_nodes"] == 1
        assert 0 < found["smsgw_disk_free_ratio"] < 1
