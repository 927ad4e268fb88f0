"""Figures of pages are what the records come to, are the same on all pages, and are named by their label."""

from __future__ import annotations

import asyncio
import gzip
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import aiohttp
import portal_walk
import pytest
from demo_site import demo_site
from figures import sampled
from page_costs import session_of

from smsgw.admin.words.figures import FIGURES
from smsgw.core.actor import Actor
from smsgw.core.ids import CHINA
from smsgw.platform.statistics import reports
from smsgw.platform.statistics.reports import Wanted

pytestmark = pytest.mark.shard("pages")


@pytest.mark.slow
async def test_figures_are_counts_of_records(dsn: str, tmp_path: Path) -> None:
    seed = secrets.randbelow(1 << 31)
    async with demo_site(dsn, tmp_path / "node", days=10, daily=60) as site:
        last = datetime.now(CHINA).date()
        first = last.replace(day=1) - timedelta(days=31)
        for _ in range(5):
            figures = await sampled(site.database, first, last, 10**6, seed)
            wrong = [one for one in figures if one.shown != one.counted]
            if not wrong:
                break
            await asyncio.sleep(5)  # messages that end between the two looks
        assert not wrong, wrong[:10]
        kinds = Counter(one.what.split()[0] for one in figures if one.counted)
        assert kinds.keys() == {"day", "month", "people", "home", "task", "account", "failures", "delays"}, (
            "all of them say something"
        )
        assert len(await sampled(site.database, first, last, 400, seed)) == 400
        who = Actor.system("test")
        months = await reports.periods(site.database, who, Wanted(first, last, monthly=True))
        days = await reports.periods(site.database, who, Wanted(first, last))
        for month in months:
            of_it = [day for day in days if day.day and month.day and (day.day.replace(day=1) == month.day)]
            for name in ("submitted", "ended", "delivered", "failed", "unknown", "unsent", "billed"):
                assert getattr(month, name) == sum(getattr(day, name) for day in of_it), (month.day, name)
        await site.database.execute("UPDATE stat_day SET messages = messages + 1 WHERE status = 'delivered'")
        figures = await sampled(site.database, first, last, 10**6, seed)
        assert any(one.shown != one.counted for one in figures), "what is falsified is seen"


VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
HEADS = {"h1", "h2", "h3", "a", "option", "label", "legend", "button", "summary", "title"}
"""Elements whose text is the name of a place or a choice, not the label of a figure."""
LABELS = {label: name for name, labels in FIGURES.items() for label in labels}
GALLERY = "/_ui"
SECONDS = 60.0
"""For which two pages may differ while something is under way; figures are remembered for up to 30."""


@dataclass
class Element:
    """Of a page, with what it says itself and below it."""

    tag: str
    attributes: dict[str, str | None]
    parent: Element | None = None
    own: str = ""
    children: list[Element] = field(default_factory=list)

    def below(self) -> Iterator[Element]:
        yield self
        for child in self.children:
            yield from child.below()

    @property
    def value(self) -> str:
        text = self.attributes.get("data-value") or "".join(one.own for one in self.below() if one.tag != "small")
        return "".join(text.split()).rstrip("%")


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = self._here = Element("", {})
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Element(tag, dict(attrs), self._here)
        self._here.children.append(made)
        if tag not in VOID:
            self._here = made

    def handle_endtag(self, tag: str) -> None:
        at: Element | None = self._here
        while at is not None and at.tag != tag:
            at = at.parent
        if at is not None and at.parent is not None:
            self._here = at.parent

    def handle_data(self, data: str) -> None:
        self._here.own += data

    def figures(self) -> Iterator[tuple[tuple[str, str], str]]:
        for one in self.root.below():
            if name := one.attributes.get("data-figure"):
                yield (name, one.attributes.get("data-scope") or ""), one.value

    def unnamed(self) -> Iterator[str]:
        for one in self.root.below():
            label = one.attributes.get("data-label") if one.tag == "td" else one.own.strip()
            column = one.tag == "th" and one.attributes.get("scope") != "row"
            if label not in LABELS or one.tag in HEADS or column or one.parent is None:
                continue
            place = one if one.tag == "td" else one.parent
            if LABELS[label] not in {each.attributes.get("data-figure") for each in place.below()}:
                yield label


async def page_of(client: aiohttp.ClientSession, address: str) -> Page:
    """An empty one of what is only of somebody else."""
    async with client.get(address) as answer:
        octets = await answer.read() if answer.status == 200 else b""
        return Page((gzip.decompress(octets) if answer.headers.get("Content-Encoding") == "gzip" else octets).decode())


Shown = dict[tuple[str, str], dict[str, str]]
"""Name and scope -> address -> value."""


def differing(shown: Shown) -> Shown:
    return {key: values for key, values in shown.items() if len(set(values.values())) > 1}


@pytest.mark.slow
async def test_pages_agree_on_their_figures(dsn: str, tmp_path: Path) -> None:
    async with demo_site(dsn, tmp_path / "node", days=4, daily=80) as site, session_of(site, "super") as client:
        shown: Shown = defaultdict(dict)
        unnamed = list[tuple[str, str]]()
        stops = await portal_walk.stops(site, portal_walk.pages())
        for address in dict.fromkeys(stop.address for stop in stops if stop.role and stop.address != GALLERY):
            page = await page_of(client, address)
            unnamed += [(address, label) for label in page.unnamed()]
            for key, value in page.figures():
                shown[key][address] = value
        assert not unnamed
        several = {name for (name, _), values in shown.items() if len(values) > 1}
        assert FIGURES.keys() <= several, "each is compared"
        async with asyncio.timeout(SECONDS):
            while wrong := differing(shown):
                for address in {address for values in wrong.values() for address in values}:
                    for key, value in (await page_of(client, address)).figures():
                        shown[key][address] = value
                await asyncio.sleep(0.5)  # what is under way ends
        assert not wrong
