"""What people do wrong in the portal, for pictures of what it says then: forms sent with nonsense, lists asked for with
wrong filters, pages that are not there or not for them, too many passwords, and no database."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Any

from playwright.async_api import Error, Page
from portal_walk import Stop

NONSENSE = "###"
TRIES = 30
"""Of wrong passwords, until whoever gives them is told to wait."""

_WRONG = """
(nonsense) => {
    const texts = "input[type=text], input:not([type]), input[type=password], textarea";
    const has = (form) => form.method === "post" && form.querySelector("[type=submit]")
        && !form.closest(".tool, .tools, .toasts")
        && [...form.querySelectorAll(texts)].some((one) => one.offsetParent && !one.readOnly);
    const form = [...document.querySelectorAll("main form, form.entry-form")].find(has);
    if (!form) return false;
    const fields = [...form.querySelectorAll(texts)].filter((one) => one.offsetParent);
    const must = fields.some((one) => one.required);
    for (const one of fields) one.value = one.required ? "" : nonsense;
    if (!must && !form.querySelector("textarea")) return false;
    form.noValidate = true;
    form.querySelectorAll("[required]").forEach((one) => one.removeAttribute("required"));
    form.setAttribute("data-wrong", "");
    return true;
}
"""
_FILTERS = """
() => [...document.querySelectorAll(".kit-filter input")]
    .filter((one) => ["text", "date"].includes(one.type) && one.name).map((one) => one.name)
"""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One: at a stop, after what was done there."""

    stop: Stop
    do: Callable[[Page], Coroutine[Any, Any, bool]]
    """Does it on the page of the stop; false: there is nothing to do wrong."""


def _named(stop: Stop, what: str) -> Stop:
    return replace(stop, name=f"{stop.name}-{what}")


async def _send_nonsense(page: Page) -> bool:
    if not await page.evaluate(_WRONG, NONSENSE):
        return False
    async with page.expect_navigation(wait_until="load"):
        await page.evaluate("document.querySelector('form[data-wrong]').submit()")
    return True


async def _filter_nonsense(page: Page) -> bool:
    try:
        names = await page.evaluate(_FILTERS)
    except Error as error:  # a page that leads on by itself as soon as what it waits for is there
        if "navigation" not in str(error):
            raise
        await page.wait_for_load_state("load")
        names = await page.evaluate(_FILTERS)
    if not names:
        return False
    await page.goto(f"{page.url.partition('?')[0]}?" + "&".join(f"{name}=%23%23%23" for name in names))
    return True


async def _nothing(_: Page) -> bool:
    return True


async def _guess(page: Page) -> bool:
    """Wrong passwords until the portal asks for patience."""
    for _ in range(TRIES):
        await page.fill("#login", "somebody")
        await page.fill("#password", "wrong")
        async with page.expect_navigation(wait_until="load") as gone:
            await page.click("form.entry-form button[type=submit]")
        response = await gone.value
        if response and response.status == 429:
            return True
    return False


async def _old_page(page: Page) -> bool:
    """A form of somebody else's page: its token is wrong."""
    await page.evaluate("document.querySelectorAll('main [name=csrf]').forEach((e) => e.value = 'x')")
    form = page.locator("main form[method=post]").first
    async with page.expect_navigation(wait_until="load"):
        await form.evaluate("(form) => form.submit()")
    return True


def mistakes(found: list[Stop]) -> Iterator[Mistake]:
    """All of them, of pages that there are. Forms come last: one may be taken as good."""
    yield from refusals(found)
    yield from wrong_filters(found)
    yield from wrong_forms(found)


def refusals(found: list[Stop]) -> Iterator[Mistake]:
    """Pages that are not there or not for the person, an old page's form, too many passwords."""
    by = {stop.name: stop for stop in found}
    if "audit" in by:
        yield Mistake(replace(by["audit"], name="not-there", address="/not-there"), _nothing)
    if "roles" in by:
        yield Mistake(replace(by["roles"], name="not-for-me", role="operator"), _nothing)
    if "records" in by:
        yield Mistake(replace(by["records"], name="no-such-row", address="/records/1"), _nothing)
    if "password" in by:
        yield Mistake(_named(by["password"], "old-page"), _old_page)
    if "login" in by:
        yield Mistake(_named(by["login"], "too-often"), _guess)


def wrong_filters(found: list[Stop]) -> Iterator[Mistake]:
    for stop in found:
        yield Mistake(_named(stop, "wrong-filter"), _filter_nonsense)


def wrong_forms(found: list[Stop]) -> Iterator[Mistake]:
    for stop in found:
        if stop.name not in ("proof", "_ui"):
            yield Mistake(_named(stop, "wrong"), _send_nonsense)
