"""Permissions: what an actor may do. The one list for portal, API and command line.

A permission is granted by a role (a row, ``platform/org``) or by the scopes of an API key (``SCOPES``). Names are
stored and told: extended, never renamed.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache


class Permission(StrEnum):
    """``domain.action``. *view* reads, *edit* makes, changes and removes, *decide* is the four-eyes decision."""

    HOME_VIEW = "home.view"
    SELF_EDIT = "self.edit"
    """One's own password, factors, sessions, contact: every person's, whatever the roles."""

    MESSAGE_SEND = "message.send"
    MESSAGE_URGENT = "message.urgent"
    """Before everything else (特发)."""
    MESSAGE_VIEW = "message.view"
    MESSAGE_READ = "message.read"
    """The texts, too."""
    MESSAGE_UNMASK = "message.unmask"
    MESSAGE_EXPORT = "message.export"
    MESSAGE_CANCEL = "message.cancel"
    MESSAGE_RESOLVE = "message.resolve"
    """Say what has become of parts whose outcome is unknown."""
    MESSAGE_WIRE = "message.wire"
    """See carriers' PDUs of a message, check them, and see who has looked at it."""
    INBOUND_VIEW = "inbound.view"
    INBOUND_HANDLE = "inbound.handle"
    INBOUND_EXPORT = "inbound.export"
    EVENT_PULL = "event.pull"
    EVENT_VIEW = "event.view"
    EVENT_REPEAT = "event.repeat"
    """Offer events again, and go through parked ones."""
    TASK_VIEW = "task.view"
    TASK_EDIT = "task.edit"
    JOB_EDIT = "job.edit"
    """End long work that somebody has begun: an import, an export, a recount."""
    REVIEW_VIEW = "review.view"
    REVIEW_DECIDE = "review.decide"

    CONTACT_VIEW = "contact.view"
    CONTACT_EDIT = "contact.edit"
    CONTACT_EXPORT = "contact.export"
    BLOCK_VIEW = "block.view"
    BLOCK_EDIT = "block.edit"
    ALLOW_VIEW = "allow.view"
    ALLOW_EDIT = "allow.edit"
    COMPLAINT_VIEW = "complaint.view"
    COMPLAINT_EDIT = "complaint.edit"
    NUMBER_VIEW = "number.view"
    NUMBER_EDIT = "number.edit"
    """Of a number: carrier and home area, whether it is in service."""

    SIGN_VIEW = "sign.view"
    SIGN_EDIT = "sign.edit"
    SIGN_DECIDE = "sign.decide"
    TEMPLATE_VIEW = "template.view"
    TEMPLATE_EDIT = "template.edit"
    TEMPLATE_DECIDE = "template.decide"
    SCENARIO_EDIT = "scenario.edit"
    """Say what a kind of sending always has; whoever sends may use it."""
    FILING_VIEW = "filing.view"
    FILING_EDIT = "filing.edit"
    FILING_DECIDE = "filing.decide"
    LINK_VIEW = "link.view"
    LINK_EDIT = "link.edit"
    LINK_DECIDE = "link.decide"
    """Let a short link lead where somebody wants it to."""
    LINK_EXPORT = "link.export"
    """Take clicks on short links, and codes of recipients, away as a file."""
    WORD_VIEW = "word.view"
    WORD_EDIT = "word.edit"
    POLICY_VIEW = "policy.view"
    POLICY_EDIT = "policy.edit"

    STATISTICS_VIEW = "statistics.view"
    STATISTICS_EXPORT = "statistics.export"
    STATISTICS_EDIT = "statistics.edit"
    """Have days counted anew."""
    BALANCE_VIEW = "balance.view"
    BALANCE_EDIT = "balance.edit"

    ACCOUNT_VIEW = "account.view"
    ACCOUNT_EDIT = "account.edit"
    ACCOUNT_STOP = "account.stop"
    KEY_VIEW = "key.view"
    KEY_EDIT = "key.edit"
    WEBHOOK_VIEW = "webhook.view"
    WEBHOOK_EDIT = "webhook.edit"
    WEBHOOK_INTERNAL = "webhook.internal"
    """Let a webhook lead into our own network."""
    PARTNER_VIEW = "partner.view"
    PARTNER_EDIT = "partner.edit"
    PARTNER_KICK = "partner.kick"

    CHANNEL_VIEW = "channel.view"
    CHANNEL_EDIT = "channel.edit"
    CHANNEL_TEST = "channel.test"
    """Send a probe, record what goes over the wire."""
    ROUTE_VIEW = "route.view"
    ROUTE_EDIT = "route.edit"
    CODE_VIEW = "code.view"
    CODE_EDIT = "code.edit"
    """Access codes, extensions, the classes of carriers' codes."""
    ALARM_VIEW = "alarm.view"
    ALARM_HANDLE = "alarm.handle"
    ALARM_EDIT = "alarm.edit"
    """Who is told of alarms, and how."""
    TICKET_VIEW = "ticket.view"
    TICKET_EDIT = "ticket.edit"
    """Report something, and say more about it."""
    TICKET_HANDLE = "ticket.handle"
    """Look after what others have reported."""
    NODE_VIEW = "node.view"
    NODE_EDIT = "node.edit"
    WALL_EDIT = "wall.edit"
    """Let a screen on a wall show the board without a person, and end that."""

    DEPARTMENT_VIEW = "department.view"
    DEPARTMENT_EDIT = "department.edit"
    PERSON_VIEW = "person.view"
    PERSON_EDIT = "person.edit"
    PERSON_RESET = "person.reset"
    """Give another person a new password or second factor."""
    PERSON_STOP = "person.stop"
    """Let somebody in no more, or in again; end sessions."""
    PERSON_GRANT = "person.grant"
    """Give and take roles."""
    ROLE_VIEW = "role.view"
    ROLE_EDIT = "role.edit"
    SECURITY_VIEW = "security.view"
    SECURITY_EDIT = "security.edit"
    """Password policy, second factors, addresses that may log in."""
    SETTING_VIEW = "setting.view"
    SETTING_EDIT = "setting.edit"
    NOTICE_EDIT = "notice.edit"
    """Announce something to everybody, and take it back."""
    AUDIT_VIEW = "audit.view"
    AUDIT_EXPORT = "audit.export"
    AUDIT_ACCEPT = "audit.accept"
    """Say that what verification has found is known."""


