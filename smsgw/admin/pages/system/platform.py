"""Platform settings (P13.1, 平台设置): whose platform it is, by host: drafts, pictures, certificates, publishing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.brand import Shown, picture_answer, style_of
from smsgw.admin.kit.details import differences
from smsgw.admin.kit.forms import Filled, Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import refusal
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.pieces import field_alone
from smsgw.admin.kit.toasts import ToastKind
from smsgw.admin.rights import Proof, route
from smsgw.admin.words import brand as words
from smsgw.core.brand import ANY_HOST, LONGEST, Look, contrast, name_of
from smsgw.core.errors import SmsgwError
from smsgw.core.permissions import Permission
from smsgw.platform.brand import queries, service
from smsgw.platform.brand.model import BrandEntry, CertificateInfo
from smsgw.platform.brand.pictures import MAX_OCTETS
from smsgw.runtime import clock

PAGE = "/platform"
ONE = PAGE + r"/{id:[1-9]\d{0,17}}"
MENU = Entry("system.platform", PAGE, Permission.SETTING_VIEW)
SOON = timedelta(days=30)
"""A certificate that ends within it is to be renewed."""
MAX_PEM_TEXT = 100_000
VIEW, EDIT = Permission.SETTING_VIEW, Permission.SETTING_EDIT


def _text(key: str, kind: InputKind = InputKind.TEXT, **more: Any) -> Input:
    return Input(key, kind, most=LONGEST[key], **more)


FORM = Form(
    (
        Inputs(
            (_text("name", label="brand_name", required=True), _text("purchaser")), words.IDENTITY, words.IDENTITY_HELP
        ),
        Inputs(
            (
                Input(
                    "colour",
                    required=True,
                    most=7,
                    pattern="#[0-9a-fA-F]{6}",
                    problem=words.COLOUR_PROBLEM,
                    help=words.COLOUR_HELP,
                ),
                Input("login_style", InputKind.CHOICE, required=True, choices=words.STYLES),
            ),
            words.LOOKS,
        ),
        Inputs(
            (_text("welcome", InputKind.LINES), _text("footer", InputKind.LINES), _text("icp", help=words.ICP_HELP)),
            words.WORDS,
        ),
        Inputs(
            (_text("support_name"), _text("support_phone"), _text("support_mail", InputKind.EMAIL)),
            words.SUPPORT,
            words.SUPPORT_HELP,
        ),
    )
)


async def _brand(call: Call) -> BrandEntry:
    found = await queries.brand(call.db, int(call.request.match_info["id"]))
    if found is None:
        raise web.HTTPNotFound
    return found


def _address(brand: BrandEntry, more: str = "") -> str:
    return f"{PAGE}/{brand.id}{more}"


@route("GET", PAGE, VIEW)
async def show_all(call: Call) -> web.StreamResponse:
    """All brands with their hosts and states, and the form of a new one."""
    return await _all(call)


async def _all(call: Call, *, typed: str = "", error: str = "") -> web.Response:
    brands = await queries.brands(call.db)
    warnings = {brand.id: warnings_of(brand.hosts, brand.certificate) for brand in brands}
    return call.render(
        "system/brands.html", status=422 if error else 200, brands=brands, warnings=warnings, typed=typed, error=error,
        here=name_of(call.request.host), pictures=_PICTURE, may=call.may(EDIT),
    )  # fmt: skip


@route("POST", PAGE, EDIT)
async def add(call: Call) -> web.StreamResponse:
    """Make a brand for some hosts."""
    typed = str((await call.request.post()).get("hosts", ""))[:10_000]
    try:
        id_ = await service.add(call.change(), typed.split())
    except SmsgwError as exc:
        return await _all(call, typed=typed, error=refusal(call, exc))
    call.toast(call.gettext(words.ADDED))
    return call.redirect(f"{PAGE}/{id_}")


@route("GET", ONE, VIEW)
async def show(call: Call) -> web.StreamResponse:
    """One brand: its draft as a form, pictures, hosts, certificate."""
    brand = await _brand(call)
    return _one(call, brand, FORM.blank(asdict(brand.draft)))


def _one(call: Call, brand: BrandEntry, filled: Filled, *, hosts: str = "", error: str = "") -> web.Response:
    look = brand.draft
    return call.render(
        "system/brand.html", status=422 if error or not filled.good else 200, brand=brand, filled=filled, error=error,
        hosts=hosts or "\n".join(brand.hosts), warnings=warnings_of(brand.hosts, brand.certificate), pictures=_PICTURE,
        most=MAX_OCTETS // 1024, on_white=contrast(look.colour, "#ffffff"),
        changes=len(_changes(brand)), may=call.may(EDIT),
    )  # fmt: skip


@route("POST", ONE, EDIT)
async def save(call: Call) -> web.StreamResponse:
    """Keep the draft."""
    brand, data = await _brand(call), await call.request.post()
    filled = FORM.read(data)
    if (alone := field_alone(call, filled, data)) is not None:
        return alone
    if filled.good:
        try:
            await service.draft(call.change(), brand.id, filled.values)
            call.toast(call.gettext(words.SAVED))
            return call.redirect(_address(brand))
        except SmsgwError as exc:
            filled.refuse(exc, refusal(call, exc))
    return _one(call, brand, filled)


@route("POST", ONE + "/hosts", EDIT)
async def set_hosts(call: Call) -> web.StreamResponse:
    """Put other hosts in the place of those before."""
    brand = await _brand(call)
    typed = str((await call.request.post()).get("hosts", ""))[:10_000]
    try:
        await service.set_hosts(call.change(), brand.id, typed.split())
    except SmsgwError as exc:
        return _one(call, brand, FORM.blank(asdict(brand.draft)), hosts=typed, error=refusal(call, exc))
    call.toast(call.gettext(words.HOSTS_SAVED))
    return call.redirect(_address(brand))


# --- pictures --------------------------------------------------------------------------------------------------------

_PICTURE = PAGE + "/-/picture/"
_WHICH = "/picture/{which:logo|icon|picture}"


@route("POST", ONE + _WHICH, EDIT, files=MAX_OCTETS)
async def put_picture(call: Call) -> web.StreamResponse:
    """Take a picture into the draft."""
    brand = await _brand(call)
    octets = await call.file(MAX_OCTETS)
    try:
        if octets:
            sha256 = await service.put_picture(call.change(), octets)
            await service.draft(call.change(), brand.id, {call.request.match_info["which"]: sha256})
        call.toast(
            call.gettext(words.PICTURE_SAVED if octets else words.NO_FILE), ToastKind.GOOD if octets else ToastKind.BAD
        )
    except SmsgwError as exc:
        call.toast(refusal(call, exc), ToastKind.BAD)
    return call.redirect(_address(brand) + "#pictures")


@route("POST", ONE + _WHICH + "/remove", EDIT)
async def remove_picture(call: Call) -> web.StreamResponse:
    """Take a picture out of the draft."""
    brand = await _brand(call)
    await service.draft(call.change(), brand.id, {call.request.match_info["which"]: ""})
    call.toast(call.gettext(words.PICTURE_REMOVED))
    return call.redirect(_address(brand) + "#pictures")


@route("GET", _PICTURE + "{sha256:[0-9a-f]{64}}", VIEW)
async def picture(call: Call) -> web.StreamResponse:
    """A picture of a draft, for those who see drafts."""
    found = await queries.picture(call.db, call.request.match_info["sha256"])
    if found is None:
        raise web.HTTPNotFound
    return picture_answer(found, cached="private, max-age=3600")


# --- certificate -----------------------------------------------------------------------------------------------------


def warnings_of(hosts: tuple[str, ...], certificate: CertificateInfo | None) -> dict[str, Any]:
    """What is wrong with a certificate: hosts that it does not name, and whether it ends soon or has ended."""
    if certificate is None:
        return {"missing": [], "ended": False, "soon": False, "days": 0}
    missing = [host for host in hosts if host != ANY_HOST and not _names(certificate.names, host)]
    left = certificate.ends - clock.now()
    return {"missing": missing, "ended": left <= timedelta(0), "soon": left <= SOON, "days": max(left.days, 0)}


def _names(names: tuple[str, ...], host: str) -> bool:
    known = {name.lower() for name in names}
    return host in known or f"*.{host.partition('.')[2]}" in known


@route("POST", ONE + "/certificate", EDIT, step_up=Proof.PASSWORD)
async def put_certificate(call: Call) -> web.StreamResponse:
    """Take a certificate and its key for the brand's hosts."""
    brand, form = await _brand(call), await call.request.post()
    chain, key = (str(form.get(name, ""))[:MAX_PEM_TEXT] for name in ("chain", "key"))
    try:
        await service.put_certificate(call.change(), brand.id, chain, key, call.portal.context.sealer)
    except SmsgwError as exc:
        return _one(call, brand, FORM.blank(asdict(brand.draft)), error=refusal(call, exc))
    call.toast(call.gettext(words.CERTIFICATE_SAVED))
    return call.redirect(_address(brand) + "#certificate")


