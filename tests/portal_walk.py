"""Every page of the portal, from its route table: with examples for its parameters, opened in a browser, measured."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from demo_site import PASSWORD, DemoSite
from playwright.async_api import Browser, BrowserContext, CDPSession, Error, Page

from smsgw.admin.app import routes
from smsgw.admin.kit import discovery
from smsgw.admin.kit.lists import ListPage
from smsgw.admin.rights import Open, Route
from smsgw.core.permissions import Permission

AXE = Path(__file__).parent / "interop" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
SIZES = {"desktop": (1366, 768), "phone": (390, 844)}
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
)  # fmt: skip
GRAVE = ("serious", "critical")
POLLS = 3
"""Of a piece in a row that all have news before that is called none."""
LIST_ROWS = 10
"""A list of so many rows has to fit on three screens of a phone."""

_MESSAGE = "SELECT id FROM part WHERE state = {state} AND part = 1 ORDER BY id DESC LIMIT 1"
_BLOCKED = "SELECT version FROM block_list WHERE source = '{source}' AND removed_at IS NULL ORDER BY version LIMIT 1"
_DRAFT = (
    "SELECT d.id FROM send_draft d JOIN staff s ON s.id = d.owner_id WHERE s.login = 'demo-admin' ORDER BY d.id LIMIT 1"
)
EXAMPLES: dict[str, dict[str, str]] = {
    # the path up to the parameter, or all of it: {what is to be seen there: query for the parameter's value}
    "/accounts/{id}": {"": "SELECT id FROM account WHERE id > 0 ORDER BY id LIMIT 1"},
    "/limits/{name}": {"": "SELECT min(name) FROM message_kind WHERE retired_at IS NULL"},
    "/limits/{name}/restore": {"": "SELECT min(name) FROM message_kind WHERE retired_at IS NOT NULL"},
    "/limits/{id}": {"": "SELECT id FROM account WHERE id > 0 ORDER BY id LIMIT 1"},
    "/limits/{id}/{type}": {"": "SELECT 'notice'"},
    "/review/rules/{id}": {"": "SELECT id FROM account WHERE id > 0 ORDER BY id LIMIT 1"},
    "/review/rules/{id}/{type}": {"": "SELECT 'notice'"},
    "/audit/{id}": {
        "": "SELECT id FROM audit WHERE after IS NOT NULL AND before IS NULL ORDER BY id DESC LIMIT 1",
        "change": "SELECT id FROM audit WHERE before IS NOT NULL ORDER BY id DESC LIMIT 1",
    },
    "/inbound/{id}": {
        "": "SELECT id FROM mo WHERE in_reply_to IS NOT NULL AND NOT opted_out ORDER BY id DESC LIMIT 1",
        "opt-out": "SELECT id FROM mo WHERE opted_out ORDER BY id DESC LIMIT 1",
    },
    "/jobs/{id}": {
        "": "SELECT id FROM job WHERE state = 'done' ORDER BY id LIMIT 1",
        "cancelled": "SELECT id FROM job WHERE state = 'cancelled' ORDER BY id LIMIT 1",
    },
    "/statements/receivers/{id}": {"": "SELECT account_id FROM statement_receiver ORDER BY account_id LIMIT 1"},
    "/statements/mails/{id}": {"": "SELECT id FROM statement_mail WHERE state = 'failed' LIMIT 1"},
    "/rebates/rules/{id}": {"": "SELECT max(id) FROM rebate_rule"},
    "/retention/rules/{id}": {"": "SELECT max(id) FROM retention_rule"},
    "/reports/exclusions/{id}": {"": "SELECT max(version) FROM exclusion_version"},
    "/reports/checks/{id}": {"": "SELECT id FROM figure_check WHERE span = 'day' ORDER BY day LIMIT 1"},
    "/setup/channel/new/{protocol}": {
        "cmpp": "SELECT 'cmpp30'", "smpp": "SELECT 'smpp34'", "sgip": "SELECT 'sgip12'", "smgp": "SELECT 'smgp30'",
    },
    "/setup/channel/{id}": {"": "SELECT id FROM channel WHERE id > 0 ORDER BY id LIMIT 1"},
    "/setup/test/{id}": {"": "SELECT id FROM part WHERE state = 40 ORDER BY id DESC LIMIT 1"},
    "/notices/{id}": {
        "": "SELECT i.id FROM inbox i JOIN staff s ON s.id = i.staff_id "
        "WHERE s.login = 'demo-super' ORDER BY i.id LIMIT 1"
    },
    "/announcements/{id}": {"": "SELECT id FROM notice ORDER BY id LIMIT 1"},
    "/platform/{id}": {"": "SELECT id FROM brand ORDER BY id LIMIT 1"},
    "/platform/{id}/{what}": {"": "SELECT 'publish'"},
    "/blocked/{id}": {"": _BLOCKED.format(source="manual")},
    "/optouts/{id}": {"": _BLOCKED.format(source="opt_out")},
    "/contacts/{id}": {"": "SELECT id FROM contact ORDER BY id LIMIT 1"},
    "/contacts/groups/{id}": {"": "SELECT id FROM audience WHERE segment IS NULL ORDER BY id LIMIT 1"},
    "/contacts/segments/{id}": {"": "SELECT id FROM audience WHERE segment IS NOT NULL ORDER BY id LIMIT 1"},
    "/consents/{id}": {"": "SELECT id FROM consent ORDER BY id LIMIT 1"},
    "/consents/{id}/proof": {"": "SELECT id FROM consent WHERE proof_file IS NULL ORDER BY id LIMIT 1"},
    "/number-filters/{id}": {"": "SELECT id FROM number_filter ORDER BY id LIMIT 1"},
    "/link-filings/{id}": {"": "SELECT id FROM filed_link ORDER BY id LIMIT 1"},
    "/short-links/{id}": {
        "": "SELECT id FROM short_link WHERE kind = 'shared' AND state = 'active' ORDER BY humans DESC LIMIT 1",
        "personal": "SELECT id FROM short_link WHERE kind = 'personal' ORDER BY id LIMIT 1",
    },
    "/short-links/{id}/pass": {"": "SELECT id FROM short_link WHERE state = 'reviewing' ORDER BY id LIMIT 1"},
    "/short-links/{id}/reject": {"": "SELECT id FROM short_link WHERE state = 'reviewing' ORDER BY id LIMIT 1"},
    "/short-links/{id}/codes": {"": "SELECT id FROM short_link WHERE kind = 'personal' ORDER BY id LIMIT 1"},
    "/link-tasks/{id}": {"": "SELECT id FROM job WHERE kind = 'link.codes' ORDER BY id LIMIT 1"},
    "/complaints/{id}": {"": "SELECT id FROM complaint WHERE state = 'answered' ORDER BY id LIMIT 1"},
    "/complaints/{id}/step": {"": "SELECT id FROM complaint WHERE state = 'open' ORDER BY id LIMIT 1"},
    "/complaints/-/of/{id}": {"": _MESSAGE.format(state=41)},
    "/lifts/{id}": {"": "SELECT id FROM carrier_lift ORDER BY id LIMIT 1"},
    "/allowed/{id}": {"": "SELECT id FROM allow_list ORDER BY id LIMIT 1"},
    "/tasks/{id}": {
        "": "SELECT id FROM task WHERE state = 'finished' ORDER BY id LIMIT 1",
        "paused": "SELECT id FROM task WHERE state = 'paused' ORDER BY id LIMIT 1",
        "recurring": "SELECT id FROM task WHERE recurring IS NOT NULL ORDER BY id LIMIT 1",
    },
    "/scheduled/{id}": {
        "": "SELECT id FROM task WHERE state = 'scheduled' AND recurring IS NULL ORDER BY id LIMIT 1"
    },
    "/scheduled/round/{id}": {"": "SELECT id FROM task WHERE recurring IS NOT NULL ORDER BY id LIMIT 1"},
    "/review/{id}": {"": "SELECT batch_id FROM review WHERE state = 'pending' ORDER BY batch_id LIMIT 1"},
    "/review/decided/{id}": {"": "SELECT batch_id FROM review WHERE state <> 'pending' ORDER BY batch_id LIMIT 1"},
    "/templates/{id}": {
        "": "SELECT id FROM template WHERE state = 'approved' AND variables <> '{}' ORDER BY id LIMIT 1",
        "refused": "SELECT id FROM template WHERE state = 'refused' ORDER BY id LIMIT 1",
    },
    "/signs/{id}": {
        "": "SELECT id FROM sign WHERE state = 'approved' ORDER BY id LIMIT 1",
        "pending": "SELECT id FROM sign WHERE state = 'pending' ORDER BY id LIMIT 1",
    },
    "/signs/carriers/{id}": {"": "SELECT id * 4 FROM sign WHERE state = 'approved' ORDER BY id LIMIT 1"},
    "/send/{id}": {"": _DRAFT},
    "/scenarios/{id}": {
        "": "SELECT id FROM scenario WHERE template_id IS NOT NULL AND windows <> '' ORDER BY id LIMIT 1"
    },
    "/phrases/{id}": {
        "": "SELECT p.id FROM phrase p JOIN staff s ON s.id = p.owner_id "
        "WHERE s.login = 'demo-operator' AND p.account_id IS NOT NULL ORDER BY p.id LIMIT 1"
    },
    "/channels/{id}": {"": "SELECT id FROM channel WHERE id > 0 AND removed_at IS NULL ORDER BY id LIMIT 1"},
    "/prefixes/imports/{id}": {"": "SELECT max(id) FROM number_import"},
    "/prefixes/{id}": {"": "SELECT max(id) FROM number_override"},
    "/loadtest/{id}": {"": "SELECT max(id) FROM load_test WHERE state = 'done'"},
    "/unmatched/{id}": {"": "SELECT min(id) FROM receipt_orphan"},
    "/numbers/channels/{id}": {"": "SELECT id FROM channel WHERE id > 0 AND removed_at IS NULL ORDER BY id LIMIT 1"},
    "/routes/draft/pools/{n}": {"": "SELECT 0"},
    "/routes/draft/rules/{n}": {"": "SELECT 0"},
    "/routes/submitted/{id}": {"": "SELECT id FROM route_submission WHERE state = 'waiting'"},
    "/routes/versions/{id}": {"": "SELECT min(version) FROM route_version"},
    "/routes/retries/{fault}": {"": "SELECT 'network'"},
    "/routes/retries/network/{type}": {"": "SELECT 'otp'"},
    "/routes/retries/{id}/{type}": {"": "SELECT 'otp'"},
    "/channels/{id}/versions/{number}": {
        "": "SELECT max(number) FROM channel_version WHERE state = 'replaced' AND channel_id = "
        "(SELECT id FROM channel WHERE id > 0 AND removed_at IS NULL ORDER BY id LIMIT 1)"
    },
    "/words/{id}": {"": "SELECT id FROM word ORDER BY id LIMIT 1"},
    "/calls/refused/{id}": {"": "SELECT id FROM api_refused ORDER BY id DESC LIMIT 1"},
    "/webhooks/{id}": {
        "": "SELECT id FROM webhook WHERE name = 'main'", "failing": "SELECT id FROM webhook WHERE name = 'legacy'",
    },
    "/webhooks/-/way/{id}": {"": "SELECT account_id FROM webhook WHERE name = 'main'"},
    "/partners/{id}": {
        "": "SELECT id FROM partner WHERE protocol = 'cmpp'",
        "stopped": "SELECT id FROM partner WHERE status = 'stopped'",
    },
    "/keys/{id}": {"": "SELECT id FROM api_key ORDER BY id LIMIT 1"},
    "/alarms/{id}": {"": "SELECT id FROM alarm ORDER BY id LIMIT 1"},
    "/alarms/receivers/{id}": {"": "SELECT id FROM alarm_receiver WHERE kind = 'dingtalk' ORDER BY id LIMIT 1"},
    "/faults/{id}": {
        "": "SELECT id FROM fault WHERE closed_at IS NOT NULL ORDER BY id LIMIT 1",
        "open": "SELECT id FROM fault WHERE recovered_at IS NULL ORDER BY id LIMIT 1",
    },
    "/faults/-/of/{id}": {"": "SELECT id FROM alarm ORDER BY id DESC LIMIT 1"},
    "/tickets/{id}": {
        "": "SELECT id FROM ticket WHERE closed_at IS NULL ORDER BY id LIMIT 1",
        "closed": "SELECT id FROM ticket WHERE closed_at IS NOT NULL ORDER BY id LIMIT 1",
    },
    "/tickets/-/of/{id}": {"": _MESSAGE.format(state=41)},
    "/duty/{week}": {"": "SELECT to_char(date_trunc('week', now() AT TIME ZONE 'Asia/Shanghai'), 'YYYY-MM-DD')"},
    "/backups/{id}": {"": "SELECT id FROM backup WHERE tried_well ORDER BY id DESC LIMIT 1"},
    "/diagnostics/{id}": {"": "SELECT id FROM job WHERE kind = 'diagnostics' ORDER BY id LIMIT 1"},
    "/health-mail/sent/{id}": {"": "SELECT id FROM health_mail WHERE state = 'failed' LIMIT 1"},
    "/duty/contacts/{id}": {"": "SELECT id FROM support_contact ORDER BY id LIMIT 1"},
    "/board/screens/{id}": {"": "SELECT id FROM wall_screen ORDER BY until DESC LIMIT 1"},
    "/nodes/{id}": {"": "SELECT number FROM node ORDER BY number LIMIT 1"},
    "/alarms/rules/{id}": {"": "SELECT id FROM alarm_rule WHERE kind = 'success_low' AND object = ''"},
    "/alarms/silences/{id}": {"": "SELECT id FROM alarm_silence ORDER BY id LIMIT 1"},
    "/alarms/notes/{id}": {"": "SELECT id FROM alarm_note WHERE state = 'failed' ORDER BY id LIMIT 1"},
    "/staff/{id}": {"": "SELECT id FROM staff WHERE login = 'demo-operator'"},
    "/sessions/{id}": {"": "SELECT id FROM portal_session ORDER BY id DESC LIMIT 1"},
    "/departments/{id}": {"": "SELECT id FROM department WHERE parent_id IS NOT NULL ORDER BY id LIMIT 1"},
    "/users/{id}": {"": "SELECT id FROM staff WHERE login = 'demo-operator'"},
    "/roles/{id}": {"": "SELECT id FROM role WHERE NOT builtin ORDER BY id LIMIT 1"},
    "/pushes/{id}": {"": "SELECT id FROM customer_event WHERE dead_at IS NOT NULL ORDER BY id DESC LIMIT 1"},
    "/records/{id}": {
        "delivered": "SELECT id FROM part WHERE state = 40 AND part = 2 ORDER BY id DESC LIMIT 1",
        "failed": _MESSAGE.format(state=41), "held": _MESSAGE.format(state=1), "scheduled": _MESSAGE.format(state=2),
        "unknown": _MESSAGE.format(state=31),
        "retried": "SELECT id FROM attempt ORDER BY id DESC LIMIT 1",
        "refused": "SELECT id FROM part WHERE state = 45 AND by_us ORDER BY id DESC LIMIT 1",
    },
}  # fmt: skip
_SENT = "SELECT 'account=' || account_id || '&key=' || key FROM request_key WHERE kind = 'k' ORDER BY key LIMIT 1"
QUERIES: dict[str, dict[str, str]] = {
    # the path: {what is to be seen there: query for what stands behind its question mark}
    "/send/quick/result": {"": _SENT},
    "/send/quick/result/live": {"": _SENT},
    "/blocked/why": {
        "": "SELECT 'number=' || number || '&account=' || account_id FROM carrier_lift ORDER BY id DESC LIMIT 1"
    },
    "/records": {"": "SELECT 'time=7d'"},
    "/pushes": {"": "SELECT 'time=7d'"},
    "/tasks/report": {"": "SELECT 'task=' || task_id FROM task_chunk ORDER BY task_id DESC LIMIT 1"},
    "/tasks/problems": {"": "SELECT 'task=' || task_id FROM task_problem ORDER BY task_id LIMIT 1"},
}
ELSEWHERE = {
    "/login/step", "/setup", "/setup/brand", "/setup/administrator", "/send/quick/confirm", "/send/quick/edit",
    "/exported/{id}", "/palette", "/drafts/{id}", "/send/{id}/clean/file", "/tasks/{id}/rows",
    "/consents/{id}/proof/file", "/link-filings/proofs/{id}", "/link-filings/proofs/{id}/remove",
    "/link-tasks/{id}/file", "/short-links/{id}/qr.{kind}", "/signs/proofs/{id}", "/signs/proofs/{id}/remove",
    "/materials/{id}", "/materials/{id}/edit", "/materials/{id}/thumbnail", "/materials/{id}/content",
    "/channels/{id}/versions/{number}/approve", "/channels/{id}/versions/{number}/reject",
    "/optouts/undos/{id}", "/optouts/undos/{id}/number", "/optouts/undos/{id}/proof",
}  # fmt: skip
"""Addresses that are no pages: they lead back to a form when they are opened without one, give a file once, or are a
piece of whatever page is open; or they are about a file, of which the demo data have none,
or about the one version that waits."""
PIECE = "/-/"
"""In the address of what a list asks for itself, and of the pages that it leads to beside those of its rows."""
NO_PAGES = ("export", "template", "matrix", "pick")
"""What is behind it of files and of pieces of a page."""
WATCHED = {"/wall", "/wall/live"}
"""Open to screens on walls, and to who sees the board."""
ENTRANCE = {"/login"}
"""For those who have not logged in."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One address of the walk."""

    name: str
    """For files: from the route's path and what is to be seen."""
    route: Route
    address: str
    role: str
    """Whose person opens it; empty: nobody's."""


