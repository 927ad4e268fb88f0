"""Templates: one environment per language, strict about undefined names, escaping by default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache, partial
from gettext import NullTranslations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from jinja2.filters import do_mark_safe

from smsgw.admin import words
from smsgw.admin.i18n import DEFAULT, agreeing, teller, translations
from smsgw.admin.kit import spans
from smsgw.admin.kit.brand import REGISTER
from smsgw.admin.kit.cells import masked
from smsgw.admin.security import CSRF_FIELD, CSRF_HEADER
from smsgw.admin.words import (
    agents,
    brand as words_brand,
    home,
    kit as words_kit,
    lists as words_lists,
    login,
    people as words_people,
    provinces,
    times,
)
from smsgw.admin.words.languages import LANGUAGES
from smsgw.admin.words.menu import SIDES
from smsgw.admin.words.person import THEMES
from smsgw.core.alarms import about_of
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.wording_json import Heard, Remembered
from smsgw.core.words import Wording, spoken
from smsgw.runtime import clock

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


def trouble(value: str | Wording, language: str = DEFAULT) -> str:
    """What went wrong with a connection, in the reader's language and without the operating system's numbers."""
    said = Heard(value) if isinstance(value, str) else value
    return said.text(language != DEFAULT)


class _Compiled(BytecodeCache):
    """What templates were compiled to, for all portals of a process: its keys are names and contents."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if octets := self._code.get(bucket.key + bucket.checksum):
            bucket.bytecode_from_string(octets)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key + bucket.checksum] = bucket.bytecode_to_string()


@cache
def _compiled(_: str) -> _Compiled:
    """Of one language: compiling works out filters of constants."""
    return _Compiled()


def _agreeing_gettext(catalogue: NullTranslations) -> Callable[..., str]:
    """What ``_()`` is in templates of a language whose words take the form that a number asks for."""

    def gettext(text: str, **values: Any) -> str:
        return do_mark_safe(agreeing(catalogue.gettext(text), values)) % values

    return gettext


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
            bytecode_cache=_compiled(language),
        )
        catalogue, tell = translations(language), teller(language)
        env.install_gettext_translations(catalogue, newstyle=True)  # type: ignore[attr-defined]
        if language != DEFAULT:
            env.globals["gettext"] = _agreeing_gettext(catalogue)
        env.filters.update(
            time=china_time,
            ms=milliseconds,
            duration=partial(duration, say=catalogue.gettext),
            grouped=grouped,
            mask=lambda number: masked(number, tell),
            initial=initial,
            of_module=lambda names, module: [name for name in names if name.startswith(f"{module}.")],
            device=partial(agents.device, say=catalogue.gettext),
            filled=lambda text, values: agreeing(text, values) % values,
            t=tell,
            spans=lambda windows: spans.said(windows, tell),
            span_lines=spans.lines,
            held=lambda why: Remembered(why, "review.").text(language != DEFAULT),
            province=partial(provinces.said, say=tell),
            role=lambda role: tell(role.name) if role.builtin else role.name,
            said=lambda value: spoken(value, language != DEFAULT),
            trouble=partial(trouble, language=language),
            about=lambda code: spoken(about_of(code), language != DEFAULT),
            cause=lambda row: tell(words.CAUSE.get(key := words.cause_of(row), key)),
            word=lambda key, table: tell(table[key]) if table.get(key) else spoken(key, language != DEFAULT),
        )
        env.globals.update(
            words=words,
            words_kit=words_kit,
            words_times=times,
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
            now=clock.now,
            words_lists=words_lists,
        )
        return env

    def render(self, template: str, language: str, values: Mapping[str, Any]) -> str:
        """The text of a template."""
        return self._environments[language].get_template(template).render(values)
