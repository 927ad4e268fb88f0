"""Step-up: before something dangerous a person shows again who they are, and goes on with what they were doing.

Which routes ask for it is declared with them (``rights.Proof``). A page is asked for before it is shown, so that a form
is filled in after the proof. A change whose proof has lapsed meanwhile is not lost: its fields stand in the form of the
proof, and come back to their own address with it (307), where they are checked as ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call, local_path
from smsgw.admin.kit.forms import ONE_FIELD
from smsgw.admin.kit.pieces import in_dialog
from smsgw.admin.rights import Proof, Route
from smsgw.admin.security import CSRF_FIELD
from smsgw.platform.first_run import queries as first_run
from smsgw.platform.login import queries as login_queries
from smsgw.platform.login.model import STRONG, Factor
from smsgw.runtime import clock

GOOD_FOR = timedelta(minutes=10)
PREFIX = "proof-"
"""Of the fields that are the proof's own; no other form has such names."""
ASKS = "X-Proof"
"""Header of an answer that asks for a proof: which one."""
PASSWORD = "password"  # noqa: S105 - a name of a way


@dataclass(frozen=True, slots=True)
class Asked:
    """A proof that is asked for, and what waits for it."""

    proof: Proof
    onward: str
    """The address to go on to."""
    back: str = "/"
    """Where to go without a proof."""
    kept: Sequence[tuple[str, str]] | None = None
    """Fields of the change that waits; None: an address is to be opened."""

    @classmethod
    def of_query(cls, call: Call) -> Asked:
        """As the address of the page that asks says."""
        query = call.request.query
        proof = Proof.FACTOR if query.get("strong") == "1" else Proof.PASSWORD
        return cls(proof, local_path(query.get("next")), call.page)

    @classmethod
    def of_form(cls, form: Mapping[str, Any]) -> Asked:
        """As its form says."""
        proof = Proof.PASSWORD if form.get(PREFIX + "of") == Proof.PASSWORD else Proof.FACTOR
        onward, back = (local_path(str(form.get(PREFIX + name, ""))) for name in ("next", "back"))
        return cls(proof, onward, back, _fields(form) if form.get(PREFIX + "kept") == "1" else None)

    def onward_response(self) -> web.Response:
        """The proof is there: on to what waits."""
        status = 303 if self.kept is None else 307  # which sends the same fields again
        return web.Response(status=status, headers={"Location": self.onward})


def _fields(form: Mapping[str, Any]) -> list[tuple[str, str]]:
    ours = (CSRF_FIELD, PREFIX)
    return [(name, str(value)) for name, value in form.items() if not name.startswith(ours)]


def proven(call: Call, proof: Proof) -> bool:
    """Whether it was shown in the last ten minutes."""
    if call.session is None:
        return False
    at = call.session.factor_at if proof is Proof.FACTOR else call.session.proven_at
    return at is not None and clock.now() - at < GOOD_FOR


async def ask(call: Call, route: Route) -> web.Response | None:
    """None: nothing has to be proven, or it was; otherwise what asks for it."""
    proof = route.proof
    if route.in_service is not None and await _in_service(call):
        proof = route.in_service
    if proof is None or proven(call, proof):
        return None
    response = await _asking(call, route, proof)
    response.headers[ASKS] = proof.value
    return response


def before_file(call: Call, proof: Proof) -> web.Response | None:
    """As ``ask``, for a file whose handler finds out itself what it takes: the person comes back to the page before."""
    if proven(call, proof):
        return None
    response = _to_page(call, proof, call.page)
    response.headers[ASKS] = proof.value
    return response


async def _in_service(call: Call) -> bool:
    """Whether a message was delivered: then the first run is over, whatever of it was left out."""
    portal = call.portal
    if not portal.in_service:
        portal.in_service = (await first_run.progress(call.db)).tested
    return portal.in_service


async def _asking(call: Call, route: Route, proof: Proof) -> web.Response:
    request = call.request
    if call.is_htmx:  # a piece of a page: the whole page goes there and comes back
        response = _to_page(call, proof, call.page)
        return web.Response(status=401, headers={"HX-Redirect": response.headers["Location"]})
    if route.files or not route.kept:
        response = _to_page(call, proof, call.page)
        if route.files:  # which are not worth reading
            response.force_close()
        return response
    if request.method != "POST":
        asked = Asked(proof, call.here, call.page)
        return await page(call, asked) if in_dialog(call) else _to_page(call, proof, call.here)
    form = await request.post()
    if ONE_FIELD in form:  # a field is looked at while it is filled in: that can wait until the form is sent
        return web.Response(status=401)
    return await page(call, Asked(proof, local_path(request.path_qs), call.page, _fields(form)))


def _to_page(call: Call, proof: Proof, onward: str) -> web.Response:
    return call.redirect("/proof", next=onward, **({"strong": "1"} if proof is Proof.FACTOR else {}))


async def ways(call: Call, proof: Proof) -> list[str]:
    """What the person can show, the best first; none: an app has to be bound first."""
    able = (await login_queries.standing(call.db, call.who.id)).enrolled & STRONG
    if not call.site.able:
        able -= {Factor.PASSKEY}
    found = [factor.value for factor in (Factor.PASSKEY, Factor.TOTP) if factor in able]
    return found or ([PASSWORD] if proof is Proof.PASSWORD else [])


async def page(call: Call, asked: Asked, by: str = "", error: str = "", status: int = 200) -> web.Response:
    """The page that asks, or the piece of it for a dialog; ``by``: the way that is shown."""
    found = await ways(call, asked.proof)
    return call.render(
        "person/proof.html", status=status, asked=asked, ways=found, error=error, prefix=PREFIX,
        by=by if by in found else (found[0] if found else ""), dialog=in_dialog(call),
    )  # fmt: skip
