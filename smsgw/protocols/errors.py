"""What can go wrong between octets and PDUs."""

from __future__ import annotations

from typing import Any


class FieldError(ValueError):
    """One value does not fit its field. Becomes a `Malformed` that knows the PDU around it.

    `kind` is one of
    ``length`` (the PDU ends early, or octets are left over),
    ``message-length`` (the declared length of the content runs beyond the PDU),
    ``structure`` (a count, tag or value that the table does not allow),
    ``tlv`` (the optional parameters cannot be taken apart),
    ``text-too-long``, ``address-too-long`` (a string is longer than its field).
    """

    def __init__(self, kind: str, reason: str, offset: int | None = None, field: str | None = None) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.offset = offset
        self.field = field


class Malformed(ValueError):
    """A PDU that cannot be decoded, or a value that cannot be encoded.

    The frame around it was sound: the session may answer with an error status and go on.
    `offset` counts octets from the start of the PDU, header included; on encode it is None.
    """

    def __init__(
        self,
        pdu_name: str,
        field: str | None,
        offset: int | None,
        reason: str,
        *,
        command_id: int,
        sequence: Any,
        kind: str,
    ) -> None:
        place = pdu_name if field is None else f"{pdu_name}.{field}"
        where = "" if offset is None else f" at offset {offset}"
        super().__init__(f"{place}{where}: {reason}")
        self.pdu_name = pdu_name
        self.field = field
        self.offset = offset
        self.reason = reason
        self.command_id = command_id
        self.sequence = sequence
        self.kind = kind


class FramingLost(ValueError):
    """The length field is impossible, so the stream can never be read again: close the connection.

    `header` holds the octets at the place of the fault (at most one header); `frames` the complete
    frames that came before it in the same read and deserve to be handled first.
    """

    def __init__(self, reason: str, header: bytes, frames: tuple[bytes, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.header = header
        self.frames = frames
