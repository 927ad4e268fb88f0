"""The words of the board, of screens on walls, and of queues."""

from __future__ import annotations

from smsgw.admin.i18n import N_

LINES: dict[str, str] = {"accepted": N_("受理"), "submitted": N_("提交"), "reported": N_("已有回执")}
TONES: dict[str, str] = {"accepted": "blue", "submitted": "azure", "reported": "green"}
MINUTES = N_("最近 60 分钟（段/分钟）")
HOURS = N_("最近 24 小时（段/小时）")
SUMMARY = N_("受理 %(accepted)s 段，提交 %(submitted)s 段，已有回执 %(reported)s 段。")
LANE: dict[str, str] = {"emergency": N_("特发"), "otp": N_("验证码"), "notice": N_("通知"), "marketing": N_("营销")}

SCREENS_LEAD = N_(
    "在大屏的浏览器中打开本平台的 /wall，输入大屏码即显示监控大盘，无需登录。只能看大盘，到期自动结束，可随时收回；"
    "创建人停用或失去权限时也随即结束。"
)
SCREENS_EMPTY = N_("还没有大屏")
SCREENS_TEACH = N_("值班室的大屏不必用个人账号长期登录：创建大屏码，在大屏上输入一次即可。")
SCREEN_NEW = N_("创建大屏码")
SCREEN_STATE: dict[str, str] = {
    "waiting": N_("等待输入大屏码"), "unused": N_("大屏码已过期"), "open": N_("显示中"), "over": N_("已结束"),
}  # fmt: skip
SCREEN_TONE: dict[str, str] = {"waiting": "azure", "unused": "secondary", "open": "green", "over": "secondary"}
SCREEN_FOR: dict[str, str] = {
    "4": N_("4 小时"), "12": N_("12 小时"), "24": N_("1 天"), "168": N_("7 天"), "720": N_("30 天"),
}  # fmt: skip
NAME_HELP = N_("如“值班室左侧大屏”。")
FOR_HELP = N_("到期后大屏不再显示，需要重新创建大屏码。")
END, END_EFFECT = N_("收回"), N_("将收回 %(n)s 块大屏，它们在几秒内停止显示，须重新输入大屏码。")
END_NONE = N_("所选大屏都已结束。")
TABS = (N_("监控大盘"), N_("大屏"))
WRONG_CODE = N_("大屏码不对或已过期，请核对后重新输入，或请运维人员重新创建。")
