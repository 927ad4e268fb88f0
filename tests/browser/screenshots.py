"""Pictures of every page of the portal, a contact sheet of them, and what was measured (scripts/screenshots)."""

from __future__ import annotations

import argparse
import asyncio
import html
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any

import gallery
import portal_walk
from databases import migrated
from demo_site import ROLES, DemoSite, demo_site
from playwright.async_api import Browser, async_playwright
from portal_walk import ARGUMENTS, SIZES, Seen, Stop, window

from smsgw.core.permissions import Permission
from smsgw.runtime import log
from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import audit

THEMES, LANGUAGES = ("light", "dark"), ("zh", "en")
TIMES = 5
"""How often a page is opened to see how long it takes; only in the first of the variants."""
SHEETS = ("/records/{id}", "/records")
"""Pages that are printed too: those whose paths begin so, and every report."""
WIDEST = 4000
"""Pixels of a picture's height; what is below is cut off."""

Variant = tuple[str, str, str]
"""Size, language, theme."""


def arguments() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="scripts/screenshots", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("var/screenshots"))
    parser.add_argument(
        "--only", action="append", default=[], metavar="TEXT", help="addresses that contain it"
    )
    parser.add_argument("--lang", action="append", choices=LANGUAGES)
    parser.add_argument("--size", action="append", choices=list(SIZES))
    parser.add_argument("--theme", action="append", choices=THEMES)
    parser.add_argument(
        "--role", action="append", choices=ROLES, help="whose first page is seen; all without it"
    )
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument(
        "--times", type=int, default=TIMES, help="how often a page is opened again; 0: no times"
    )
    parser.add_argument("--daily", type=int, default=350)
    parser.add_argument("--print", dest="printed", action="store_true", help="pages on paper, too")
    parser.add_argument(
        "--baseline", action="store_true", help="keep pictures of the gallery to compare with"
    )
    parser.add_argument("--compare", action="store_true", help="compare the gallery with the pictures kept")
    return parser.parse_args()


async def main() -> int:
    """Fill, serve, look; exit status."""
    asked = arguments()
    log.setup("error", "auto")
    asked.folder.mkdir(parents=True, exist_ok=True)
    if asked.baseline or asked.compare:
        return await _gallery(asked)
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(_site(asked))
        browser = await stack.enter_async_context(_browser())
        found = await _stops(site, asked)
        rows = []
        for variant in product(asked.size or SIZES, asked.lang or LANGUAGES, asked.theme or THEMES):
            times = 0 if rows else asked.times
            rows += await _variant(browser, site, found, variant, asked.folder, times=times)
        if asked.printed:
            await _print(browser, site, found, asked.folder)
    portal_walk.write_json(asked.folder / "pages.json", rows)
    (asked.folder / "index.html").write_text(sheet(rows), "utf-8")
    _tell(rows)
    return 1 if any(row["faults"] for row in rows) else 0


async def _gallery(asked: argparse.Namespace) -> int:
    """Keep the pictures of the gallery, or compare with them; exit status."""
    sealer = Sealer(os.urandom(32))
    audit.use(lambda: sealer)
    async with AsyncExitStack() as stack:
        dsn, folder = await stack.enter_async_context(_database())
        served = await stack.enter_async_context(gallery.serve(dsn, folder))
        browser = await stack.enter_async_context(_browser())
        if asked.baseline:
            await gallery.keep(browser, served)
            return 0
        said = await gallery.check(browser, served, asked.folder)
    print("\n".join(said) or "the gallery looks as it did")
    return 1 if said else 0


@asynccontextmanager
async def _database() -> AsyncIterator[tuple[str, Path]]:
    """An empty one, and a folder."""
    with tempfile.TemporaryDirectory(prefix="smsgw-screens-") as folder:
        database = EmbeddedPostgres(Path(folder) / "database")
        dsn = await migrated(database)
        try:
            yield dsn, Path(folder)
        finally:
            await database.stop()
            shutil.rmtree(database.home, ignore_errors=True)


@asynccontextmanager
async def _site(asked: argparse.Namespace) -> AsyncIterator[DemoSite]:
    started = time.monotonic()
    async with (
        _database() as (dsn, folder),
        demo_site(dsn, folder / "node", days=asked.days, daily=asked.daily) as site,
    ):
        print(f"{asked.days} days of demo data in {time.monotonic() - started:.0f} s", flush=True)
        yield site


