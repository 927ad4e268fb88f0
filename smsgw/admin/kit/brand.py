"""What a brand is to browsers: a style sheet with its colours, its pictures, its name; by the name of the host."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from smsgw.core.brand import NEUTRAL, LoginStyle, Look, contrast
from smsgw.platform.brand import queries
from smsgw.platform.brand.model import Picture

if TYPE_CHECKING:
    from smsgw.pipeline.snapshot import Snapshots
    from smsgw.platform.handles import Database

STYLE = "/brand.css"
PICTURES = "/brand/"
REGISTER = "https://beian.miit.gov.cn/"
"""The ministry's register of ICP filings, where every filing number has to lead."""
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""Content security policy of a picture: an SVG that is opened by itself runs nothing and loads nothing."""
FOREVER = "public, max-age=31536000, immutable"
LIGHT_GROUND, DARK_GROUND = "#ffffff", "#18212d"
"""What text stands on, light and dark (``css/tokens.css``)."""
_READABLE = 4.5
"""Contrast of text on its ground (WCAG 2.2, 1.4.3)."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Shown:
    """A look, and where its style sheet and its pictures lie."""

    look: Look = NEUTRAL
    style: str = ""
    """Address; empty: it has none of its own."""
    pictures: str = PICTURES
    draft: bool = False
    """Whether it is shown to its editor alone."""

    @property
    def logo(self) -> str:
        """Address of the logo; empty: it has none."""
        return self.pictures + self.look.logo if self.look.logo else ""

    @property
    def icon(self) -> str:
        """Address of what stands beside the title in a browser's tab; the logo where there is nothing else."""
        return self.pictures + self.look.icon if self.look.icon else self.logo

    @property
    def centred(self) -> bool:
        """Whether the login form stands in the middle. What is nobody's keeps the program's own page."""
        return self.look != NEUTRAL and self.look.login_style is LoginStyle.CENTRED


def shown(look: Look) -> Shown:
    """A published look."""
    if look == NEUTRAL:
        return Shown()
    return Shown(look, f"{STYLE}?v={_version(style_of(look))}")


def style_of(look: Look, pictures: str = PICTURES) -> str:
    """The style sheet of a look. Colours of text are taken as far to black or white as it takes to read them; what is
    pressed has the colour itself, with ink that can be read on it."""
    if look == NEUTRAL:
        return ""
    rules = []
    for mode, ground, towards in (("", LIGHT_GROUND, "#000000"), ('[data-bs-theme="dark"]', DARK_GROUND, "#ffffff")):
        text = readable(look.colour, ground, towards)
        strong = mixed(text, towards, 0.2)
        ink = "#ffffff" if contrast(text, "#ffffff") >= contrast(text, "#000000") else "#000000"
        rule = (
            f":root{mode}{{--brand:{text};--brand-strong:{strong};--on-brand:{ink};"
            f"--brand-soft:{mixed(text, ground, 0.9)};--brand-line:{mixed(text, ground, 0.7)}}}"
        )
        rules.append(f"@media screen{{{rule}}}" if mode else rule)  # nothing is dark on paper
    pressed = mixed(look.colour, "#000000" if look.ink == "#ffffff" else "#ffffff", 0.15)
    names = {"": look.colour, "hover-": pressed, "active-": pressed, "disabled-": look.colour}
    button = ";".join(
        f"--bs-btn-{state}color:{look.ink};--bs-btn-{state}bg:{colour};--bs-btn-{state}border-color:{colour}"
        for state, colour in names.items()
    )
    rules.append(f".btn-primary{{{button}}}")
    rules.append(_entrance(look, pictures))
    return "\n".join(rules) + "\n"


def _entrance(look: Look, pictures: str) -> str:
    """The large side of the login page: the picture under a veil that keeps words readable, or the colour."""
    dark = readable(look.colour, "#ffffff", "#000000", 7.0)
    if not look.picture:
        return f".entry-art{{background:linear-gradient(150deg,{mixed(dark, '#000000', 0.5)},{dark})}}"
    veil = "linear-gradient(rgba(0,0,0,.58),rgba(0,0,0,.58))"
    return f'.entry-art{{background:{veil},url("{pictures}{look.picture}") center/cover no-repeat {dark}}}'


def readable(colour: str, ground: str, towards: str, wanted: float = _READABLE) -> str:
    """The colour, mixed with another as little as it takes to be read on a ground."""
    for step in range(21):
        found = mixed(colour, towards, step / 20)
        if contrast(found, ground) >= wanted:
            return found
    return towards


def mixed(colour: str, other: str, part: float) -> str:
    """A colour with a part of another, 0 to 1."""
    pairs = ((int(colour[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in pairs)


def picture_answer(found: Picture, *, cached: str = FOREVER) -> web.Response:
    """A picture with the type that was found by its content, and nothing that it could do."""
    headers = {"Content-Security-Policy": PICTURE_POLICY, "Cache-Control": cached}
    return web.Response(body=found.octets, content_type=found.media_type, headers=headers)


def _version(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class BrandFiles:
    """What belongs to published brands, for everybody: style sheets and pictures."""

    def __init__(self, database: Database, snapshots: Snapshots) -> None:
        self._database, self._snapshots = database, snapshots

    async def style(self, request: web.Request) -> web.StreamResponse:
        """``GET /brand.css``: of the host that it is asked at; kept for good under its version."""
        text = style_of(self._snapshots.current.brands.look(request.host))
        current = request.query.get("v") == _version(text)
        headers = {"Cache-Control": FOREVER if current else "no-cache"}
        return web.Response(text=text, content_type="text/css", headers=headers)

    async def picture(self, request: web.Request) -> web.StreamResponse:
        """``GET /brand/{sha256}``: one that some brand shows."""
        sha256 = request.match_info["sha256"]
        found = None
        if _SHA256.fullmatch(sha256) and sha256 in self._snapshots.current.brands.pictures:
            found = await queries.picture(self._database, sha256)
        if found is None:
            raise web.HTTPNotFound
        return picture_answer(found)

    async def icon(self, request: web.Request) -> web.StreamResponse:
        """``GET /favicon.ico``, of browsers that do not read the page: the host's icon, or nothing."""
        at = shown(self._snapshots.current.brands.look(request.host)).icon
        cached = {"Cache-Control": "public, max-age=3600"}
        if at:
            return web.Response(status=302, headers={"Location": at} | cached)
        return web.Response(status=204, headers=cached)
