"""Texts that would break a page, a spreadsheet or the database, in every field of every form of sending, content,
numbers and approval, as the pages offer them: no crash, nothing comes back as markup, no table holds a formula.

The fields come from the pages themselves: one that is new is attacked without a word here."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from browsing import Browser
from portal_site import running
from reaching import Form, Page, World, build, enter, filled, operation, route_of
from test_reach import CASES

from smsgw.core.cells import harmless

pytestmark = [pytest.mark.shard("attacks"), pytest.mark.asyncio(loop_scope="module"),
              pytest.mark.usefixtures("hurried"), pytest.mark.slow, pytest.mark.timeout(900)]  # fmt: skip
GROUPS = ("/send", "/custom", "/drafts", "/tasks", "/scheduled", "/review", "/templates", "/signs", "/phrases",
          "/words", "/contacts", "/blocked", "/optouts", "/allowed", "/consents", "/number-filters", "/lifts",
          "/complaints")  # fmt: skip
MARKUP = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
RAW = ("<img src=x", "<script>alert(2)")
ALONE = ("=<img src=x>文", "=<img src=x>\u202e")
"""In a field alone, all others being as they should: what is refused for one field hides what becomes of the next.
Short, as there is not much room in some; in every second field with a mark that turns the text around."""
FORMULAS = ("=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(A1)", "\uff1d1\uff0b1")
"""In all fields at once, in turns."""
TOGETHER = {"markup": MARKUP, "NUL": "a\0b", "lone surrogate": "a\ud800b", "long": "长" * 10_000}
"""In all fields of a form at once."""
MOST_LONG = 5
"""Fields that get the long one: a form has half a megabyte."""
KEPT = frozenset({"csrf", "confirmed"})
MUST_TAKE = ("POST /phrases/-/new", "POST /words/-/new", "POST /templates/-/new", "POST /contacts/-/new")
"""Forms that have to take what looks bad and is only text: a test that is refused everything sees nothing."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    dsn = await postgres.make("attacks", postgres.template)
    try:
        async with running(dsn, tmp_path_factory.mktemp("attacks")) as site:
            yield await build(site)
    finally:
        await postgres.drop("attacks")


class Attacker:
    """Somebody who may do everything, and types what should not be typed."""

    def __init__(self, world: World, browser: Browser) -> None:
        self.world, self.browser = world, browser
        self.faults: list[object] = []
        self.forms: dict[str, Form] = {}
        self.taken: set[str] = set()
        self.tables = 0
        self.fields = 0

    async def walk(self, paths: list[str]) -> list[str]:
        """Every page of the groups that these lead to, twice a route at most; whether it shows markup. The pages."""
        waiting, seen, opened = list(paths), dict[str, int](), list[str]()
        while waiting:
            path = waiting.pop(0)
            route = route_of("GET", path)
            if route is None or not path.startswith(GROUPS) or seen.get(operation(route), 0) >= 2:
                continue
            seen[operation(route)] = seen.get(operation(route), 0) + 1
            async with self.browser.session.get(path) as response:
                kind, text = response.content_type, (await response.read()).decode("utf-8", "replace")
                self._look("GET", path, response.status, kind, text)
                if kind != "text/html" or response.status != 200:
                    continue
                assert response.url.path != "/login", f"{path}: logged out"
                found = Page(text, response.url.path_qs)
            opened.append(path)
            waiting += found.links
            for form in found.forms:
                target = route_of("POST", form.action)
                ours = form.button and not form.multipart and form.action.startswith(GROUPS)
                if form.method == "POST" and ours and target is not None:
                    self.forms.setdefault(operation(target), form)
        return opened

    def _look(self, method: str, path: str, status: int, kind: str, text: str) -> None:
        if status >= 500:
            self.faults.append((method, path, status))
        if kind == "text/html":
            self.faults += [(method, path, "shows", raw) for raw in RAW if raw in text]
        elif kind == "text/csv":
            self.tables += 1
            cells = (cell for row in csv.reader(io.StringIO(text.lstrip("\ufeff"))) for cell in row)
            self.faults += [(method, path, "formula", cell[:40]) for cell in cells if harmless(cell) != cell]

    async def attack(self, name: str, form: Form) -> list[str]:
        """Each of its fields alone, and all of them together; where it led to."""
        good = dict(form.fields)
        for case in CASES.get(name, ())[:1]:
            good |= {key: filled(text, self.world.things) for key, text in case.fields}
        fields = [key for key in good if key not in KEPT]
        self.fields += len(fields)
        led = []
        for values in self._bodies(good, fields):
            body = urlencode({**values, "csrf": self.browser.csrf, "confirmed": "1"}, errors="surrogatepass")
            async with self.browser.session.post(
                form.action, data=body, headers={"Content-Type": "application/x-www-form-urlencoded"}
            ) as response:
                text = (await response.read()).decode("utf-8", "replace")
                self._look("POST", f"{form.action} {list(values.items())[:3]!r:.200}", response.status,
                           response.content_type, text)  # fmt: skip
                if response.status == 200 and response.history:
                    self.taken.add(name)
                    led.append(urlsplit(str(response.url.path_qs)).path)
        return led

    @staticmethod
    def _bodies(good: dict[str, str], fields: list[str]) -> Iterator[dict[str, str]]:
        for n, key in enumerate(fields):
            yield good | {key: ALONE[n % 2]}
        yield good | {key: FORMULAS[n % len(FORMULAS)] for n, key in enumerate(fields)}
        for what, text in TOGETHER.items():
            yield good | dict.fromkeys(fields[:MOST_LONG] if what == "long" else fields, text)


async def test_no_text_in_any_field_breaks_a_page_a_table_or_the_database(world: World) -> None:
    walker = next(w for w in world.walkers if any(role.everything for role in w.person.roles))
    async with Browser(world.site) as browser:
        browser.session._timeout = aiohttp.ClientTimeout(total=120)
        await enter(browser, walker)
        attacker = Attacker(world, browser)
        await attacker.walk(list(GROUPS))
        done: set[str] = set()
        led: list[str] = []
        for _ in range(4):  # steps that follow from what was taken have forms of their own
            fresh = {name: one for name, one in attacker.forms.items() if name not in done}
            done |= fresh.keys()
            for name in sorted(fresh):
                led += await attacker.attack(name, fresh[name])
            if not fresh:
                break
            await attacker.walk([*GROUPS, *dict.fromkeys(led)])
        opened = await attacker.walk([*GROUPS, *dict.fromkeys(led)])
        for query in (f"name={MARKUP}", f"word={MARKUP}", f"number={MARKUP}", "page=\0", "q=%ED%A0%80"):
            for path in GROUPS:
                async with browser.session.get(f"{path}?{query}") as response:
                    attacker._look("GET", f"{path}?{query}", response.status, response.content_type,
                                   await response.text(errors="replace"))  # fmt: skip
    assert not attacker.faults, "\n".join(map(str, attacker.faults[:40]))
    assert len(done) >= 30, sorted(done)
    assert len(opened) >= 40, opened
    assert attacker.taken.issuperset(MUST_TAKE), sorted(set(MUST_TAKE) - attacker.taken)
    stored = await world.site.db.fetchval("SELECT count(*) FROM audit WHERE strpos(after::text, $1) > 0", RAW[0])
    assert stored, "what looks bad is kept as it is, and shown as text"
