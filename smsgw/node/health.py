"""The health of a node: whether it accepts messages now, and why not."""

from __future__ import annotations

from typing import Any

from smsgw.channels.manager import ChannelManager
from smsgw.core.model import TEST_CHANNEL
from smsgw.partners.service import Partners
from smsgw.pipeline.accept.acceptor import Acceptor
from smsgw.pipeline.heartbeat import Heartbeat


class Health:
    """What ``/ready`` and the status say."""

    def __init__(self, heartbeat: Heartbeat, channels: ChannelManager, acceptor: Acceptor, partners: Partners) -> None:
        self._heartbeat = heartbeat
        self._channels = channels
        self._acceptor = acceptor
        self._partners = partners

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether messages can be accepted, by every server that is configured, and the checks behind the verdict."""
        bound = sum(s.id != TEST_CHANNEL and s.state in ("bound", "idle") for s in self._channels.status())
        accepting = self._accepting()
        checks = {
            "database": "unavailable" if self._heartbeat.away else "ok",
            "accepting": accepting,
            "channels_bound": bound,
        }
        spooling = self._acceptor.spooling
        if spooling is not None and spooling.calls:
            how = "draining" if spooling.draining else "waiting for the database"
            checks["spool"] = f"{spooling.calls} calls, {spooling.octets} octets, {how}"
        silent = self._partners.silent
        if self._partners.listeners:
            checks["partners"] = f"not listening: {', '.join(silent)}" if silent else "ok"
        return accepting in ("ok", "spool") and not silent, checks

    def _accepting(self) -> str:
        """What becomes of a call that comes now."""
        if not self._acceptor.open:
            return "stopping"
        spooling = self._acceptor.spooling
        if not self._heartbeat.away and not (spooling and spooling.active):
            return "ok"
        return "spool" if spooling and spooling.open and not spooling.problem else "refused"
