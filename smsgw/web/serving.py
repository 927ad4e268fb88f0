"""What the HTTP servers of this program do alike: whose a request is, and what every answer carries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from smsgw.core.addresses import Network, client_address, client_speaks_tls

API_BASE = "/api/v1"
"""Where the HTTP API lies."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
PAGE_HEADERS = HEADERS | {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
DATA_POLICY = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
"""Content security policy of an answer that is no page."""
_DRESSED: web.AppKey[bool] = web.AppKey("smsgw.dressed", bool)
HSTS = "max-age=31536000"
NO_CONTENT = 204
"""Status of an answer that a browser cannot show, frame or run: polls get it all day long, and it is to be short."""


class Headers(Protocol):
    """Those of a request, as aiohttp has them: small and large letters are one."""

    def __contains__(self, name: object, /) -> bool: ...

    def __getitem__(self, name: str, /) -> str: ...

    def get(self, name: str, default: str, /) -> str:
        """The first line of that name."""

    def getall(self, name: str, default: tuple[()], /) -> Sequence[str]:
        """All of them."""


def address_of(request: web.BaseRequest, trusted: Sequence[Network]) -> str:
    """The address of whoever asks, as far as the proxies that are trusted tell it; empty: none is known."""
    return address_by(request.headers, request.remote, trusted)


def address_by(headers: Headers, peer: str | None, trusted: Sequence[Network]) -> str:
    """The same, of what came from ``peer`` with these headers."""
    return client_address(peer, headers.getall("X-Forwarded-For", ()) if trusted else (), trusted)


def over_tls(request: web.BaseRequest, trusted: Sequence[Network]) -> bool:
    """Whether the client speaks TLS: with us, or with a trusted proxy before us that says so."""
    return tls_by(request.headers, request.remote, request.secure, trusted)


def tls_by(headers: Headers, peer: str | None, secure: bool, trusted: Sequence[Network]) -> bool:
    """The same, of what came from ``peer`` with these headers; ``secure``: over TLS."""
    if secure or not trusted:
        return bool(secure)
    return client_speaks_tls(peer, headers.getall("X-Forwarded-Proto", ()), trusted)


def dress(answer: web.StreamResponse, *, https: bool, local: bool, page: str = "") -> None:
    """Put on an answer what each must have, unless it says otherwise; what says nothing of caching must not be stored.

    ``local``: the client is on this machine, whose other servers must not be pinned to TLS. ``page``: the content
    security policy of an answer that is one.
    """
    headers = answer.headers
    if answer.status != NO_CONTENT:
        for name, value in (PAGE_HEADERS if page else HEADERS).items():
            headers.setdefault(name, value)
        headers.setdefault("Content-Security-Policy", page or DATA_POLICY)
    headers.setdefault("Cache-Control", "no-store")
    if https and not local:
        headers.setdefault("Strict-Transport-Security", HSTS)


def dress_answers(app: web.Application, trusted: Sequence[Network]) -> None:
    """Every answer of the application has these headers, and does not tell by what it is made. A second call for the
    same application changes nothing."""
    if _DRESSED in app:
        return
    app[_DRESSED] = True

    async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.popall("Server", None)
        dress(response, https=over_tls(request, trusted), local=is_local(request))

    app.on_response_prepare.append(on_prepare)


class _Bare(web.Response):
    """Of a server without an application, which nobody asks before an answer is written."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.popall("Server", None)


def bare(answer: web.StreamResponse) -> web.StreamResponse:
    """An answer of aiohttp's own to what it could not read, as it is given by us: a word, and nothing of its making."""
    dressed = _Bare(status=answer.status, text=f"{answer.status}: {answer.reason}\n")
    dressed.force_close()
    dress(dressed, https=False, local=True)
    return dressed


def is_local(request: web.BaseRequest) -> bool:
    """Whether the client calls this machine ``localhost``."""
    return request.host.partition(":")[0].lower() == "localhost"
