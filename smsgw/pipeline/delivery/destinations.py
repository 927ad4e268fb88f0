"""Destinations of pushes: the networks and hosts to which an account's events may go."""

from __future__ import annotations

from smsgw.core.errors import Invalid
from smsgw.core.model import Account
from smsgw.core.webhooks import Endpoint, Reach, Wrong, check_url, host_allowed
from smsgw.core.words import phrase
from smsgw.pipeline.snapshot import Snapshots


class Destinations:
    """``reach``: the networks that the node may push to at all."""

    def __init__(self, snapshots: Snapshots, reach: Reach) -> None:
        self._snapshots = snapshots
        self.reach = reach

    def reach_of(self, account_id: int) -> Reach:
        """The networks that the account may push to."""
        account = self._snapshots.current.account(account_id)
        return self.reach.narrowed(account.webhook_networks if account is not None else ())

    def check(self, endpoint: Endpoint, url: str) -> None:
        """Whether the address may be pushed to now. Raises ``Wrong``."""
        field = "callback_url" if endpoint.callback else "url"
        host = check_url(url, self.reach_of(endpoint.account_id), field=field, placeholders=not endpoint.callback)
        if endpoint.callback and not host_allowed(host, endpoint.hosts):
            raise Wrong(field, phrase("callback.host"))

    def check_callback(self, account: Account, url: str) -> None:
        """Whether a message of the account may name this address. ``PARAM_INVALID``."""
        endpoint = self._snapshots.current.hooks.callbacks.get(account.id)
        try:
            if endpoint is None or endpoint.status != "active":
                raise Wrong("callback_url", phrase("callback.missing"))
            self.check(endpoint, url)
        except Wrong as exc:
            raise Invalid("PARAM_INVALID", field=exc.field, reason=exc.reason) from exc
