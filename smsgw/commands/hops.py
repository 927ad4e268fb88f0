"""Chains of hops (消息回落) as commands take them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from smsgw.core.fallback import MOST_MINUTES, USUAL_MINUTES

_HOP = re.compile(r"(any|failed|expired)(?:@([^:@\s]{1,64}))?:(?:#([0-9]{1,18})|(.+))", re.DOTALL)


def _hops(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> list[dict[str, Any]]:
    found = []
    for text in given:
        hop = _HOP.fullmatch(text)
        if hop is None:
            raise click.BadParameter(f"{text}: should be like failed:TEXT, expired@POOL:TEXT or any:#TEMPLATE")
        when, pool, template, content = hop.groups()
        found.append({
            "when": when, "prefer": pool or "", "template_id": int(template) if template else None,
            "content": content or "",
        })  # fmt: skip
    return found


def hop_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--hop`` and ``--hop-minutes``."""
    for option in (
        click.option("--hop-minutes", type=click.IntRange(1, MOST_MINUTES), default=USUAL_MINUTES, show_default=True,
                     help="From the first message on; no hop is taken after."),
        click.option("--hop", "hops", multiple=True, callback=_hops,
                     help="WHEN[@POOL]:TEXT or WHEN[@POOL]:#TEMPLATE, sent when the one before has definitely failed; "
                          "WHEN is any, failed or expired. Up to three, in order."),
    ):  # fmt: skip
        function = option(function)
    return function


def chain(hops: list[dict[str, Any]], minutes: int) -> dict[str, Any] | None:
    """As the engine takes it; None: no hops."""
    return {"hops": hops, "minutes": minutes} if hops else None
