"""What the commands share: the configuration, a way to the database, output for people and for programs.

Database and daemon are imported where they are used: a command that needs neither does not wait for their modules.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import partial, update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from smsgw.core import moments
from smsgw.core.errors import SmsgwError
from smsgw.core.ids import CHINA, COMMANDS, IdSource
from smsgw.core.printable import printable
from smsgw.core.words import Wording
from smsgw.runtime import clock, config
from smsgw.runtime.config import Config, ConfigError
from smsgw.runtime.worker_pool import CONTROL, serving

if TYPE_CHECKING:
    from smsgw.core.actor import Actor
    from smsgw.platform.change import Change
    from smsgw.platform.handles import Database, Sealer

T = TypeVar("T")


class When(click.DateTime):
    """A day or a time in China, within the bounds of ``core/moments.py``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Without a zone."""
        try:
            return moments.typed(super().convert(value, param, ctx).replace(tzinfo=CHINA)).replace(tzinfo=None)
        except ValueError as exc:
            self.fail(f"{value}: {exc}", param, ctx)


class Failed(click.ClickException):
    """A command that could not do its work: exit 1."""

    exit_code = 1


class BadConfiguration(click.ClickException):
    """Exit 2."""

    exit_code = 2

    def format_message(self) -> str:
        """One problem a line."""
        return "\n".join(["configuration cannot be used:", *(f"  {line}" for line in self.message.splitlines())])


@dataclass
class Context:
    """What every command can ask for."""

    config_path: Path | None
    data_dir: Path | None = None

    @property
    def settings(self) -> Config:
        """The configuration; exits 2 when it cannot be used."""
        try:
            settings = config.load(self.config_path)
        except ConfigError as exc:
            raise BadConfiguration(str(exc)) from exc
        return settings

    def database(
        self, *, owner_dsn: str = "", as_it_is: int | None = None
    ) -> contextlib.AbstractAsyncContextManager[Database]:
        """The database of the configuration, brought to this program's schema (as ``owner_dsn`` if given), or with
        ``as_it_is`` left with the one that it has, if it is that one at least.

        An embedded database is used where it runs, or started for the moment.
        """
        from smsgw.node import database_setup

        return database_setup.database(self.settings, owner_dsn=owner_dsn, as_it_is=as_it_is)

    def ids(self) -> Callable[[], int]:
        """Makes ids of no node, so that a daemon may make some at the same moment."""
        return IdSource(COMMANDS, clock.ms).next

    def sealer(self) -> Sealer:
        """The key that seals stored secrets."""
        from smsgw.node import database_setup

        return database_setup.sealer(self.settings)

    async def daemon(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the running daemon."""
        from smsgw.node import control_client

        return await control_client.call(self._control_sockets[0], method, path, body)

    def daemon_stream(self, path: str, body: Any, *, timeout_s: float) -> AsyncIterator[bytes]:
        """Ask the running daemon for something that comes piece by piece."""
        from smsgw.node import control_client

        return control_client.stream(self._control_sockets[0], path, body, timeout_s=timeout_s)

    @property
    def _control_sockets(self) -> list[Path]:
        """Of all workers that serve, the first one first; that of the first one when none does."""
        settings = self.settings
        return [folder / CONTROL for folder in serving(settings.node.data_dir)] or [settings.control_socket]

    def change(self, database: Database) -> Change:
        """What the operator wishes to change, for a service."""
        from smsgw.platform.change import Change

        return Change(database, actor(), ids=self.ids())

    async def tell_daemon(self) -> None:
        """Let a running daemon take up a change at once; without one it is taken up at the next start."""
        from smsgw.node import control_client

        with contextlib.suppress(control_client.DaemonAway):
            await self.daemon("POST", "/reload")


def actor() -> Actor:
    """Who is at the keyboard."""
    from smsgw.node import operators

    return operators.actor(os.getpid(), os.getuid())


def _runs(function: Callable[..., Any]) -> Callable[..., Any]:
    """What click calls for a command: a coroutine gets the ``Context`` first, and expected errors become one line and
    exit 1.

    A command that changes something returns the line that says what is so now: it is printed.
    """
    if not inspect.iscoroutinefunction(inspect.unwrap(function)):
        return function

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        context = click.get_current_context().find_object(Context)
        try:
            result = asyncio.run(function(context, *args, **kwargs))
        except (SmsgwError, RuntimeError, OSError) as exc:
            raise Failed(what_failed(exc)) from exc
        if isinstance(result, str):
            say(result)
        return result

    return update_wrapper(wrapper, function)


class Group(click.Group):
    """A group whose commands may be coroutines: these get the ``Context`` first."""

    group_class = type
    """Groups in it are of this class, too."""

    def command(self, *args: Any, **kwargs: Any) -> Any:
        """Add a command."""
        add = super().command(*args, **kwargs)
        return lambda function: add(_runs(function))


group = partial(click.group, cls=Group)


def command(name: str | None = None) -> Callable[[Callable[..., Any]], click.Command]:
    """A command by itself, which may be a coroutine."""
    return lambda function: click.command(name)(_runs(function))


def what_failed(error: Exception) -> str:
    """An expected error in a line: ours by its code and in English, as all that the commands say."""
    return f"{error.code}: {error.english}" if isinstance(error, SmsgwError) else str(error)


