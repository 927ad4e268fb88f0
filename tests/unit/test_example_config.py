"""conf/smsgw.toml is the reference of the configuration: it names every key, with its default."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path

from smsgw.runtime.config import Config, load

EXAMPLE = Path(__file__).parents[2] / "conf" / "smsgw.toml"
COMMENTED_KEY = re.compile(r"^#(\w+ = )", re.MULTILINE)


def test_the_example_as_it_is_changes_nothing() -> None:
    assert load(EXAMPLE, {}) == Config()


def test_every_key_is_shown_with_its_default(tmp_path: Path) -> None:
    shown = tmp_path / "smsgw.toml"
    shown.write_text(COMMENTED_KEY.sub(r"\1", EXAMPLE.read_text(encoding="utf-8")), encoding="utf-8")
    assert load(shown, {}) == Config()

    document = tomllib.loads(shown.read_text(encoding="utf-8"))
    document |= {f"partners_{name}": table for name, table in document.pop("partners").items()}
    keys = {section: set(values) for section, values in document.items()}
    assert keys == {
        section.name: {key.name for key in dataclasses.fields(getattr(Config(), section.name))}
        for section in dataclasses.fields(Config)
    }
