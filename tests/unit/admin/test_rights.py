"""The table of rights, written down a second time: a role is not given one too many, or one too few, by a slip."""

from __future__ import annotations

import pytest

from smsgw.admin import rights

ALLOWED = {
    "super": "home alarms channels traffic send records content",
    "sysadmin": "home alarms",
    "secadmin": "home",
    "auditor": "home alarms traffic records content",
    "admin": "home alarms channels traffic send records content",
    "dept": "home traffic send records content",
    "operator": "home traffic send records content",
    "reviewer": "home traffic",
    "finance": "home traffic records",
    "ops": "home alarms channels traffic records content",
    "dev": "home traffic records content",
}
ACTIONS = {
    "home": "home.view", "alarms": "alarms.view", "channels": "channels.view", "traffic": "traffic.view",
    "send": "send.create", "records": "records.view", "content": "records.content",
}  # fmt: skip


@pytest.mark.parametrize("role", rights.ROLES)
def test_a_role_may_do_this_and_nothing_else(role: str) -> None:
    assert {action for action in rights.ACTIONS if rights.allowed(role, action)} == {
        ACTIONS[word] for word in ALLOWED[role].split()
    }
