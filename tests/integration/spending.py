"""What a request costs who answers it: the time of the server's thread on the processor, without its client's, who has
a thread of its own."""

from __future__ import annotations

import asyncio
import http.client
import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urlsplit

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and what it cost."""

    status: int
    text: str
    location: str
    cookies: Mapping[str, str]
    seconds: float


class Visitor:
    """Somebody with a browser of their own; the server runs in this thread's loop."""

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).netloc
        self._thread = ThreadPoolExecutor(1, "visitor")
        self._connection: http.client.HTTPConnection | None = None
        self.cookies: dict[str, str] = {}
        self.csrf = ""

    async def __aenter__(self) -> Visitor:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drop()
        self._thread.shutdown()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str | bytes] | None = None
    ) -> Answer:
        """One request; what it cost is of the first byte of it to the last of its answer."""
        loop = asyncio.get_running_loop()
        begin = time.thread_time()
        status, octets, got = await loop.run_in_executor(self._thread, self._ask, method, path, body, headers or {})
        seconds = time.thread_time() - begin
        text = octets.decode("utf-8", "replace")
        if found := re.search(r'name="csrf" value="([^"]+)"', text):
            self.csrf = found[1]
        cookies = dict(part.partition(";")[0].partition("=")[::2] for part in got.get_all("Set-Cookie", []))
        self.cookies |= cookies
        return Answer(status, text, got.get("Location", ""), cookies, seconds)

    def _ask(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str | bytes]
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        own: dict[str, str | bytes] = {"Host": self._host}
        if self.cookies:
            own["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if method not in ("GET", "HEAD"):
            own |= {"Content-Type": FORM, "Content-Length": str(len(body)), "X-CSRF-Token": self.csrf}
        for again in (True, False):
            fresh = self._connection is None
            connection = self._connection or http.client.HTTPConnection(self._host, timeout=30)
            self._connection = connection
            try:
                connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
                for name, value in (own | headers).items():
                    connection.putheader(name, value)
                connection.endheaders(body or None)
                answer = connection.getresponse()
                return answer.status, answer.read(), answer.headers
            except (ConnectionError, http.client.HTTPException):
                self._drop()
                if fresh or not again:  # what was kept open may have been closed; a new one is refused in earnest
                    raise
        raise AssertionError("unreachable")