@asynccontextmanager
async def _browser() -> AsyncIterator[Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        raise SystemExit("scripts/screenshots needs Chromium (Debian: apt install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=[*ARGUMENTS])
        yield browser
        await browser.close()


async def _stops(site: DemoSite, asked: argparse.Namespace) -> list[Stop]:
    """All pages; the first page as every role sees it."""
    found = await portal_walk.stops(site, portal_walk.pages())
    home = next(stop for stop in found if stop.address == "/")
    found.remove(home)
    homes = [
        Stop(f"home-{role}", home.route, "/", role)
        for role in asked.role or ROLES
        if (may := site.rights[role]) is None or Permission.HOME_VIEW in may
    ]
    every = [*homes, *found]
    return [stop for stop in every if not asked.only or any(text in stop.address for text in asked.only)]


async def _variant(
    browser: Browser, site: DemoSite, found: Sequence[Stop], variant: Variant, folder: Path, *, times: int
) -> list[dict[str, Any]]:
    size, language, theme = variant
    rows = []
    for role in dict.fromkeys(stop.role for stop in found):
        async with window(browser, site, size, language=language, theme=theme, role=role) as looker:
            for stop in (stop for stop in found if stop.role == role):
                seen = await looker.look(stop, times=times, cold=times > 0)
                name = f"{stop.name}.{size}.{language}.{theme}.png"
                height = min(WIDEST, round(seen.screens * SIZES[size][1]))
                clip = {"x": 0, "y": 0, "width": SIZES[size][0], "height": max(height, SIZES[size][1])}
                await looker.page.evaluate("window.scrollTo(0, 0)")
                await looker.page.screenshot(
                    path=folder / name, full_page=True, clip=clip, animations="disabled"
                )
                row = seen.plain() | {"picture": name, "size": size, "language": language, "theme": theme}
                rows.append(row | {"faults": faults(seen)})
    print(f"{size} {language} {theme}: {len(rows)} pages", flush=True)
    return rows


def faults(seen: Seen) -> list[str]:
    """What must not be so."""
    found = [*seen.grave, *seen.console, *seen.violations]
    return (
        found
        + [f"answered with {seen.status}"] * (seen.status != 200)
        + ["wider than the window"] * seen.sticks_out
    )


async def _print(browser: Browser, site: DemoSite, found: Iterable[Stop], folder: Path) -> None:
    """On paper: PDF, and its pages as pictures."""
    import pypdfium2

    for stop in found:
        path = portal_walk.shape(stop.route.path)
        if not path.startswith(SHEETS) and "report" not in path:
            continue
        async with window(browser, site, "desktop", role=stop.role) as looker:
            await looker.page.goto(stop.address)
            pdf = folder / f"{stop.name}.print.pdf"
            await looker.page.pdf(path=pdf, format="A4", print_background=False)
            document = pypdfium2.PdfDocument(pdf)
            for n, sheet_ in enumerate(document):
                sheet_.render(scale=1.3).to_pil().save(folder / f"{stop.name}.print-{n + 1}.png")
            document.close()


def sheet(rows: Sequence[dict[str, Any]]) -> str:
    """The contact sheet."""
    cards = "".join(
        f"<figure class='{'bad' if row['faults'] else ''}'><a href='{html.escape(row['picture'])}'>"
        f"<img loading=lazy src='{html.escape(row['picture'])}' alt=''></a><figcaption>"
        f"<b>{html.escape(row['address'])}</b> {row['role']} · {row['size']} {row['language']} {row['theme']} · "
        f"{row['screens']:.1f} screens{''.join(f'<br>{html.escape(f)}' for f in row['faults'])}</figcaption></figure>"
        for row in rows
    )
    return (
        "<!doctype html><meta charset=utf-8><title>smsgw portal</title><style>body{font:14px sans-serif;margin:1rem;"
        "display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:1rem}figure{margin:0;border:1px "
        "solid #ccc}figure.bad{border-color:#c00}img{width:100%;height:220px;object-fit:cover;object-position:top}"
        f"figcaption{{padding:.5rem}}</style>{cards}\n"
    )


def _tell(rows: Sequence[dict[str, Any]]) -> None:
    """Figures of the first variant, and all faults."""
    print(f"{'page':48} {'warm ms':>8} {'ready ms':>9} {'cold KB':>8} {'charts KB':>10} {'warm KB':>8}")
    for row in rows:
        if row["warm_ms"]:
            kb = (f"{row[key] / 1024:.1f}" for key in ("cold_octets", "chart_octets", "warm_octets"))
            cold, charts, warm = kb
            print(
                f"{row['name'][:48]:48} {row['warm_ms']:8} {row['ready_ms']:9} {cold:>8} {charts:>10} {warm:>8}"
            )
    for row in rows:
        for fault in row["faults"]:
            print(f"FAULT {row['picture']}: {fault}")


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(asyncio.run(main()))
