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
from demo_site import ROLES, DemoSite, demo_site, empty_site
from mistakes import Mistake, mistakes
from playwright.async_api import Browser, Page, async_playwright, expect
from portal_walk import ARGUMENTS, SIZES, Seen, Stop, stops_there_are, window

from smsgw.core.permissions import Permission
from smsgw.runtime import log, tarpit
from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.engine.migrate import migrate
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import audit

THEMES, LANGUAGES = ("light", "dark"), ("zh", "en")
STATES, MEDIA = ("full", "empty", "error"), ("screen", "print")
TIMES = 5
"""How often a page is opened to see how long it takes; only in the first of the variants."""
SHEETS = (
    "/records", "/reports", "/audit", "/inbound", "/tasks/{id}", "/blocked", "/staff", "/scheduled/calendar",
    "/consents", "/contacts", "/number-filters", "/lifts", "/complaints", "/send/{id}/confirm",
)  # fmt: skip
"""Paths of what is printed: records, reports, lists."""
DRAWN = 10_000
"""Milliseconds that charts may take."""
WIDEST = 4000
"""Pixels of a picture's height; what is below is cut off."""

Variant = tuple[str, str, str]
"""Size, language, theme."""


def arguments() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="scripts/screenshots", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("var/screenshots"))
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="addresses that contain it")
    parser.add_argument("--lang", action="append", choices=LANGUAGES)
    parser.add_argument("--size", action="append", choices=list(SIZES))
    parser.add_argument("--theme", action="append", choices=THEMES)
    parser.add_argument("--role", action="append", choices=ROLES, help="whose first page is seen; all without it")
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--times", type=int, default=TIMES, help="how often a page is opened again; 0: no times")
    parser.add_argument("--daily", type=int, default=350)
    parser.add_argument(
        "--state", choices=STATES, default="full",
        help="empty: a new organisation; error: wrong forms, wrong filters, refused and failed pages",
    )  # fmt: skip
    parser.add_argument("--media", choices=MEDIA, default="screen", help="print: pages on paper")
    parser.add_argument("--baseline", action="store_true", help="keep pictures of the gallery to compare with")
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
        site, database = await stack.enter_async_context(_site(asked))
        browser = await stack.enter_async_context(_browser())
        found = await _stops(site, asked)
        rows = list[dict[str, Any]]()
        if asked.media == "print":
            await _print(browser, site, found, asked)
            return 0
        variants = list(product(asked.size or SIZES, asked.lang or LANGUAGES, asked.theme or THEMES))
        for variant in variants:
            if asked.state == "error":
                rows += await _wrong(browser, site, found, variant, asked.folder)
            else:
                times = 0 if rows else asked.times
                rows += await _variant(browser, site, found, variant, asked.folder, times=times)
        if asked.state == "error":
            rows += await _without_database(browser, site, database, variants, asked.folder)
    portal_walk.write_json(asked.folder / "pages.json", rows)
    (asked.folder / "index.html").write_text(sheet(rows), "utf-8")
    _tell(rows)
    return 1 if any(row["faults"] for row in rows) else 0


async def _gallery(asked: argparse.Namespace) -> int:
    """Keep the pictures of the gallery, or compare with them; exit status."""
    sealer = Sealer(os.urandom(32))
    audit.use(lambda: sealer)
    async with AsyncExitStack() as stack:
        dsn, folder, _ = await stack.enter_async_context(_database())
        served = await stack.enter_async_context(gallery.serve(dsn, folder))
        browser = await stack.enter_async_context(_browser())
        if asked.baseline:
            await gallery.keep(browser, served)
            return 0
        said = await gallery.check(browser, served, asked.folder)
    print("\n".join(said) or "the gallery looks as it did")
    return 1 if said else 0


@asynccontextmanager
async def _database() -> AsyncIterator[tuple[str, Path, EmbeddedPostgres]]:
    """An empty one, and a folder."""
    with tempfile.TemporaryDirectory(prefix="smsgw-screens-") as folder:
        database = EmbeddedPostgres(Path(folder) / "database")
        dsn = await database.start()
        await migrate(database.owner_dsn, application=dsn)  # with the policies of a new installation
        try:
            yield dsn, Path(folder), database
        finally:
            await database.stop()
            shutil.rmtree(database.home, ignore_errors=True)


@asynccontextmanager
async def _site(asked: argparse.Namespace) -> AsyncIterator[tuple[DemoSite, EmbeddedPostgres]]:
    started = time.monotonic()
    async with _database() as (dsn, folder, database):
        node = folder / "node"
        if asked.state == "empty":
            async with empty_site(dsn, node) as site:
                yield site, database
            return
        if asked.state == "error":
            tarpit.SECONDS = 0.001  # who is wrong over and over is told so soon
        async with demo_site(dsn, node, days=asked.days, daily=asked.daily) as site:
            print(f"{asked.days} days of demo data in {time.monotonic() - started:.0f} s", flush=True)
            yield site, database


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
    if asked.state == "empty":
        found = await stops_there_are(site, portal_walk.pages())
        return [stop for stop in found if not asked.only or any(text in stop.address for text in asked.only)]
    walk = stops_there_are if asked.only else portal_walk.stops
    found = await walk(site, portal_walk.pages())
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
                await _shoot(looker.page, folder / name)
                row = seen.plain() | {"picture": name, "size": size, "language": language, "theme": theme}
                rows.append(row | {"faults": faults(seen)})
    print(f"{size} {language} {theme}: {len(rows)} pages", flush=True)
    return rows


