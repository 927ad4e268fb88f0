"""The words of the first page's charts."""

from __future__ import annotations

from smsgw.admin.i18n import N_

FLOW = N_("今日逐小时（段）")
FLOW_LINES: dict[str, str] = {
    "submitted": N_("提交"),
    "delivered": N_("成功"),
    "failed": N_("失败"),
    "before": N_("昨日提交"),
}
FLOW_SUMMARY = N_(
    "今天截至目前提交 %(submitted)s 段，成功 %(delivered)s 段，失败 %(failed)s 段；昨天全天提交 %(before)s 段。"
)
CHANNEL_WAITS = N_("通道 %(name)s 的配置版本 %(n)s 待第二人批准，提交人 %(by)s")
ROUTES_WAIT = N_("路由表 #%(n)s 待第二人批准，提交人 %(by)s")
TASK_STATE: dict[str, tuple[str, str]] = {
    "importing": (N_("导入中"), "azure"),
    "review": (N_("待审核"), "purple"),
    "scheduled": (N_("待发送"), "purple"),
    "running": (N_("发送中"), "blue"),
    "paused": (N_("已暂停"), "yellow"),
    "sent": (N_("已发完，等待回执"), "azure"),
}
"""Of tasks that are under way: word and colour."""
