"""``smsgwctl manual``: the API's manual as a file."""

from __future__ import annotations

from pathlib import Path

import click

from smsgw.api import manual as document, words_manual
from smsgw.commands.base import command


@command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=Path(f"{words_manual.TITLE}.html"),
              show_default=True, help="File to write.")  # fmt: skip
def manual(out: Path) -> None:
    """Write the API's manual 《短信平台标准接口文档》 (Chinese) as one HTML file, laid out for A4.

    A running gateway serves the same under /api/v1/docs.
    """
    out.write_text(document.page(alone=True), encoding="utf-8")
    click.echo(f"{out}: open it in a browser, or print it to PDF")
