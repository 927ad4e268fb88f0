"""Shortcuts (P7.5) of 大数据短信 to pages that stand elsewhere, by the names that the tender gives them here."""

from __future__ import annotations

from smsgw.admin.kit.menu import Entry
from smsgw.core.permissions import Permission

MENU = (
    Entry("area.signs", "/signs", Permission.SIGN_VIEW, shortcut=True),
    Entry("area.departments", "/departments", Permission.DEPARTMENT_VIEW, shortcut=True),
    Entry("area.people", "/staff", Permission.PERSON_VIEW, shortcut=True),
    Entry("area.platform", "/platform", Permission.SETTING_VIEW, shortcut=True),
)