MAX_SECRET = 1024
"""Characters of a password file that are read."""


def password_options(function: Callable[..., T]) -> Callable[..., T]:
    """``--password`` and ``--password-file``: the command gets ``password``, None when there is neither."""

    def wrapper(*args: Any, password: str | None, password_file: str | None, **kwargs: Any) -> T:
        if password is not None and password_file is not None:
            raise click.UsageError("give --password or --password-file, not both")
        if password is not None and sys.stderr.isatty():
            click.echo("Others on this machine can see a password on the command line: use --password-file", err=True)
        if password_file is not None:
            password = read_password(password_file)
        return function(*args, password=password, **kwargs)

    wrapped = update_wrapper(wrapper, function)
    for option in (
        click.option("--password-file", metavar="FILE", help="The password is its first line; - is standard input."),
        click.option("--password", help="The password itself, which others on this machine can see."),
    ):
        wrapped = option(wrapped)
    return wrapped


def ask_password() -> str:
    """Ask whoever sits at a terminal; elsewhere it is a mistake not to have given one."""
    if not sys.stdin.isatty():
        raise click.UsageError("needed: --password-file (or --password)")
    answer: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return answer


def a_dsn(_: click.Context, __: click.Parameter, value: str) -> str:
    """The value of an option ``--dsn``; one that is none is not shown, as in the configuration."""
    if value and not config.is_dsn(value):
        raise click.BadParameter(config.NO_DSN)
    return value


def read_password(path: str) -> str:
    """The first line of a file; ``-`` is standard input."""
    try:
        with click.open_file(path, encoding="utf-8") as file:
            first = file.readline(MAX_SECRET + 1).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise click.UsageError(f"--password-file {path}: {exc}") from exc
    if not 0 < len(first) <= MAX_SECRET:
        raise click.UsageError(f"--password-file {path}: the first line is empty or too long")
    return first


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
type_option = click.option("--type", "kind", metavar="TYPE", default="notice", show_default=True,
                           help="otp, notice, marketing, or a kind (smsgwctl kind list).")  # fmt: skip
limit_option = click.option("--limit", type=click.IntRange(1, 1000), default=200, show_default=True)


@contextlib.contextmanager
def known(what: str, shown_by: str) -> Iterator[None]:
    """Where a service or the daemon knows no such thing: which, and the command that shows those that there are."""
    from smsgw.node import control_client

    try:
        yield
    except (SmsgwError, control_client.DaemonRefusal) as exc:
        if exc.code != "NOT_FOUND":
            raise
        raise Failed(f"no {what}; {shown_by} shows them") from exc


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, set | frozenset | tuple):
        return sorted(value) if isinstance(value, set | frozenset) else list(value)
    return str(value)


_STEERING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What JSON leaves as it is, and a terminal may take for itself."""


def print_json(data: Any) -> None:
    """JSON on standard output."""
    made = json.dumps(data, ensure_ascii=False, indent=2, default=_plain)
    click.echo(_STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", made))


def show_time(at: datetime | None) -> str:
    """A time as people here read it."""
    return at.astimezone(CHINA).strftime("%m-%d %H:%M:%S.%f")[:-3] if at else "-"


def show_end(at: datetime) -> str:
    """An end as people give it: at midnight it is the day before, which is its last one."""
    there = at.astimezone(CHINA)
    if there.time() != time():
        return show_time(at)
    return f"{there - timedelta(days=1):%Y-%m-%d}"


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], as_json: bool, *, empty: str) -> None:
    """Rows as JSON for programs, or as a table for people."""
    print_json(rows) if as_json else print_table(rows, columns, empty=empty)


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, empty: str) -> None:
    """A table for people; Chinese characters count two columns."""
    if not rows:
        click.echo(empty)
        return
    cells = [[_cell(column, row.get(column)) for column in columns] for row in rows]
    widths = [max(_width(c), *(_width(line[n]) for line in cells)) for n, c in enumerate(columns)]
    for line in [list(columns), *cells]:
        padded = (cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def _cell(column: str, value: Any) -> str:
    return show_end(value) if column == "expires_at" and isinstance(value, datetime) else _text(value)


def _text(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return show_time(value)
    if isinstance(value, list | tuple | set | frozenset):
        return printable(",".join(map(str, value))) or "-"
    return printable(str(value))


def _width(text: str) -> int:
    return sum(2 if ord(c) > 0x2E80 else 1 for c in text)


def say(line: str) -> None:
    """A line for people in which others have a word: it stays one line."""
    click.echo(printable(line))


def show_line(line: Mapping[str, Any], as_json: bool) -> None:
    """One thing, a line for each of its fields."""
    if as_json:
        print_json(line)
        return
    for name, value in line.items():
        say(f"{name:<14} {'-' if value in (None, '') else value}")


def die(message: str) -> None:
    """End with exit 1."""
    click.echo(f"Error: {message}", err=True)
    sys.exit(1)


pass_context = click.make_pass_decorator(Context)


def in_locale(words: Wording) -> str:
    """Words in the language of the terminal (``LC_ALL``, ``LC_MESSAGES``, ``LANG``): Chinese or English."""
    locale = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    return words.text(not locale.lower().startswith("zh"))