@dataclass(slots=True)
class Seen:
    """What was found at a stop."""

    name: str
    address: str
    role: str
    status: int = 0
    cold_octets: int = 0
    """On the wire, of everything that a browser without a cache loads, charts excepted."""
    chart_octets: int = 0
    warm_octets: int = 0
    """With what a browser keeps."""
    warm_ms: float = 0.0
    """From the request to the last octet of the page: the median."""
    ready_ms: float = 0.0
    """To the end of its load event: the median."""
    screens: float = 0.0
    sticks_out: bool = False
    console: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    axe: list[dict[str, Any]] = field(default_factory=list)

    @property
    def grave(self) -> list[str]:
        """Findings of axe that nobody should have to live with."""
        return _grave(self.axe)

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def pages() -> list[Route]:
    """What is opened with a browser's address line: no changes, nothing that pages ask for themselves."""
    found = [r for r in routes() if r.method == "GET" and not r.passive]
    return [r for r in found if (path := shape(r.path)) not in ELSEWHERE and (PIECE not in path or _leads(path))]


def _leads(path: str) -> bool:
    """Whether it is a page beside the rows of a list: a form; one that is about something has an example of it."""
    return path in EXAMPLES if "{" in path else not path.endswith(NO_PAGES)


def lists() -> set[str]:
    """Paths of the pages that are lists: those of the kit, and those with a table of their own."""
    made = {one.path for module in discovery.modules() for one in vars(module).values() if isinstance(one, ListPage)}
    return made | {"/channels", "/send/quick/result"}


