"""The units of spans of time."""

from __future__ import annotations

from smsgw.admin.i18n import N_

MILLISECOND, SECOND, MINUTE, HOUR = N_("毫秒"), N_("秒"), N_("分"), N_("小时")
