"""What a task says to each recipient: a text of its own, or an approved template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from smsgw.core import templates, variables
from smsgw.core.errors import Invalid
from smsgw.core.tasks import Task
from smsgw.core.templates import Form, Variable

NOTHING: Mapping[str, str] = MappingProxyType({})
Forms = tuple[tuple[str, str, int], ...]
"""Variables of a template: name, form, and how long a value may be; in the order of a row's values."""


class Wording(Protocol):
    """Fills what differs from row to row."""

    names: tuple[str, ...]
    """Variables that each row has a value for, in the order of a row's values."""

    def fill(self, values: Sequence[str]) -> str:
        """The text for a row, without a signature that does not stand in it. Raises ``Misfit``."""

    def parts(self, values: Sequence[str], own: Mapping[str, str] = NOTHING) -> tuple[str, Mapping[str, str] | None]:
        """What a send call is given: content, or a template's values; ``own``: what a row has in the place of what is
        the same for all."""

    def said(self, values: Sequence[str], own: Mapping[str, str] = NOTHING) -> Mapping[str, str]:
        """By name what a row has for its variables, and what is the same for all."""


class Text:
    """A text with {variables}; ``fixed`` are values that are the same for all rows."""

    def __init__(self, content: str, fixed: Mapping[str, str] = NOTHING) -> None:
        self._template = variables.Template(content)
        self._fixed = dict(fixed)
        self.names = tuple([name for name in self._template.names if name not in fixed])

    def fill(self, values: Sequence[str]) -> str:
        return self.parts(values)[0]

    def parts(self, values: Sequence[str], own: Mapping[str, str] = NOTHING) -> tuple[str, Mapping[str, str] | None]:
        if self._fixed:
            said = self.said(values, own)
            values = [said[name] for name in self._template.names]
        return self._template.fill(values), None

    def said(self, values: Sequence[str], own: Mapping[str, str] = NOTHING) -> Mapping[str, str]:
        return {**self._fixed, **own, **dict(zip(self.names, values, strict=True))}


class Templated:
    """A template; ``fixed`` are values that are the same for all rows."""

    def __init__(self, content: str, forms: Forms, fixed: Mapping[str, str]) -> None:
        known = {name: Variable(Form(form), most) for name, form, most in forms}
        self._template = templates.Template(0, 0, "", content, known)
        self._fixed = dict(fixed)
        self.names = tuple(name for name, *_ in forms if name not in fixed)

    def fill(self, values: Sequence[str]) -> str:
        return self._template.fill(self._params(values))

    def parts(self, values: Sequence[str], own: Mapping[str, str] = NOTHING) -> tuple[str, Mapping[str, str] | None]:
        return "", self._params(values, own)

    def said(self, values: Sequence[str], own: Mapping[str, str] = NOTHING) -> Mapping[str, str]:
        return self._params(values, own)

    def _params(self, values: Sequence[str], own: Mapping[str, str] = NOTHING) -> dict[str, str]:
        return {**self._fixed, **own, **dict(zip(self.names, values, strict=True))}


def wording(content: str, forms: Forms | None, fixed: Mapping[str, str]) -> Wording:
    """``forms`` None: the content is a text of its own. ``fixed``: values that are the same for all rows; of a template
    also the address of a short link, of a text that alone."""
    return Text(content, fixed) if forms is None else Templated(content, forms, fixed)


class Picked:
    """Another text for rows whose values are those of the text that they were read with."""

    def __init__(self, text: Wording, names: Sequence[str]) -> None:
        self._text = text
        self._places = [names.index(name) for name in text.names]
        self.names = tuple(names)

    def fill(self, values: Sequence[str]) -> str:
        return self._text.fill([values[place] for place in self._places])

    def parts(self, values: Sequence[str], own: Mapping[str, str] = NOTHING) -> tuple[str, Mapping[str, str] | None]:
        return self._text.parts([values[place] for place in self._places], own)

    def said(self, values: Sequence[str], own: Mapping[str, str] = NOTHING) -> Mapping[str, str]:
        said = self._text.said([values[place] for place in self._places], own)
        return {**dict(zip(self.names, values, strict=True)), **said}


def wording_of(task: Task) -> Wording:
    """That of a stored task. Raises ``CONTENT_VARIABLE_UNRESOLVED`` for a variable that its rows have no value of."""
    found = wording(task.content, task.mapping.get("forms"), task.mapping.get("fixed", {}))
    names = tuple(task.mapping.get("names", found.names))
    if names == found.names:
        return found
    if missing := next((name for name in found.names if name not in names), None):
        raise Invalid("CONTENT_VARIABLE_UNRESOLVED", name=missing)
    return Picked(found, names)


def forms_of(template: templates.Template) -> Forms:
    """The variables of a template as they are stored with a task."""
    return tuple((name, str(v.form), v.most) for name, v in template.variables.items())