def polls() -> list[Route]:
    """Pieces that pages ask for again and again; the sums of a list are asked for once."""
    return [r for r in routes() if r.method == "GET" and r.passive and not r.path.endswith("/-/total")]


def shape(path: str) -> str:
    """A route's path with nothing but the names of its parameters."""
    return re.sub(r"{(\w+)(?::(?:[^{}]|{[^{}]*})*)?}", r"{\1}", path)


_PLACE_HOLDER = re.compile(r"\{([a-z0-9]+)(?::((?:[^{}]|\{[^{}]*\})*))?\}")


def an_address(path: str, id_: str = "1") -> str:
    """That a route's path stands for."""

    def value(found: re.Match[str]) -> str:
        name, pattern = found[1], found[2] or ""
        if name in ("id", "number"):
            return id_
        plain = {"sha256": "0" * 64, "week": "2026-03-09"}
        first = pattern.partition("|")[0]
        return plain.get(name) or ("notice" if first.startswith("[a-z]") else first)

    return _PLACE_HOLDER.sub(value, path)


class NoExample(LookupError):
    """A route has a parameter of which the demo data, or the table of examples, has no value."""


async def stops(site: DemoSite, wanted: Sequence[Route]) -> list[Stop]:
    """Every address of these routes. Raises ``NoExample``."""
    found: list[Stop] = []
    for route in wanted:
        path = shape(route.path)
        addresses = await _addresses(site, path)
        role = _role(site, route, path)
        for what, address in addresses.items():
            name = re.sub(r"\W+", "-", f"{path} {what}").strip("-") or "home"
            found.append(Stop(name, route, address, role))
    return found


