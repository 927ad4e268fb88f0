"""The words of what a person sets for the own eyes."""

from __future__ import annotations

from smsgw.admin.i18n import N_

THEMES: dict[str, tuple[str, str]] = {
    "auto": (N_("跟随系统"), "device-desktop"),
    "light": (N_("浅色"), "sun"),
    "dark": (N_("深色"), "moon"),
}
"""Colours: label and icon."""
PASSWORD_SET = N_("新密码已生效。")
