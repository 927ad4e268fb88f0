"""The units of spans of time."""

from __future__ import annotations

from smsgw.admin.i18n import N_

MILLISECOND, SECOND, MINUTE, HOUR = N_("毫秒"), N_("秒"), N_("分"), N_("小时")

DAYS = (N_("周一"), N_("周二"), N_("周三"), N_("周四"), N_("周五"), N_("周六"), N_("周日"))
TO = N_("%(first)s至%(last)s")
AND, ALSO = N_("、"), N_("；")
SPANS_HELP = N_("北京时间。可设多个时段，如周一至周五 9:00–11:30、14:00–17:00；在时段外的任务会等到下一时段。")
SPANS_WRONG = N_("每个时段须有开始和结束时刻（不能相同），并至少选一天，最多 7 个时段")
