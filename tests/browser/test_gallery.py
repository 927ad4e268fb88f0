"""Pages without data look as they did when their pictures were taken (scripts/screenshots --baseline)."""

from __future__ import annotations

from pathlib import Path

import gallery
import pytest
from PIL import Image, ImageDraw
from playwright.async_api import Browser

pytestmark = pytest.mark.shard("pages")


@pytest.mark.slow
async def test_pages_look_as_they_did(chromium: Browser, dsn: str, tmp_path: Path) -> None:
    async with gallery.serve(dsn, tmp_path) as served:
        assert await gallery.check(chromium, served, tmp_path) == []


@pytest.mark.parametrize("exact", [True, False], ids=["same fonts", "other fonts"])
def test_a_change_is_seen(exact: bool, tmp_path: Path) -> None:
    kept = sorted(gallery.KEPT.glob("*.png"))[0]
    assert gallery.difference(kept, kept, tmp_path, exact=exact) == ""
    with Image.open(kept) as image:
        changed = image.convert("RGB")
    wide, high = changed.size
    ImageDraw.Draw(changed).rectangle((wide // 4, high // 4, wide // 2, high // 2), fill=(200, 30, 30))
    changed.save(tmp_path / kept.name)
    assert "pixels differ" in gallery.difference(kept, tmp_path / kept.name, tmp_path, exact=exact)


def test_a_button_of_another_colour_is_seen_on_a_long_page(tmp_path: Path) -> None:
    kept = gallery.KEPT / "ui.desktop.light.png"
    with Image.open(kept) as image:
        changed = image.convert("RGB")
    ImageDraw.Draw(changed).rectangle((300, 2000, 360, 2030), fill=(20, 120, 90))
    changed.save(tmp_path / kept.name)
    assert "pixels differ" in gallery.difference(kept, tmp_path / kept.name, tmp_path, exact=True)


def test_pictures_kept_are_small_and_all_there() -> None:
    there = {path.name: path.stat().st_size for path in gallery.KEPT.glob("*.png")}
    assert there.keys() == {view.name for view in gallery.views()}
    assert max(there.values()) < 400_000