ALL = frozenset(Permission)
_P = Permission

_ALONE = {_P.MESSAGE_SEND, _P.EVENT_PULL, _P.AUDIT_ACCEPT}
_IMPLIED: dict[Permission, Permission] = {
    permission: view
    for view in ALL
    if view.endswith(".view")
    for permission in ALL - _ALONE
    if permission.partition(".")[0] == view.partition(".")[0] and permission is not view
} | {_P.MESSAGE_URGENT: _P.MESSAGE_SEND, _P.SCENARIO_EDIT: _P.MESSAGE_SEND, _P.WALL_EDIT: _P.NODE_VIEW}
"""Permission -> the one without which nobody finds where to use it: who may do something may see what it is done to."""
NOT_OF_PEOPLE = frozenset({_P.EVENT_PULL, _P.AUDIT_ACCEPT})
"""For keys and for the command line: a person can do nothing with them."""


def with_implied(permissions: Iterable[Permission]) -> frozenset[Permission]:
    """These permissions of a person, and those that they imply."""
    found = set(permissions)
    for permission in tuple(found):
        while (permission in _IMPLIED) and (permission := _IMPLIED[permission]) not in found:
            found.add(permission)
    return frozenset(found)


SCOPES: dict[str, frozenset[Permission]] = {
    "send": frozenset({_P.MESSAGE_SEND, _P.MESSAGE_CANCEL, _P.TASK_EDIT}),
    "query": frozenset({_P.MESSAGE_VIEW, _P.MESSAGE_READ, _P.MESSAGE_UNMASK, _P.TASK_VIEW, _P.STATISTICS_VIEW}),
    "report": frozenset({_P.EVENT_PULL, _P.EVENT_VIEW, _P.EVENT_REPEAT, _P.WEBHOOK_VIEW}),
    "mo": frozenset({_P.EVENT_PULL, _P.INBOUND_VIEW}),
    "webhook": frozenset({_P.WEBHOOK_EDIT}),
    "template": frozenset({_P.SIGN_VIEW, _P.SIGN_EDIT, _P.TEMPLATE_VIEW, _P.TEMPLATE_EDIT, _P.SCENARIO_EDIT}),
    "link": frozenset({_P.FILING_VIEW, _P.FILING_EDIT, _P.LINK_VIEW, _P.LINK_EDIT}),
    "number": frozenset({_P.CONTACT_VIEW, _P.CONTACT_EDIT, _P.BLOCK_VIEW, _P.BLOCK_EDIT, _P.NUMBER_VIEW}),
    "balance": frozenset({_P.BALANCE_VIEW}),
    "emergency": frozenset({_P.MESSAGE_URGENT}),
    "admin": frozenset({_P.WEBHOOK_INTERNAL}),
}
"""Scopes of API keys and what each lets a key do, with its own account's data."""


@lru_cache(maxsize=4096)
def of_scopes(scopes: frozenset[str]) -> frozenset[Permission]:
    """What a key with these scopes may do; a scope that is not known gives nothing."""
    return frozenset().union(*(SCOPES.get(scope, frozenset()) for scope in scopes))


class Duty(StrEnum):
    """The three administrators (三员): no role but ``super``, and nobody, has two of these duties."""

    SYSTEM = "system"
    SECURITY = "security"
    AUDIT = "audit"


_DUTIES: dict[Permission, Duty] = {
    _P.ROLE_EDIT: Duty.SYSTEM,
    _P.SETTING_EDIT: Duty.SYSTEM,
    _P.SECURITY_EDIT: Duty.SECURITY,
    _P.AUDIT_VIEW: Duty.AUDIT,
    _P.AUDIT_EXPORT: Duty.AUDIT,
}


def duties_of(permissions: Iterable[Permission]) -> frozenset[Duty]:
    """Which of the three duties these permissions are part of."""
    return frozenset(_DUTIES[permission] for permission in permissions if permission in _DUTIES)