async def stops_there_are(site: DemoSite, wanted: Sequence[Route]) -> list[Stop]:
    """Those that a site without data has."""
    found: list[Stop] = []
    for route in wanted:
        with suppress(NoExample):
            found += await stops(site, [route])
    return found


def _role(site: DemoSite, route: Route, path: str) -> str:
    if path in ENTRANCE:
        return ""
    if path in WATCHED:
        return site.role_for(Permission.NODE_VIEW)
    return site.anybody if isinstance(route.action, Open) else site.role_for(route.action)


async def _addresses(site: DemoSite, path: str) -> dict[str, str]:
    found = {"": path}
    while "{" in next(iter(found.values())):
        found = await _filled(site, found)
    for what, query in QUERIES.get(path, {}).items():
        found = {f"{seen} {what}".strip(): f"{a}?{await _value(site, path, query)}" for seen, a in found.items()}
    return found


async def _filled(site: DemoSite, addresses: dict[str, str]) -> dict[str, str]:
    """The addresses with a value for their first parameter."""
    filled = {}
    for seen, address in addresses.items():
        upto = address[: address.index("}") + 1]
        key = address if address in EXAMPLES and address.count("{") == 1 else re.sub(r"/\d+(?=/)", "/{id}", upto)
        if key not in EXAMPLES:
            raise NoExample(f"{address}: no example for {key}; give one in EXAMPLES of tests/portal_walk.py")
        for what, query in EXAMPLES[key].items():
            value = await _value(site, key, query)
            filled[f"{seen} {what}".strip()] = upto[: upto.index("{")] + value + address[len(upto) :]
    return filled


