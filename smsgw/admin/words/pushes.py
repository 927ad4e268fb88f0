"""The words of deliveries to customers' systems."""

from __future__ import annotations

from smsgw.admin.i18n import N_

STATE: dict[str, str] = {"waiting": N_("待送达"), "delivered": N_("已送达"), "dead": N_("已放弃")}
TONE: dict[str, str] = {"waiting": "azure", "delivered": "green", "dead": "red"}
EVENT: dict[str, str] = {
    "message.report": N_("状态报告"), "message.mo": N_("上行短信"), "task.finished": N_("任务完成"),
    "template.reviewed": N_("模板审核结果"), "sign.reviewed": N_("签名审核结果"), "optout.created": N_("用户退订"),
    "link.click": N_("短链被点击"),
    "balance.low": N_("余额不足"), "channel.state": N_("通道状态变化"),
}  # fmt: skip
WAY: dict[str, str] = {"webhook": N_("推送"), "pull": N_("客户取走"), "bind": N_("协议连接"), "expired": N_("过期")}
OWN_WAY = N_("按账号现在的方式")
LEAD = N_("状态报告、上行短信等事件送往业务系统的情况；多次失败后放弃的，可在业务系统恢复后重新推送。")
EMPTY = N_("这段时间没有需要送往业务系统的事件")
TEACHES = N_("账号设置推送地址，或由业务系统取走后，每条状态报告和上行短信的送达情况显示在这里。")
AGAIN = N_("重新推送")
AGAIN_EFFECT = N_(
    "将 %(accounts)s 个账号的 %(n)s 个事件从头推送：已放弃 %(dead)s 个，等待中 %(waiting)s 个。几秒内开始。"
)
AGAIN_TWICE = N_(
    "将 %(accounts)s 个账号的 %(n)s 个事件从头推送：已放弃 %(dead)s 个，等待中 %(waiting)s 个，"
    "已送达 %(delivered)s 个，业务系统会再收到一次。几秒内开始。"
)
AGAIN_DONE = N_("已重新推送 %(n)s 个事件")
