"""Length-prefixed frames out of a byte stream, with a hard limit.

All four protocols begin a PDU with a four-octet length that counts itself and the header.
"""

from __future__ import annotations

from smsgw.protocols.errors import FramingLost

_FOREIGN = {
    b"GET ": "an HTTP request",
    b"POST": "an HTTP request",
    b"HEAD": "an HTTP request",
    b"OPTI": "an HTTP request",
    b"HTTP": "an HTTP answer",
    b"SSH-": "an SSH hello",
    b"PROX": "a PROXY protocol header",
}


def _describe(start: bytes) -> str:
    what = _FOREIGN.get(start)
    if what is None and start[:2] == b"\x16\x03":
        what = "a TLS hello"
    return "" if what is None else f" (looks like {what})"


class Framer:
    """Collects octets and gives complete frames; holds at most one incomplete frame.

    The length is checked as soon as its four octets are there, before anything is kept for it.
    """

    __slots__ = ("_buffer", "_lost", "header_size", "max_frame")

    def __init__(self, header_size: int, max_frame: int) -> None:
        if max_frame < header_size:
            raise ValueError("max_frame is smaller than a header")
        self.header_size = header_size
        self.max_frame = max_frame
        self._buffer = b""
        self._lost: FramingLost | None = None

    @property
    def pending(self) -> int:
        """Octets of the incomplete frame held back; 0 between frames."""
        return len(self._buffer)

    @property
    def held(self) -> bytes:
        """Those octets."""
        return self._buffer

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that `data` completes, in order. Raises `FramingLost`, and again ever after."""
        if self._lost is not None:
            raise self._lost
        buffer = self._buffer + data if self._buffer else bytes(data)
        total = len(buffer)
        frames: list[bytes] = []
        start = 0
        while total - start >= 4:
            size = int.from_bytes(buffer[start : start + 4], "big")
            if not self.header_size <= size <= self.max_frame:
                head = buffer[start : start + self.header_size]
                self._buffer = b""
                self._lost = FramingLost(
                    f"length {size} is outside {self.header_size}..{self.max_frame}{_describe(head[:4])}",
                    head,
                    tuple(frames),
                )
                raise self._lost
            if total - start < size:
                break
            frames.append(buffer[start : start + size])
            start += size
        self._buffer = buffer[start:]
        return frames
