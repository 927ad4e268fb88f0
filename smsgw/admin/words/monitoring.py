"""The words of alarms."""

from __future__ import annotations

from smsgw.admin.i18n import N_

STATE: dict[str, str] = {"open": N_("未认领"), "taken": N_("处理中"), "cleared": N_("已恢复")}
STATE_TONE: dict[str, str] = {"open": "red", "taken": "blue", "cleared": "green"}
SEVERITY: dict[str, str] = {"critical": N_("严重"), "warning": N_("警告")}
SEVERITY_TONE: dict[str, str] = {"critical": "red", "warning": "orange"}
LEAD = N_("平台发现的异常：恢复后自动关闭，保留 90 天。")
EMPTY = N_("没有告警")
TEACHES = N_("通道断开、磁盘不足、回执异常等情况发生时，会立即出现在这里并通知有权限的人员。")
ACKNOWLEDGE = N_("认领")
ACKNOWLEDGE_EFFECT = N_("将认领 %(n)s 条告警，由您负责处理，所有人都能看到；告警在恢复后自动关闭。")
ACKNOWLEDGE_TAKEN_EFFECT = N_(
    "将认领 %(n)s 条告警，由您负责处理，所有人都能看到；其中 %(taken)s 条原由他人认领，改由您负责，"
    "%(cleared)s 条已经恢复，不再认领。"
)
