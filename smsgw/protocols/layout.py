"""From a table of field kinds to one reader and one writer.

Neighbouring rows of fixed width become one `struct` call; C-octet strings are cut out of the text of
the whole PDU; what is left (content, lists, optional parameters) is read row by row. When a run
fails, the rows are read one at a time to say which of them is at fault.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

from smsgw.protocols.errors import FieldError
from smsgw.protocols.fields import CStr, Fixed, Kind, Raw

_UNLIMITED = 1 << 30


class Row(NamedTuple):
    """One attribute of a record and what stands for it on the wire; `kind` None: not in this version."""

    attribute: str
    kind: Kind | None
    default: Any


class _ReadOp(NamedTuple):
    """At most one C-octet string, then at most one run of fixed width, then at most one other row."""

    limit: int
    unpack: Callable[[bytes, int], tuple[Any, ...]] | None
    size: int
    texts: tuple[int, ...]
    numbers: tuple[int, ...]
    absent: tuple[tuple[int, Any], ...]
    read: Callable[[bytes, int], tuple[Any, int]] | None
    first: int


class _WriteOp(NamedTuple):
    limit: int
    column: int
    pack: Callable[..., bytes] | None
    start: int
    stop: int
    texts: tuple[tuple[int, int], ...]
    raws: tuple[tuple[int, int], ...]
    absent: tuple[int, ...]
    write: Callable[[Any], bytes] | None
    other: int


class Layout:
    """The wire layout of one record type in one protocol version."""

    __slots__ = ("_reads", "_take", "_values", "_writes", "cls", "fixed_size", "rows")

    def __init__(self, cls: type[Any], rows: Iterable[Row]) -> None:
        self.cls = cls
        self.rows = tuple(rows)
        names = [row.attribute for row in self.rows]
        self._take = attrgetter(*names) if names else None
        self._reads: list[_ReadOp] = []
        self._writes: list[_WriteOp] = []
        self._compile()
        codes = [row.kind.code for row in self.rows if row.kind is not None]
        known = all(code is not None for code in codes)
        #: Octets of the whole body when every row has a fixed width, else None.
        self.fixed_size = struct.calcsize(">" + "".join(code or "" for code in codes)) if known else None

    # --- compiling ------------------------------------------------------------------------------

    def _compile(self) -> None:
        rows, index = self.rows, 0
        while index < len(rows):
            first, string = index, rows[index].kind
            limit = 0
            if isinstance(string, CStr):
                limit = _UNLIMITED if string.lenient else string.size
                index += 1
            start = index
            while index < len(rows) and _in_run(rows[index].kind):
                index += 1
            stop = index
            other = rows[index].kind if index < len(rows) else None
            if other is None or isinstance(other, CStr):
                other = None
            else:
                index += 1
            self._add(first, string if isinstance(string, CStr) else None, limit, start, stop, other)

    def _add(self, first: int, string: CStr | None, limit: int, start: int, stop: int, other: Kind | None) -> None:
        run = self.rows[start:stop]
        # "0s" reads nothing and gives a place holder, so that absent rows keep their position.
        codes = ">" + "".join("0s" if row.kind is None else row.kind.code or "" for row in run)
        packer = struct.Struct(codes)
        texts, numbers, absent, raws = [], [], [], []
        for at, row in enumerate(run):
            if row.kind is None:
                absent.append((at, row.default))
            elif isinstance(row.kind, Fixed):
                texts.append((at, row.kind.size))
                if row.kind.number:
                    numbers.append(at)
            elif isinstance(row.kind, Raw):
                raws.append((at, row.kind.size))
        self._reads.append(
            _ReadOp(
                limit,
                packer.unpack_from if run else None,
                packer.size,
                tuple(at for at, _ in texts),
                tuple(numbers),
                tuple(absent),
                None if other is None else other.read,
                first,
            )
        )
        self._writes.append(
            _WriteOp(
                0 if string is None else string.writable,
                first,
                packer.pack if run else None,
                start,
                stop,
                tuple(texts),
                tuple(raws),
                tuple(at for at, _ in absent),
                None if other is None else other.write,
                stop,
            )
        )

    # --- reading --------------------------------------------------------------------------------

    def read(self, data: bytes, pos: int, values: list[Any]) -> int:
        """Append the values of the rows, found in `data` from `pos`; the position behind them.

        `data` is the PDU and nothing else. Raises FieldError with field and offset.
        """
        text = data.decode("latin-1")
        find = text.find
        for limit, unpack, size, texts, numbers, absent, read, first in self._reads:
            start = pos
            try:
                if limit:
                    end = find("\0", pos)
                    if end < 0:
                        end = len(text)
                        values.append(text[pos:end])
                        if end - pos >= limit:
                            raise self._at(first, data, start)
                        pos = end
                    else:
                        values.append(text[pos:end])
                        if end - pos >= limit:
                            raise self._at(first, data, start)
                        pos = end + 1
                if unpack is not None:
                    run = unpack(data, pos)
                    if texts or absent:
                        fields = list(run)
                        for at in texts:
                            fields[at] = fields[at].partition(b"\0")[0].decode("latin-1")
                        for at in numbers:
                            fields[at] = fields[at].rstrip(" ")
                        for at, default in absent:
                            fields[at] = default
                        values += fields
                    else:
                        values += run
                    pos += size
                if read is not None:
                    value, pos = read(data, pos)
                    values.append(value)
            except (struct.error, FieldError):
                raise self._at(first, data, start) from None
        return pos

    def _at(self, first: int, data: bytes, pos: int) -> FieldError:
        """Read row by row from `first` to find which one fails."""
        for row in self.rows[first:]:
            if row.kind is None:
                continue
            try:
                _, pos = row.kind.read(data, pos)
            except FieldError as exc:
                exc.field = exc.field or row.kind.spec
                return exc
        raise AssertionError("the rows read what the runs refused")

    def read_record(self, data: bytes, pos: int) -> tuple[Any, int]:
        """A whole record at `pos` and the position behind it."""
        values: list[Any] = []
        pos = self.read(data, pos, values)
        return self.cls(*values), pos

    # --- writing --------------------------------------------------------------------------------

    def write(self, record: Any, parts: list[bytes]) -> None:
        """Append the octets of the record's rows. Raises FieldError with the field."""
        if self._take is None:
            return
        values = self._take(record) if len(self.rows) > 1 else (self._take(record),)
        try:
            for limit, column, pack, start, stop, texts, raws, absent, write, other in self._writes:
                if limit:
                    string = values[column]
                    if string == "":
                        parts.append(b"\0")
                    else:
                        octets = string.encode("latin-1")
                        if len(octets) >= limit or 0 in octets:
                            raise self._blame(values)
                        parts += (octets, b"\0")
                if pack is not None:
                    if texts or raws or absent:
                        fields = list(values[start:stop])
                        for at, size in texts:
                            string = fields[at]
                            if string == "":
                                fields[at] = b""
                                continue
                            octets = string.encode("latin-1")
                            if len(octets) > size or 0 in octets:
                                raise self._blame(values)
                            fields[at] = octets
                        for at, size in raws:
                            if len(fields[at]) != size:
                                raise self._blame(values)
                        for at in absent:
                            fields[at] = b""
                        parts.append(pack(*fields))
                    else:
                        parts.append(pack(*values[start:stop]))
                if write is not None:
                    parts.append(write(values[other]))
        except (struct.error, UnicodeEncodeError, TypeError, AttributeError, FieldError):
            raise self._blame(values) from None

    def _blame(self, values: tuple[Any, ...]) -> FieldError:
        """Write row by row to find which one fails."""
        for row, value in zip(self.rows, values, strict=True):
            if row.kind is None:
                continue
            try:
                row.kind.write(value)
            except FieldError as exc:
                exc.field = exc.field or row.kind.spec
                return exc
            except (TypeError, ValueError, AttributeError) as exc:
                return FieldError("structure", str(exc), None, row.kind.spec)
        raise AssertionError("the rows write what the runs refused")

    def write_record(self, record: Any) -> bytes:
        """The octets of a whole record."""
        parts: list[bytes] = []
        self.write(record, parts)
        return b"".join(parts)

    # --- JSON -----------------------------------------------------------------------------------

    def render_record(self, record: Any) -> dict[str, Any]:
        """The JSON entries of the rows, in wire order."""
        entries: dict[str, Any] = {}
        for row in self.rows:
            if row.kind is not None:
                entries.update(row.kind.render(getattr(record, row.attribute)))
        return entries

    def parse_values(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Attribute values out of JSON entries. Raises FieldError with the field."""
        values = {}
        for row in self.rows:
            if row.kind is not None:
                try:
                    values[row.attribute] = row.kind.parse(fields)
                except FieldError as exc:
                    exc.field = exc.field or row.kind.json_key
                    raise
        return values

    def parse_record(self, fields: Mapping[str, Any]) -> Any:
        """A record out of JSON entries."""
        return self.cls(**self.parse_values(fields))

    def is_default(self, record: Any) -> bool:
        """Whether every row has its default value."""
        return all(getattr(record, row.attribute) == row.default for row in self.rows)


def _in_run(kind: Kind | None) -> bool:
    return kind is None or kind.code is not None


def collect(cls: type) -> dict[str, Kind]:
    """The rows that a class body declares, in order; their place is taken by the default values.

    An attribute without `spec` is named on the wire as in Python. Rows of base classes come first.
    """
    rows: dict[str, Kind] = {}
    for base in reversed(cls.__mro__[1:]):
        rows.update(base.__dict__.get("__wire__", {}))
    for attribute, value in list(cls.__dict__.items()):
        if isinstance(value, Kind):
            kind = value if value.spec else dataclasses.replace(value, spec=attribute)
            rows[attribute] = kind
            setattr(cls, attribute, dataclasses.field(default=kind.default, repr=not kind.secret))
    return rows


def rows_for(table: Mapping[str, Kind], version: int) -> list[Row]:
    """The table as it stands in `version`."""
    return [Row(attribute, kind.resolve(version), kind.default) for attribute, kind in table.items()]