async def _value(site: DemoSite, path: str, query: str) -> str:
    value = await site.database.fetchval(query)
    if value is None:
        raise NoExample(f"{path}: the demo data have nothing for {query}")
    return str(value)


# --- looking ---------------------------------------------------------------------------------------------------------

_LISTEN = """
window.smsgwViolations = [];
document.addEventListener("securitypolicyviolation",
    (e) => window.smsgwViolations.push(`${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`));
"""
_AXE_RUN = """
async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.map((v) => ({
    id: v.id, impact: v.impact, help: v.help, where: v.nodes.map((n) => n.target.join(" "))}))
"""
_HEIGHT = "document.documentElement.scrollHeight / window.innerHeight"
_STICKS_OUT = "document.documentElement.scrollWidth > window.innerWidth"
_TIMES = """
() => { const [n] = performance.getEntriesByType("navigation");
    return [n.responseEnd - n.requestStart, n.loadEventEnd - n.startTime]; }
"""
_TEN = f"""
() => {{
    const table = document.querySelector("main table[data-list]") ?? document.querySelector("main table.rows");
    const body = table?.tBodies[0], rows = [...(body?.rows ?? [])];
    rows.slice({LIST_ROWS}).forEach((row) => row.remove());
    for (let at = rows.length; rows.length && at < {LIST_ROWS}; at++)
        body.append(rows[at % rows.length].cloneNode(true));
    return body?.rows.length ?? 0;
}}
"""


