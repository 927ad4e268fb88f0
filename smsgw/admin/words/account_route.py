"""The words of giving an account to another channel."""

from __future__ import annotations

from smsgw.admin.i18n import N_

MOVE, MOVE_TITLE = N_("切换通道"), N_("切换账号的通道")
RESTORE, RESTORE_TITLE = N_("恢复按规则选路"), N_("恢复按规则选择通道")
CHANNEL_HELP = N_("此后该账号的短信只走此通道；号码不属于通道服务的运营商时仍按规则选路。")
NOTE_HELP = N_("写明原因，记入路由版本和审计日志。")
EVERY_CARRIER, SIMULATED = N_("全部运营商"), N_("模拟通道")
MORE_THAN = N_("超过 %(n)s")
EFFECT = N_(
    "账号 %(name)s 此后的短信由通道 %(channel)s 发送。等待中的 %(follow)s 条随之改走，"
    "%(stay)s 条的号码不属于该通道服务的运营商，保持原路；"
    "%(retried)s 条在原通道等待重试，仍由它发送；"
    "暂停或审核中的 %(held)s 条和未到时间的在放行时再选路；通道已取走的不变。"
    "切换几秒内生效，可随时恢复。"
)
EFFECT_DOWN = N_(
    "账号 %(name)s 此后的短信由通道 %(channel)s 发送，该通道现在没有连接，短信将等待它恢复。"
    "等待中的 %(follow)s 条随之改走，%(stay)s 条的号码不属于该通道服务的运营商，保持原路；"
    "%(retried)s 条在原通道等待重试，仍由它发送；"
    "暂停或审核中的 %(held)s 条和未到时间的在放行时再选路；通道已取走的不变。"
)
DONE = N_("已切换到通道 %(channel)s，等待中的短信正在改走")
RESTORE_EFFECT = N_(
    "账号 %(name)s 此后不再固定走通道 %(channel)s，按路由规则选择通道。"
    "等待中的 %(n)s 条一并按规则改走；"
    "%(retried)s 条在原通道等待重试，仍由它发送；"
    "暂停或审核中的 %(held)s 条和未到时间的在放行时再选路；通道已取走的不变。"
)
NOT_MOVED = N_("该账号没有固定通道，本来就按规则选路。")
RESTORED = N_("已恢复按规则选路，等待中的短信正在改走")
FOLLOWED = N_("%(moved)s 条等待中的短信已改走")
FOLLOWED_BUSY = N_("%(moved)s 条等待中的短信已改走，另有 %(busy)s 条正被原通道取走")
