"""A chain of hops (消息回落) as the fields of a form: of a scenario, and of a task that has not begun."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from smsgw.admin.kit.forms import Input, InputKind, Inputs
from smsgw.admin.words import fallback as words
from smsgw.core.fallback import MOST_HOPS, MOST_MINUTES, MOST_POOL, MOST_TEXT, Chain, When, chain_of
from smsgw.platform.drafts.model import State
from smsgw.platform.drafts.wanted import chain_fields, chain_in

_HOPS = range(1, MOST_HOPS + 1)


def _hop(n: int) -> Inputs:
    hop = f"hop{n}_"
    return Inputs((
        Input(f"{hop}content", InputKind.LINES, "hop_content", help=words.CONTENT_HELP, most=MOST_TEXT),
        Input(f"{hop}template", InputKind.CHOICE, "hop_template"),
        Input(f"{hop}when", InputKind.CHOICE, "hop_when", help=words.WHEN_HELP, choices=words.WHEN),
        Input(f"{hop}sign", label="hop_sign", help=words.SIGN_HELP, most=22),
        Input(f"{hop}prefer", label="hop_prefer", most=MOST_POOL),
    ), words.HEADINGS[n], words.HELP if n == 1 else "")  # fmt: skip


SECTIONS = (
    *map(_hop, _HOPS),
    Inputs((Input("fallback_minutes", InputKind.NUMBER, help=words.MINUTES_HELP, least=1, most=MOST_MINUTES),),
            words.HEADING_TIME),
)  # fmt: skip


def choices(templates: Mapping[str, str], kept: Mapping[str, Any] | None = None) -> dict[str, Mapping[str, str]]:
    """Of the templates of all hops, with those of a chain that is ``kept``, which need not be among them."""
    own = {name: str(value) for name, value in fields(kept).items() if name.endswith("_template") and value}
    return {
        name: templates if name not in own else {own[name]: f"#{own[name]}", **templates}
        for name in (f"hop{n}_template" for n in _HOPS)
    }


def fields(kept: Mapping[str, Any] | None) -> dict[str, str]:
    """A chain as the form shows it."""
    return {f"hop{n}_when": When.ANY.value for n in _HOPS} | chain_fields(kept)


def typed(values: Mapping[str, Any]) -> Chain | None:
    """What was typed of it; hops without text and template are none. ``PARAM_INVALID`` at the form's field."""
    texts = {key: str(value or "") for key, value in values.items() if key.startswith(("hop", "fallback"))}
    kept = chain_in(msgspec.convert({**texts, "fallback": "1" if places(values) else ""}, State))
    return None if kept is None else chain_of(kept)


def places(values: Mapping[str, Any]) -> list[int]:
    """Of the form, those of the hops that there are."""
    return [n for n in _HOPS if values[f"hop{n}_content"] or values[f"hop{n}_template"]]
