"""The words of the command palette and of favourites."""

from __future__ import annotations

from smsgw.admin.i18n import N_

KINDS: dict[str, str] = {
    "page": N_("页面"),
    "record": N_("短信"),
    "job": N_("后台任务"),
    "account": N_("账号"),
    "person": N_("员工"),
}
NUMBER = N_("%(number)s 的发送记录")
COMPLAINTS = N_("%(number)s 的投诉")
MESSAGE = N_("短信 %(id)s")
JOB = N_("任务 %(id)s")
ACCOUNT = N_("%(name)s 的发送记录")
TOO_MANY = N_("最多收藏 %(n)s 个页面，请先取消不常用的")