_GONE = ("Execution context was destroyed", "axe is not defined")
"""What is said of a page that gives way to another while it is looked at."""
_LOADS = 3
"""Of a page by itself, at most."""


async def _patiently(page: Page, looks: Callable[[], Awaitable[None]]) -> None:
    """Look at a page; at the one that comes, if it loads itself again meanwhile, as one that waits does when there is
    something to show."""
    for _ in range(_LOADS):
        try:
            await looks()
            return
        except Error as error:
            if not any(said in str(error) for said in _GONE):
                raise
        await page.wait_for_timeout(200)  # until then the load state may be that of the page that is gone
        await page.wait_for_load_state()
    await looks()


async def _axe(page: Page) -> list[dict[str, Any]]:
    await page.evaluate(AXE.read_text("utf-8"))
    return list(await page.evaluate(_AXE_RUN))


def _grave(found: Sequence[dict[str, Any]]) -> list[str]:
    return [f"{f['id']}: {f['help']} ({', '.join(f['where'][:3])})" for f in found if f["impact"] in GRAVE]


async def shut_out(page: Page) -> list[str]:
    """What somebody would be shut out by, of a page as it is now."""
    return _grave(await _axe(page))


async def open_to_all(page: Page, moment: str) -> None:
    """Nobody is shut out of a page as it is at a moment of a story: with what was said to a form, with a dialog open.
    Where axe is not installed nothing is looked at, as with the walk of all pages, which says so."""
    if AXE.exists():
        assert await shut_out(page) == [], f"{moment}: {page.url}"


