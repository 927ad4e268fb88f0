"""The English catalogue is complete, and translations keep their place holders."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
from pathlib import Path
from types import ModuleType

from smsgw.admin.i18n import translations

ROOT = Path(__file__).parents[3]


def script() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("i18n_script", str(ROOT / "scripts" / "i18n"))
    spec = importlib.util.spec_from_loader("i18n_script", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_nothing_is_missing_fuzzy_or_left_over() -> None:
    tool = script()
    texts, missing = tool.updated("en")
    assert missing == []
    assert sorted(texts) == tool.catalogue_paths("en"), "run scripts/i18n"
    for path, text in texts.items():
        assert text == path.read_text("utf-8"), "run scripts/i18n"


def test_place_holders_are_kept() -> None:
    for path in script().catalogue_paths("en"):
        for message in script().read(path, "en"):
            if message.id:
                holders = re.findall(r"%\(\w+\)s", str(message.id))
                assert sorted(holders) == sorted(re.findall(r"%\(\w+\)s", str(message.string))), message.id


def test_no_chinese_in_english() -> None:
    for path in script().catalogue_paths("en"):
        for message in script().read(path, "en"):
            if message.id:
                assert not re.search(r"[\u4e00-\u9fff]", str(message.string)), message.id


def test_no_chinese_text_stands_outside_of_gettext_in_templates() -> None:
    for path in (ROOT / "smsgw" / "admin" / "templates").rglob("*.html"):
        text = re.sub(r"_\('[^']*'", "", path.read_text("utf-8"))
        text = text.replace("'中' if code", "")  # the language's own name
        found = re.findall(r"[\u4e00-\u9fff]+", text)
        assert not found, f"{path.name}: {found}"


def test_lookup() -> None:
    assert translations("zh").gettext("成功") == "成功"
    assert translations("en").gettext("成功") == "Delivered"
