"""Two ways to use a page: with the mouse, and with the keyboard alone. Both do what a person does, by selectors."""

from __future__ import annotations

from playwright.async_api import Locator, Page, expect

MOST_TABS = 400
"""From the beginning of a page to anything on it."""


class Mouse:
    """By clicks; each thing is waited for."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def fill(self, where: str, text: str) -> None:
        """Put a text into a field, in the place of what is there."""
        await self.page.fill(where, text)

    async def press(self, where: str) -> None:
        """Follow a link, press a button, open or close what has a summary."""
        await self.page.click(where)

    async def tick(self, where: str) -> None:
        await self.page.click(where)

    async def choose(self, where: str, value: str) -> None:
        await self.page.select_option(where, value)


class Keyboard:
    """By Tab, Enter, Space, arrows and letters; nothing is clicked, focused or set by a script."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def _reach(self, where: str) -> Locator:
        target = self.page.locator(where)
        await expect(target).to_be_visible()
        for _ in range(MOST_TABS):
            if await target.evaluate("e => e === document.activeElement"):
                return target
            await self.page.keyboard.press("Tab")
        raise AssertionError(f"{self.page.url}: the keyboard does not get to {where}")

    async def fill(self, where: str, text: str) -> None:
        await self._reach(where)
        await self.page.keyboard.press("Control+A")
        await self.page.keyboard.type(text)

    async def press(self, where: str) -> None:
        await self._reach(where)
        await self.page.keyboard.press("Enter")

    async def tick(self, where: str) -> None:
        await self._reach(where)
        await self.page.keyboard.press("Space")

    async def choose(self, where: str, value: str) -> None:
        target = await self._reach(where)
        for _ in range(await target.locator("option").count()):
            if await target.input_value() == value:
                return
            await self.page.keyboard.press("ArrowDown")
        assert await target.input_value() == value, f"{where} has no {value}"


Hand = Mouse | Keyboard
