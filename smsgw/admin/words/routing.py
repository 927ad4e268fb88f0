"""The words of channels and of what decides about the way of a message."""

from __future__ import annotations

from smsgw.admin.i18n import N_

START, STOP, DRAIN, SET = N_("启用"), N_("停用"), N_("排空"), N_("修改")
START_TITLE, STOP_TITLE, DRAIN_TITLE = N_("启用通道"), N_("停用通道"), N_("排空通道")
ADD_TITLE, SET_TITLE = N_("新增通道"), N_("修改通道")
START_EFFECT = N_(
    "将登录运营商网关并开始发送。所服务的通道组中有 %(queued)s 条短信排队，另有 %(deferred)s 段待本通道重发。"
)
STOP_EFFECT = N_(
    "将等待 %(sending)s 段在途短信的应答，随后退出登录。%(unreported)s 段已提交的短信还没有状态报告，停用期间收不到；"
    "%(queued)s 条排队的短信和 %(deferred)s 段待重发的改走 %(others)s。"
)
STOP_ALONE_EFFECT = N_(
    "将等待 %(sending)s 段在途短信的应答，随后退出登录。%(unreported)s 段已提交的短信还没有状态报告，停用期间收不到。"
    "所服务的通道组没有其他已连接的通道，%(queued)s 条排队的短信和 %(deferred)s 段待重发的将一直等待，"
    "超过有效期即作废。"
)
DRAIN_EFFECT = N_(
    "将不再发送新短信，但保持连接，以便收回 %(unreported)s 段短信的状态报告。"
    "%(queued)s 条排队的短信和 %(deferred)s 段待重发的改走 %(others)s。"
)
DRAIN_ALONE_EFFECT = N_(
    "将不再发送新短信，但保持连接，以便收回 %(unreported)s 段短信的状态报告。所服务的通道组没有其他已连接的通道，"
    "%(queued)s 条排队的短信和 %(deferred)s 段待重发的将一直等待，超过有效期即作废。"
)
DESIRED_DONE: dict[str, str] = {
    "started": N_("通道已启用，正在连接。"),
    "stopped": N_("通道已停用。"),
    "draining": N_("通道正在排空。"),
}
MORE_THAN = N_("多于 %(n)s")
POLICY: dict[str, str] = {
    "hold": N_("等待状态报告，到期记为未确认"),
    "hold_short": N_("短时等待状态报告，到期记为未确认"),
    "resend": N_("重新发送（可能重复）"),
}
"""What happens to parts whose answer was lost."""
PROBE: dict[str, tuple[str, str]] = {
    "ok": (N_("探测正常"), "green"),
    "failed": (N_("探测失败"), "red"),
    "under way": (N_("探测中"), "yellow"),
}
SAVE = N_("保存")
