"""Names of the roles that come with the program."""

from __future__ import annotations

from smsgw.admin.i18n import N_

BUILTIN = (
    N_("平台超管"), N_("系统管理员"), N_("安全管理员"), N_("安全审计员"), N_("业务管理员"), N_("部门管理员"),
    N_("操作员"), N_("审核员"), N_("财务"), N_("运维"), N_("对接开发"),
)  # fmt: skip
"""Names of the roles that come with the program, to be translated; all others are shown as they were given."""
NAMES: dict[str, str] = dict(zip(BUILTIN, BUILTIN, strict=True))
"""The same, as the words of a column."""
