"""Where a process is reached: its listeners, with their certificates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from aiohttp import web

from smsgw.api import app as api
from smsgw.net import tls as certificates
from smsgw.net.tls import Certificate
from smsgw.pipeline.periodic import Periodic
from smsgw.pipeline.snapshot import Snapshots
from smsgw.runtime import config
from smsgw.web.host_certificates import HostCertificates
from smsgw.web.listening import AtOnce, Connections, Listener


class Sites:
    """Opens them, and says how each is closed."""

    def __init__(
        self,
        snapshots: Snapshots,
        urls: dict[str, str],
        known: dict[str, Certificate],
        closers: list[tuple[str, Callable[[], Any]]],
        run: Callable[[str, Sequence[Periodic]], None],
        *,
        shared: bool,
    ) -> None:
        """``urls`` and ``known`` (certificates) get what is found, by name. ``run``: periodic work until the stop.
        ``shared``: other processes of the installation listen at the same addresses."""
        self._snapshots = snapshots
        self._urls = urls
        self._known = known
        self._closers = closers
        self._run = run
        self._shared = shared

    async def serve(
        self,
        application: web.Application,
        name: str,
        connections: Connections,
        listen: str,
        tls: Sequence[str] = (),
        tls_listen: str = "",
        *,
        shared: bool = True,
        at_once: AtOnce | None = None,
    ) -> None:
        """Serve an application: plain at ``listen``, or with a certificate there or at ``tls_listen``."""
        options = api.runner_options()
        how: dict[str, Any] = {
            "connections": connections, "options": options, "shared": shared and self._shared, "at_once": at_once
        }  # fmt: skip
        runner = web.AppRunner(application, **options)
        await runner.setup()
        self._closers.append((name, runner.cleanup))
        certificate = None
        if tls:
            by_host = HostCertificates(self._snapshots)
            await by_host.look()
            certificate = Certificate(tls, f"[{name}] tls", by_host.choose)
            await certificate.start()
            self._known[name] = certificate
            self._run(f"{name} certificate", (
                Periodic(f"certificate.{name}", certificates.LOOK_EVERY, certificate.look),
                Periodic(f"certificate.{name}.hosts", certificates.LOOK_EVERY, by_host.look),
            ))  # fmt: skip
        if certificate is None or tls_listen:
            site = partial(Listener, runner, **how)
            self._urls[name] = await _site(site, f"[{name}] listen", listen)
        if certificate is not None:
            site = partial(Listener, runner, context=certificate.context, **how)
            url = await _site(site, f"[{name}] tls", tls_listen or listen)
            self._urls[f"{name}s" if tls_listen else name] = url


async def _site(make: Callable[[str, int], Listener], setting: str, listen: str) -> str:
    host, port = config.split_address(listen)
    site = make(host, port)
    try:
        await site.start()
    except OSError as exc:
        raise OSError(exc.errno, f"cannot listen on {host}:{port} ({setting}): {exc.strerror}") from exc
    return site.name
