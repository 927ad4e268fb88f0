"""Templates: one environment per language, strict about undefined names, escaping by default."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from smsgw.admin import words
from smsgw.admin.i18n import translations
from smsgw.admin.kit.brand import REGISTER
from smsgw.admin.security import CSRF_FIELD, CSRF_HEADER
from smsgw.admin.words import brand as words_brand
from smsgw.admin.words import home, login, times
from smsgw.admin.words import kit as words_kit
from smsgw.admin.words import people as words_people
from smsgw.admin.words.languages import LANGUAGES
from smsgw.admin.words.menu import SIDES
from smsgw.admin.words.person import THEMES
from smsgw.core import numbers
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.report_codes import head_of

if TYPE_CHECKING:
    from smsgw.admin.staticfiles import StaticFiles

TEMPLATES = Path(__file__).parent / "templates"


def china_time(at: datetime | None, form: str = "%m-%d %H:%M:%S") -> str:
    """A time as the people here read it; a dash for none."""
    return at.astimezone(CHINA).strftime(form) if at else "—"


def milliseconds(at: datetime | None) -> str:
    """Time of day to the millisecond."""
    return at.astimezone(CHINA).strftime("%H:%M:%S.%f")[:-3] if at else "—"


def duration(span: timedelta | None, say: Callable[[str], str] = str) -> str:
    """A span in the unit that fits: 12 ms, 3.4 s, 2 min 5 s, 3 h 10 min; ``say`` puts the units into a language."""
    if span is None:
        return ""
    seconds = span.total_seconds()
    if abs(seconds) < 0.9995:
        return f"{round(seconds * 1000)} {say(times.MILLISECOND)}"
    if abs(seconds) < 60:
        return f"{seconds:.1f} {say(times.SECOND)}"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} {say(times.MINUTE)} {rest} {say(times.SECOND)}"
    return f"{minutes // 60} {say(times.HOUR)} {minutes % 60} {say(times.MINUTE)}"


def grouped(number: float) -> str:
    """A number with thousands separated."""
    return f"{number:,}"


def initial(name: str) -> str:
    """What stands in the round picture of a person."""
    return name.strip()[:1].upper() or "?"


def cause(cls: str, code: str) -> str:
    """Why a message was not delivered, as Chinese source text: what the class says, or what a code without one says."""
    if cls == "UNKNOWN":
        return words.UNSAID.get(head_of(code), words.CLASS[cls])
    return words.CLASS.get(cls, cls)


_ERRNO = re.compile(r"\[Errno (-?\d++)\] *+(?:Connect call failed )?+(?:\('([^']++)', (\d++)[^)]*+\))?+[^;,]*+")


def trouble(text: str, say: Callable[[str], str] = str) -> str:
    """What went wrong with a connection, without the operating system's numbers."""

    def told(found: re.Match[str]) -> str:
        words_ = say(words.NETWORK_PROBLEM.get(int(found[1]), words.NETWORK_TROUBLE))
        return f"{words_} {found[2]}:{found[3]}" if found[2] else words_

    begin = next((begin for begin in words.LINK_TROUBLE if text.startswith(begin)), "")
    said = say(words.LINK_TROUBLE[begin]) if begin else ""
    return said + _ERRNO.sub(told, text.removeprefix(begin))


class Views:
    """Renders templates for calls."""

    def __init__(self, static: StaticFiles) -> None:
        self.static = static
        self._environments = {language: self._environment(language) for language in LANGUAGES}

    def _environment(self, language: str) -> Environment:
        env = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            auto_reload=False,
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
        )
        catalogue = translations(language)
        env.install_gettext_translations(catalogue, newstyle=True)  # type: ignore[attr-defined]
        env.filters.update(
            time=china_time,
            ms=milliseconds,
            duration=partial(duration, say=catalogue.gettext),
            grouped=grouped,
            mask=numbers.mask,
            initial=initial,
            of_module=lambda names, module: [name for name in names if name.startswith(f"{module}.")],
            filled=lambda text, values: text % values,
            t=lambda text: catalogue.gettext(text) if text else "",
            trouble=partial(trouble, say=catalogue.gettext),
            cause=lambda row: catalogue.gettext(cause(row.cls, row.code)),
            word=lambda key, table: catalogue.gettext(table[key]) if table.get(key) else key,
        )
        env.globals.update(
            words=words,
            words_kit=words_kit,
            words_people=words_people,
            words_brand=words_brand,
            static=self.static.url,
            languages=LANGUAGES,
            csrf_name=CSRF_FIELD,
            csrf_header=CSRF_HEADER,
            permission=Permission,
            terms=words.TERMS,
            sides=SIDES,
            themes=THEMES,
            icp_register=REGISTER,
            login_words=login,
            task_states=home.TASK_STATE,
        )
        return env

    def render(self, template: str, language: str, values: Mapping[str, Any]) -> str:
        """The text of a template."""
        return self._environments[language].get_template(template).render(values)
