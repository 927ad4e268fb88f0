"""`smsgwctl pdu`: take a PDU apart, or put one together, without a connection."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from smsgw.commands.base import group
from smsgw.protocols.dialects import DIALECTS, by_name
from smsgw.protocols.errors import Malformed
from smsgw.protocols.render import from_fields, to_fields
from smsgw.recording.contents import content


@group()
def pdu() -> None:
    """Decode and encode single PDUs."""


_protocol = click.option(
    "--protocol", "-p", required=True, type=click.Choice(sorted(DIALECTS)), help="Protocol and version."
)


@pdu.command()
@_protocol
@click.argument("octets", metavar="HEX")
def decode(protocol: str, octets: str) -> None:
    """Print the PDU in HEX (header included; blanks are ignored) as JSON."""
    dialect = by_name(protocol)
    try:
        frame = bytes.fromhex("".join(octets.split()))
    except ValueError as exc:
        raise click.ClickException(f"not hexadecimal: {exc}") from exc
    try:
        found = dialect.decode(frame)
        described: dict[str, Any] = {
            "pdu": found.pdu_name,
            "length": len(frame),
            "fields": to_fields(dialect, found, length=len(frame)),
        }
        if dialect.without_body(found):
            described["body_omitted"] = True
        described.update(content(found))
    except Malformed as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(json.dumps(described, ensure_ascii=False, indent=2))


@pdu.command()
@_protocol
def encode(protocol: str) -> None:
    """Read a JSON object with "pdu" and "fields", as decode prints it, and print the octets in hex.

    Lengths, counts and the command id may be left out; missing fields take their defaults.
    """
    dialect = by_name(protocol)
    try:
        given = json.loads(sys.stdin.read())
    except (ValueError, RecursionError) as exc:
        raise click.ClickException(f"not JSON: {exc}") from exc
    if not isinstance(given, dict) or not isinstance(given.get("fields", {}), dict):
        raise click.ClickException('an object with "pdu" and "fields" is expected')
    try:
        octets = dialect.encode(from_fields(dialect, given.get("fields", {}), name=given.get("pdu")))
    except Malformed as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(octets.hex())
