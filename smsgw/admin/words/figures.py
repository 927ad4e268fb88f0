"""Figures that several pages show: by the name of ``data-figure`` the labels that stand for nothing else."""

from __future__ import annotations

from smsgw.admin.i18n import N_

FIGURES: dict[str, tuple[str, ...]] = {
    "accepted_today": (N_("今日受理"),),
    "carrier_submits_today": (N_("今日提交（段）"),),
    "channels_up": (N_("已连接 / 应连接"),),
    "database_connections": (N_("数据库连接"),),
    "database_size": (N_("数据库大小"),),
    "disk_free": (N_("磁盘可用"),),
    "open_alarms": (N_("未恢复告警"),),
    "pending_push": (N_("待推送"),),
    "queued": (N_("排队"),),
    "success_today": (N_("今日成功率"),),
}