class Looker:
    """A browser's window with somebody's session, whose console and traffic are written down."""

    _session: CDPSession

    def __init__(self, page: Page) -> None:
        self.page = page
        self._console: list[str] = []
        self._octets: dict[str, int] = {}
        self._urls: dict[str, str] = {}
        page.on("console", lambda m: self._console.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: self._console.append(str(e)))

    async def watch(self) -> None:
        """Begin to count what is on the wire."""
        self._session = session = await self.page.context.new_cdp_session(self.page)
        await session.send("Network.enable")
        session.on("Network.requestWillBeSent", lambda e: self._urls.update({e["requestId"]: e["request"]["url"]}))
        session.on("Network.loadingFinished", self._finished)
        await self.page.add_init_script(_LISTEN)

    def _finished(self, event: dict[str, Any]) -> None:
        url = self._urls.get(event["requestId"], "")
        self._octets[url] = self._octets.get(url, 0) + int(event["encodedDataLength"])

    async def resize(self, size: str) -> None:
        """Make it a window of another size."""
        width, height = SIZES[size]
        await self.page.set_viewport_size({"width": width, "height": height})

    async def look(self, stop: Stop, *, times: int = 0, cold: bool = False) -> Seen:
        """Open an address, ``cold`` with nothing kept of former pages; ``times`` is how often more it is opened to see
        how long it takes."""
        seen = Seen(stop.name, stop.address, stop.role)
        self._console.clear()
        if cold:
            await self._session.send("Network.clearBrowserCache")
        await self._open(stop, seen)
        seen.chart_octets = sum(n for url, n in self._octets.items() if "echarts" in url)
        seen.cold_octets = sum(self._octets.values()) - seen.chart_octets
        took = []
        for _ in range(times):
            await self._open(stop, seen)
            took.append(await self.page.evaluate(_TIMES))
        if took:
            seen.warm_octets = sum(self._octets.values())
            seen.warm_ms, seen.ready_ms = (round(statistics.median(each), 1) for each in zip(*took, strict=True))
        await _patiently(self.page, lambda: self._measure(seen))
        if stop.role and await self.page.locator("#palette").count():  # every page has it beside its own dialogs
            await self.page.keyboard.press("Control+k")
            await self.page.keyboard.press("Escape")
        seen.console = list(self._console)
        return seen

    async def _measure(self, seen: Seen) -> None:
        seen.sticks_out = await self.page.evaluate(_STICKS_OUT)
        seen.axe = await _axe(self.page)
        seen.violations = await self.page.evaluate("window.smsgwViolations")
        seen.screens = round(await self.page.evaluate(_HEIGHT), 2)

    async def _open(self, stop: Stop, seen: Seen) -> None:
        self._octets.clear()
        try:
            response = await self.page.goto(stop.address, wait_until="load")
        except Error as exc:  # the page before has asked for itself again, or led on, in the same moment
            if "ERR_ABORTED" not in str(exc) and "interrupted by another navigation" not in str(exc):
                raise
            response = await self.page.goto(stop.address, wait_until="load")
        seen.status = response.status if response else 0
        await _patiently(self.page, lambda: self.page.evaluate("document.fonts.ready.then(() => true)"))

    async def screens_of_ten(self) -> float:
        """Height in screens of a list with ``LIST_ROWS`` rows, no more and no less: those that there are come again.
        Raises ``LookupError`` for one that has no table, or nothing in it."""
        if await self.page.evaluate(_TEN) != LIST_ROWS:
            raise LookupError(f"{self.page.url}: no row of a list")
        return float(await self.page.evaluate(_HEIGHT))


