"""Form pages: a form at an address, what it is about, the effect in numbers before it is sent, and the service.

A page of a form without fields, or with hidden ones only, asks about the effect alone. What a service refuses stands at
the field that it names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import Problem
from smsgw.admin.kit.forms import Filled, Form, InputKind
from smsgw.admin.kit.lists import Effect, refusal
from smsgw.admin.kit.pieces import field_alone
from smsgw.admin.rights import PROOFS, Proof, Route
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import Wording

CONFIRMED = "confirmed"
"""Name of the hidden field of a form whose effect has been shown."""


class Wrong(Exception):
    """A value that the page itself finds wrong, at its field."""

    def __init__(self, key: str, problem: Problem) -> None:
        super().__init__(key)
        self.key = key
        self.problem = problem


async def _nothing(_: Call) -> Any:
    return ()


async def _no_choices(_: Call, __: Any) -> Mapping[str, Mapping[str, str]]:
    return {}


@dataclass(frozen=True, slots=True)
class FormPage:
    """A form page. Collected for its ``routes``, like every handler."""

    path: str
    permission: Permission
    title: str
    """A sentence of ``words``, as is the word of the button."""
    send: str
    form: Form
    save: Callable[[Call, Any, Mapping[str, Any]], Awaitable[web.StreamResponse]]
    """Does it for the subject with the values; raises what the service refuses, or ``Wrong``."""
    back: Callable[[Any], str]
    """The address to go to without sending."""
    subject: Callable[[Call], Awaitable[Any | None]] = _nothing
    """What the form is about, in the person's scope; None: there is no such thing."""
    values: Callable[[Any], Mapping[str, Any]] = lambda _: {}
    choices: Callable[[Call, Any], Awaitable[Mapping[str, Mapping[str, str]]]] = _no_choices
    effect: Callable[[Call, Any, Mapping[str, Any]], Awaitable[Effect]] | None = None
    """What it will do, ``Wrong``, or what the service refuses; None: it is done without asking."""
    made_of: Callable[[Any], Mapping[str, Any]] = lambda _: {}
    """Hidden fields of the form: what the effect that is shown was made of, for the service to compare."""
    lead: Callable[[Any], str | Wording] = lambda _: ""
    """What stands under the title: the name of what it is about."""
    about: str = ""
    """A sentence of ``words`` after it."""
    form_of: Callable[[Call, Any], Form] | None = None
    """The form, where its fields depend on what it is about; ``form`` then stands for any."""
    danger: bool = False
    step_up: Proof | None = None
    """Beyond what its permission takes; asked for before the form is shown."""

    @property
    def routes(self) -> list[Route]:
        """Its addresses."""
        proof = self.step_up or PROOFS.get(self.permission)
        return [Route(method, self.path, self.permission, handler, passive=False, step_up=proof)
                for method, handler in (("GET", self._show), ("POST", self._send))]  # fmt: skip

    async def _subject(self, call: Call) -> Any:
        subject = await self.subject(call)
        if subject is None:
            raise web.HTTPNotFound
        return subject

    def _form(self, call: Call, subject: Any) -> Form:
        return self.form if self.form_of is None else self.form_of(call, subject)

    async def _show(self, call: Call) -> web.StreamResponse:
        subject = await self._subject(call)
        form = self._form(call, subject)
        filled = form.blank(self.values(subject))
        filled.choices = dict(await self.choices(call, subject))
        asks = any(one.kind is not InputKind.HIDDEN for one in form.fields)
        effect = await self.effect(call, subject, {}) if self.effect and not asks else None
        return self._page(call, subject, filled, effect)

    async def _send(self, call: Call) -> web.StreamResponse:
        subject = await self._subject(call)
        data = await call.request.post()
        filled = self._form(call, subject).read(data, await self.choices(call, subject))
        if alone := field_alone(call, filled, data):
            return alone
        if filled.good and self.effect and CONFIRMED not in data:
            try:
                effect = await self.effect(call, subject, filled.values)
                filled.hide({**self.made_of(subject), **effect.made_of})
                return self._page(call, subject, filled, effect)
            except Wrong as wrong:
                filled.errors[wrong.key] = wrong.problem
            except (Invalid, Refused) as error:
                self._refuse(call, filled, error)
        if filled.good and (answer := await self._saved(call, subject, filled)):
            return answer
        return self._page(call, subject, filled)

    async def _saved(self, call: Call, subject: Any, filled: Filled) -> web.StreamResponse | None:
        """The answer when it was done; None: something is wrong, and stands in the form."""
        try:
            return await self.save(call, subject, filled.values)
        except Wrong as wrong:
            filled.errors[wrong.key] = wrong.problem
        except (Invalid, Refused) as error:
            self._refuse(call, filled, error)
        return None

    def _refuse(self, call: Call, filled: Filled, error: Invalid | Refused) -> None:
        if error.code == "NOT_FOUND":
            raise error
        labels = {one.key: one.label for one in filled.form.fields if one.label}
        filled.refuse(error, refusal(call, error, labels))

    def _page(self, call: Call, subject: Any, filled: Filled, effect: Effect | None = None) -> web.Response:
        return call.render(
            "ui/form_page.html", status=200 if filled.good else 422, page=self, filled=filled, effect=effect,
            lead=self.lead(subject), back=self.back(subject), confirmed=CONFIRMED, address=call.request.path,
        )  # fmt: skip