async def _drawn(page: Page) -> None:
    """Wait for its charts: they are drawn when they come into sight."""
    for chart in await page.locator("[data-chart]").all():
        await chart.scroll_into_view_if_needed()
    await expect(page.locator("[data-chart] .dialog-loading")).to_have_count(0, timeout=DRAWN)


async def _shoot(page: Page, picture: Path) -> None:
    """The whole page."""
    await _drawn(page)
    await page.evaluate("window.scrollTo(0, 0)")
    width, height = await page.evaluate("[window.innerWidth, document.documentElement.scrollHeight]")
    clip = {"x": 0, "y": 0, "width": width, "height": min(WIDEST, height)}
    await page.screenshot(path=picture, full_page=True, clip=clip, animations="disabled")


async def _wrong(
    browser: Browser, site: DemoSite, found: Sequence[Stop], variant: Variant, folder: Path
) -> list[dict[str, Any]]:
    """What is said of mistakes."""
    rows = []
    one_each = list({stop.route.path: stop for stop in reversed(found)}.values())
    by_role = dict[str, list[Mistake]]()
    for mistake in mistakes(one_each):
        by_role.setdefault(mistake.stop.role, []).append(mistake)
    for role, of_role in by_role.items():
        size, language, theme = variant
        async with window(browser, site, size, language=language, theme=theme, role=role) as looker:
            for mistake in of_role:
                await looker.page.goto(mistake.stop.address, wait_until="load")
                if await mistake.do(looker.page):
                    rows.append(await _row(looker.page, mistake.stop, variant, folder))
    print(f"{size} {language} {theme}: {len(rows)} mistakes", flush=True)
    return rows


async def _row(page: Page, stop: Stop, variant: Variant, folder: Path) -> dict[str, Any]:
    """The picture of what a page says, and whether it fits."""
    size, language, theme = variant
    name = f"{stop.name}.{size}.{language}.{theme}.png"
    await _shoot(page, folder / name)
    wide = await page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    screens = await page.evaluate("document.documentElement.scrollHeight / window.innerHeight")
    return Seen(stop.name, stop.address, stop.role, screens=screens).plain() | {
        "picture": name, "size": size, "language": language, "theme": theme,
        "faults": ["wider than the window"] * wide,
    }  # fmt: skip


async def _without_database(
    browser: Browser, site: DemoSite, database: EmbeddedPostgres, variants: Sequence[Variant], folder: Path
) -> list[dict[str, Any]]:
    """The last there is: the database goes away while people are logged in."""
    route = portal_walk.pages()[0]
    rows = []
    async with AsyncExitStack() as stack:
        pages = [
            (v, await stack.enter_async_context(window(browser, site, v[0], language=v[1], theme=v[2], role="admin")))
            for v in variants
        ]
        await database.stop()
        for variant, looker in pages:
            await looker.page.goto("/records")
            rows.append(await _row(looker.page, Stop("no-database", route, "/records", "admin"), variant, folder))
    return rows


def faults(seen: Seen) -> list[str]:
    """What must not be so."""
    found = [*seen.grave, *seen.console, *seen.violations]
    return found + [f"answered with {seen.status}"] * (seen.status != 200) + ["wider than the window"] * seen.sticks_out


async def _print(browser: Browser, site: DemoSite, found: Iterable[Stop], asked: argparse.Namespace) -> None:
    """On paper: PDF, and its pages as pictures."""
    import pypdfium2

    for stop in found:
        path = portal_walk.shape(stop.route.path)
        if not asked.only and not path.startswith(SHEETS):
            continue
        for language in asked.lang or LANGUAGES:
            async with window(browser, site, "desktop", language=language, role=stop.role) as looker:
                await looker.page.goto(stop.address, wait_until="load")
                await _drawn(looker.page)
                pdf = asked.folder / f"{stop.name}.print.{language}.pdf"
                await looker.page.pdf(path=pdf, format="A4", print_background=False, prefer_css_page_size=True)
                document = pypdfium2.PdfDocument(pdf)
                for n, sheet_ in enumerate(document):
                    picture = asked.folder / f"{stop.name}.print.{language}-{n + 1}.png"
                    sheet_.render(scale=1.3).to_pil().save(picture)
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
            print(f"{row['name'][:48]:48} {row['warm_ms']:8} {row['ready_ms']:9} {cold:>8} {charts:>10} {warm:>8}")
    for row in rows:
        for fault in row["faults"]:
            print(f"FAULT {row['picture']}: {fault}")


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(asyncio.run(main()))