@route("POST", ONE + "/certificate/remove", EDIT, step_up=Proof.PASSWORD)
async def remove_certificate(call: Call) -> web.StreamResponse:
    """Go back to the listener's own certificate."""
    brand = await _brand(call)
    await service.remove_certificate(call.change(), brand.id)
    call.toast(call.gettext(words.CERTIFICATE_REMOVED))
    return call.redirect(_address(brand) + "#certificate")


# --- looking before it counts ----------------------------------------------------------------------------------------


def _drafted(brand: BrandEntry) -> Shown:
    return Shown(brand.draft, f"{PAGE}/-/style/{brand.id}", _PICTURE, draft=True)


@route("GET", PAGE + r"/-/style/{id:[1-9]\d{0,17}}", VIEW)
async def style(call: Call) -> web.StreamResponse:
    """The draft's style sheet."""
    return web.Response(text=style_of((await _brand(call)).draft, _PICTURE), content_type="text/css")


@route("GET", ONE + "/preview", VIEW)
async def preview_entry(call: Call) -> web.StreamResponse:
    """The login page as the draft would have it."""
    call.preview(_drafted(await _brand(call)))
    return call.render("entry/login.html", onward="/", login="", error="")


@route("GET", ONE + "/preview/inside", VIEW)
async def preview_inside(call: Call) -> web.StreamResponse:
    """A page behind the login as the draft would have it."""
    brand = await _brand(call)
    call.preview(_drafted(brand))
    return call.render("system/brand_inside.html", brand=brand)


