"""What a page is to show it has the time for that a machine with much else to do needs."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="session")
def patient() -> None:
    """Also of whoever waits for a page without saying how long."""
    from playwright.async_api import expect

    expect.set_options(timeout=60_000)
