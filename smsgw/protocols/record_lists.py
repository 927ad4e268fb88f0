"""NumberLists of records: the kind of field whose values have a table of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smsgw.protocols.errors import FieldError
from smsgw.protocols.fields import Kind, expect
from smsgw.protocols.layout import Layout


@dataclass(frozen=True, kw_only=True, slots=True)
class Records(Kind):
    """A counted list of records with a table of their own.

    With `choices` the record type follows from a leading tag octet named `tag`; with one `plain`
    record type there is no tag.
    """

    count: str
    tag: str = ""
    choices: tuple[tuple[int, Layout], ...] = ()
    plain: Layout | None = None
    limit: int = 255
    default: Any = ()

    def read(self, data: bytes, pos: int) -> tuple[Any, int]:
        if pos >= len(data):
            raise FieldError("length", f"{self.count} is missing", pos, self.count)
        count = data[pos]
        pos += 1
        values = []
        for number in range(count):
            if pos >= len(data):
                # A record of C-octet strings would read as empty from nothing.
                raise FieldError("length", f"entry {number + 1} of {count} is missing", pos, self.spec)
            if self.plain is None:
                layout = self._choose(data[pos], pos)
                pos += 1
            else:
                layout = self.plain
            record, pos = layout.read_record(data, pos)
            values.append(record)
        return tuple(values), pos

    def _choose(self, tag: object, pos: int | None = None) -> Layout:
        for number, layout in self.choices:
            if number == tag:
                return layout
        raise FieldError("structure", f"{self.tag} {tag!r} is not defined", pos, self.tag)

    def _layout_of(self, record: object) -> tuple[bytes, Layout]:
        if self.plain is not None and isinstance(record, self.plain.cls):
            return b"", self.plain
        for number, layout in self.choices:
            if isinstance(record, layout.cls):
                return number.to_bytes(1, "big"), layout
        raise FieldError("structure", f"{type(record).__name__} cannot stand in {self.spec}")

    def write(self, value: Any) -> bytes:
        expect(value, (tuple, list), "list of records")
        if len(value) > self.limit:
            raise FieldError("structure", f"{len(value)} entries where {self.limit} are allowed")
        parts = [len(value).to_bytes(1, "big")]
        for record in value:
            tag, layout = self._layout_of(record)
            parts += (tag, layout.write_record(record))
        return b"".join(parts)

    def render(self, value: Any) -> dict[str, Any]:
        entries = []
        for record in value:
            tag, layout = self._layout_of(record)
            entries.append({**({self.tag: tag[0]} if tag else {}), **layout.render_record(record)})
        return {self.count: len(value), self.spec: entries}

    def parse(self, fields: Mapping[str, Any]) -> Any:
        values = []
        entries = fields.get(self.spec, ())
        expect(entries, (tuple, list), "list of records")
        for entry in entries:
            expect(entry, dict, "object")
            layout = self.plain if self.plain is not None else self._choose(entry.get(self.tag))
            values.append(layout.parse_record(entry))
        self.write(values)
        return tuple(values)