@route("GET", ONE + "/{what:publish|discard|remove}", EDIT, step_up=Proof.PASSWORD)
async def ask(call: Call) -> web.StreamResponse:
    """What an action would do, before it is done."""
    brand, asked = await _brand(call), words.ASKED[call.request.match_info["what"]]
    changes = _changes(brand)
    values = {"hosts": ", ".join(brand.hosts), "n": len(changes)}
    nothing = not asked.danger and not brand.changed
    return call.render(
        "system/brand_ask.html", brand=brand, asked=asked, values=values, differences=changes, nothing=nothing
    )


def _changes(brand: BrandEntry) -> list[Any]:
    before: Mapping[str, Any] = asdict(brand.published or Look())
    return [one for one in differences(before, asdict(brand.draft)) if one.changed]


_DO = {"publish": service.publish, "discard": service.discard, "remove": service.remove}


@route("POST", ONE + "/{what:publish|discard|remove}", EDIT, step_up=Proof.PASSWORD)
async def act(call: Call) -> web.StreamResponse:
    """Do it."""
    brand, what = await _brand(call), call.request.match_info["what"]
    await _DO[what](call.change(), brand.id)
    call.toast(call.gettext(words.ASKED[what].done))
    return call.redirect(PAGE if what == "remove" else _address(brand))
