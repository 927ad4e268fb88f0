"""smsgwctl: the command line. Each group of commands is a module in ``smsgw/commands``, imported when it is called."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

import click

from smsgw import __version__

_MODULES = {
    "account": ("account",),
    "accounts": ("audit", "ledger", "user"),
    "login": ("login", "setup-code"),
    "alarms": ("alarm",),
    "backup": ("backup",),
    "bench": ("bench",),
    "channels": ("channel",),
    "consents": ("consent", "filter"),
    "content": ("allow", "policy", "word"),
    "demo": ("demo",),
    "demo_data": ("demo-data",),
    "diagnose": ("diagnose",),
    "drafts": ("draft",),
    "duty": ("duty",),
    "evidence": ("evidence",),
    "facts": ("fact",),
    "health": ("health",),
    "jobs": ("job",),
    "key": ("key",),
    "kinds": ("kind",),
    "key_file": ("key-file",),
    "url_filings": ("link",),
    "links": ("short-link",),
    "lists": ("access-code", "block", "complaint", "setting"),
    "manual": ("manual",),
    "messages": ("cancel", "explain", "send", "trace", "unknown"),
    "faults": ("fault",),
    "nodes": ("node",),
    "walls": ("wall",),
    "node": ("check", "migrate", "run", "status"),
    "numbers": ("number",),
    "partners": ("partner",),
    "pdu": ("pdu",),
    "phrases": ("phrase",),
    "registry": ("sign", "template"),
    "report": ("report",),
    "restore": ("restore",),
    "retention": ("retention",),
    "retry": ("code", "retry"),
    "review": ("review",),
    "route": ("route",),
    "scenarios": ("scenario",),
    "simulate": ("simulate",),
    "statistics": ("stats",),
    "task": ("task",),
    "tickets": ("ticket",),
    "webhook": ("webhook",),
}
"""Modules of ``smsgw.commands`` and the commands in them."""

_HOME = {name: module for module, names in _MODULES.items() for name in names}


def _help(name: str) -> str:
    """The docstring of a command, from the text of its module: importing all of them takes seconds."""
    text = (Path(__file__).parent / "commands" / f"{_HOME[name]}.py").read_text("utf-8")
    _, _, after = text.partition(f"def {name.replace('-', '_')}(")
    return after.partition('"""')[2].partition('"""')[0]


class _Commands(click.Group):
    """A command costs the import of its own module, and a listing that of none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_HOME)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _HOME:
            return None
        module = import_module(f"smsgw.commands.{_HOME[cmd_name]}")
        found: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does it, without the commands themselves."""
        names = self.list_commands(ctx)
        limit = formatter.width - 6 - max(map(len, names))
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, click.Command(name, help=_help(name)).get_short_help_str(limit)) for name in names]
            )


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="smsgwctl")
@click.option("--config", "config_path", type=click.Path(path_type=Path, dir_okay=False), envvar="SMSGW_CONFIG",
              help="Configuration file; defaults and SMSGW_… variables without it.")  # fmt: skip
@click.pass_context
def main(ctx: click.Context, config_path: Path | None) -> None:
    """smsgw: a self-hosted SMS gateway and platform."""
    from smsgw.commands.base import BadConfiguration, Context
    from smsgw.runtime import log, private

    if config_path is not None and not config_path.exists():
        raise BadConfiguration(f"{config_path}: no such file")
    os.umask(private.MASK)
    # Standard output belongs to the command's result.
    log.setup(os.environ.get("SMSGW_LOG_LEVEL", "warning"), os.environ.get("SMSGW_LOG_FORMAT", "auto"))
    ctx.obj = Context(config_path)


if __name__ == "__main__":
    main()
