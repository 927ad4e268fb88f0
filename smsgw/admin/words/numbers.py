"""The words of numbers that phones see: access codes, extensions, and moving them."""

from __future__ import annotations

from smsgw.admin.i18n import N_
from smsgw.core.code_plan import Clash, Kind

LEAD = N_("手机上看到的号码：通道的接入号，加上账号、签名和任务的扩展号。回复按号码找到主人。")
EXTENSIONS_LEAD = N_("接入号之后的数字归谁：最长的一段决定回复归谁；空着的可以分配。")
REPLIES_LEAD = N_("最近 7 天的回复都发到了哪些号码，归谁。")
KIND: dict[str, str] = {
    Kind.ACCOUNT: N_("账号"), Kind.SIGN: N_("签名"), Kind.TASK: N_("任务"), Kind.SCENARIO: N_("业务场景"),
    Kind.FORMER: N_("曾用"),
}  # fmt: skip
CLASH: dict[str, str] = {
    Clash.SHARED: N_("扩展号 %(number)s 由 %(who)s 共用：回复只能按它所回的短信归属，72 小时后的回复分不清。"),
    Clash.CONTINUED: N_(
        "号码 %(number)s 有两种读法：%(channels)s 的接入号有重叠，回复可能属于 %(who)s。请换一个扩展号。"
    ),
    Clash.TOO_LONG: N_("%(channels)s 的接入号加扩展号 %(number)s 超过 20 位，运营商可能截断或拒绝：涉及 %(who)s。"),
    Clash.COVERED: N_(
        "任务或业务场景使用的号码 %(number)s 以另一账号的扩展号开头（%(who)s）：它的回复会归另一账号。请换一个扩展号。"
    ),
    Clash.SAME_ACCESS: N_("%(channels)s 使用同一个接入号 %(number)s：到达哪条通道的回复都按扩展号归属。"),
    Clash.BELOW: N_("扩展号 %(number)s 在另一账号的扩展号之下（%(who)s）：较短的一方不能再用以它开头的扩展位。"),
    Clash.PLAIN: N_("%(n)s 个账号没有扩展号（%(who)s）：回复只能按它所回的短信归属。给它们各分配一个即可分清。"),
}
LENT_CUT = N_("任务和业务场景很多：只看了各自最新的 %(n)s 个，更早的没有列出，也没有查冲突和空号。")
BAD, NOTE = N_("冲突"), N_("留意")
TAB_ACCESS, TAB_EXTENSIONS, TAB_REPLIES = N_("接入号"), N_("扩展号"), N_("回复去向")
MOVE, MOVE_TITLE = N_("更换接入号"), N_("更换通道的接入号")
MOVE_HELP = N_("运营商新分配的号码，1 至 20 位数字；几秒内生效，不重启、不断开其他通道。")
MOVE_EFFECT = N_(
    "通道 %(channel)s 的接入号由 %(before)s 改为 %(after)s，此后写出的短信都用新号，无需重启。最近 7 天有 "
    "%(accounts)s 个账号、%(signs)s 个签名的 %(parts)s 条经它发送；等待中的 %(queued)s 条改用新号，"
    "%(sending)s 条等待应答的不重发。回复旧号在 %(until)s 之前仍能找到主人。"
)
MOVE_EFFECT_CLASH = N_(
    "通道 %(channel)s 的接入号由 %(before)s 改为 %(after)s，此后写出的短信都用新号，无需重启。最近 7 天有 "
    "%(accounts)s 个账号、%(signs)s 个签名的 %(parts)s 条经它发送；等待中的 %(queued)s 条改用新号，"
    "%(sending)s 条等待应答的不重发。回复旧号在 %(until)s 之前仍能找到主人。注意：%(clash)s"
)
MOVED = N_("接入号已改为 %(after)s")
SAME = N_("这就是现在的号码")
DIGITS = N_("只能是数字，1 至 20 位")
EXTENSION_DIGITS = N_("只能是数字，1 至 12 位")
REPLACE, REPLACE_TITLE = N_("整条通道改走"), N_("整条通道改走另一通道")
REPLACE_HELP = N_("接手的通道须已启用并服务同样的运营商；原通道转为排空，仍接收回执和回复（已停用的保持停用）。")
REPLACE_EFFECT = N_(
    "通道 %(channel)s 的全部短信此后由 %(to)s 发送（速率上限 %(rate)s）。最近 7 天有 %(accounts)s 个账号、"
    "%(signs)s 个签名的 %(parts)s 条经它发送%(names)s；路由策略中 %(pools)s 个通道池、%(rules)s 条固定走它的"
    "规则随之改走。等待中的 %(queued)s 条和等待重试的 %(deferred)s 条一并改走，%(sending)s 条已写出的等待应答"
    "，绝不发第二次。%(former)s回复旧号码照常对应，停用或移除后仍保留 30 天。不重启，几秒内生效。要改回：先重"
    "新启用原通道，再在路由策略的历史版本中回退；只回退而不启用，短信会一直等待。"
)
REPLACE_EFFECT_DOWN = N_(
    "通道 %(to)s 现在没有连接：改走之后短信将等待它恢复。通道 %(channel)s 的全部短信此后由它发送（速率上限 "
    "%(rate)s）。最近 7 天有 %(accounts)s 个账号、%(signs)s 个签名的 %(parts)s 条经原通道发送%(names)s；路由"
    "策略中 %(pools)s 个通道池、%(rules)s 条固定走它的规则随之改走。等待中的 %(queued)s 条和等待重试的 "
    "%(deferred)s 条一并改走，%(sending)s 条已写出的等待应答，绝不发第二次。%(former)s回复旧号码照常对应，停"
    "用或移除后仍保留 30 天。要改回：先重新启用原通道，再在路由策略的历史版本中回退；只回退而不启用，短信会一"
    "直等待。"
)
FORMER_DRAINS = N_("原通道转为排空，继续接收回执和回复。")
FORMER_STOPPED = N_("原通道已停用，保持停用，不会登录。")
REPLACED = N_("已改走通道 %(to)s，等待中的短信正在改走；要改回，先启用通道 %(channel)s，再回退路由策略")
NAMES = N_("（%(names)s 等）")
NO_LIMIT = N_("不限")
PER_SECOND = N_("%(n)s 条/秒")
GIVE, GIVE_TITLE = N_("分配扩展号"), N_("分配或更换扩展号")
SIGN_HELP = N_("留空是账号自己的扩展号；填写签名则只用于这个签名。")
GIVE_HELP = N_("1 至 12 位数字。别的账号正在用、30 天内用过，或仍有短信在途的数字不能分配。")
GIVE_EFFECT = N_(
    "%(who)s 的扩展号由 %(before)s 改为 %(after)s，几秒内对新受理的短信生效，无需重启。已受理、等待发送的 "
    "%(waiting)s 条仍从原扩展号发出，不丢不重；回复原扩展号在 %(until)s 之前仍能找到它。"
)
GIVE_EFFECT_CLASH = N_(
    "%(who)s 的扩展号由 %(before)s 改为 %(after)s，几秒内对新受理的短信生效，无需重启。已受理、等待发送的 "
    "%(waiting)s 条仍从原扩展号发出，不丢不重；回复原扩展号在 %(until)s 之前仍能找到它。注意：%(clash)s"
)
NOT_LOOKED_THROUGH = N_("几秒内没有查清是否有别的账号近期从这些数字发送过；确认时再查，可能要几分钟，查到时不会更换。")
GIVEN = N_("扩展号已改为 %(after)s")
NONE = N_("（无）")
WAITING_MORE = N_("超过 %(n)s")
NO_SIGN = N_("账号没有这个签名")