@asynccontextmanager
async def window(
    browser: Browser, site: DemoSite, size: str, *, language: str = "zh", theme: str = "light", role: str = ""
) -> AsyncIterator[Looker]:
    """A window of that size, in that language and those colours, with the role's person logged in."""
    width, height = SIZES[size]
    context = await browser.new_context(
        viewport={"width": width, "height": height}, base_url=site.url, locale="zh-CN", reduced_motion="reduce",
        color_scheme="dark" if theme == "dark" else "light", timezone_id="Asia/Shanghai",
    )  # fmt: skip
    context.set_default_timeout(60_000)
    await context.add_cookies([{"name": "smsgw-language", "value": language, "url": site.url},
                               {"name": "smsgw-theme", "value": theme, "url": site.url}])  # fmt: skip
    try:
        if role:
            await log_in(context, site.login_of(role))
        looker = Looker(await context.new_page())
        await looker.watch()
        yield looker
    finally:
        await context.close()


async def log_in(context: BrowserContext, login: str, password: str = PASSWORD) -> None:
    """In a page of its own, so that nothing of it is counted."""
    page = await context.new_page()
    await page.goto("/login")
    await page.fill("#login", login)
    await page.fill("#password", password)
    await page.click("form.entry-form button[type=submit]")
    await page.wait_for_url(lambda url: "/login" not in url)
    await page.close()


async def poll_octets(looker: Looker, stop: Stop) -> tuple[int, int]:
    """Status and octets on the wire, headers too, of a poll that has nothing new: asked as a page asks it. The site is
    alive, so there may be news once or twice, but not ``POLLS`` times in a row."""
    request = looker.page.context.request
    headers = {"HX-Request": "true", "Accept-Encoding": "gzip"}
    answer = await request.get(stop.address, headers=headers)
    for _ in range(POLLS):
        if piece := answer.headers.get("x-piece"):
            headers["X-Have"] = piece
        answer = await request.get(stop.address, headers=headers)
        if answer.status == 204 or not piece:
            break
    wire = sum(len(h["name"]) + len(h["value"]) + 4 for h in answer.headers_array)
    return answer.status, len("HTTP/1.1 204 No Content\r\n\r\n") + wire + len(await answer.body())


def write_json(path: Path, value: Any) -> None:
    """A file for people and programs."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", "utf-8")
