"""The words of reports without a message."""

from __future__ import annotations

from smsgw.admin.i18n import N_
from smsgw.core.report_match import Rule, Why

LEAD = N_(
    "运营商发来、却找不到所报短信的状态报告。每份都写明原因；只有恰好对应一条短信的才能按规则重新匹配，绝不猜测。"
)
WHY: dict[str, str] = {
    Why.FITS: N_("按规则恰好对应一条"),
    Why.AMBIGUOUS: N_("对应不止一条"),
    Why.SETTLED: N_("短信已有结果"),
    Why.NO_ID: N_("编号对不上"),
    Why.NOT_OURS: N_("没有发给该号码"),
    Why.NO_NUMBER: N_("未带号码"),
}
TONE: dict[str, str] = {
    Why.FITS: "blue", Why.AMBIGUOUS: "orange", Why.SETTLED: "secondary", Why.NO_ID: "secondary",
    Why.NOT_OURS: "secondary", Why.NO_NUMBER: "secondary",
}  # fmt: skip
ABOUT: dict[str, str] = {
    Why.FITS: N_("按所列规则，报告的编号与号码恰好是一条仍在等回执的短信的；可以重新匹配。"),
    Why.AMBIGUOUS: N_("有几条短信都符合，选哪条都是猜测，因此不能匹配；请向运营商核对。"),
    Why.SETTLED: N_("编号是这条短信的，但它已有最终结果；这是迟到或重复的报告，不再改动。"),
    Why.NO_ID: N_("近期给这个号码发过短信，但没有一条的编号与它相像。请核对运营商应答与报告里的编号写法。"),
    Why.NOT_OURS: N_("近 13 天没有经这家运营商的通道给这个号码发过短信：多半是别的平台的报告，或已过保留期。"),
    Why.NO_NUMBER: N_("报告没有带手机号码，仅凭编号不能确定是哪一条。"),
}
RULE: dict[str, str] = {
    Rule.SAME: N_("编号原样一致"),
    Rule.HEX_DEC: N_("应答十六进制、报告十进制"),
    Rule.DEC_HEX: N_("应答十进制、报告十六进制"),
    Rule.SWAPPED: N_("八字节编号次序相反"),
    Rule.TRIMMED: N_("编号被截短"),
    Rule.OTHER_CHANNEL: N_("短信经同一运营商的另一通道发出"),
}
REMATCH, REMATCH_TITLE = N_("重新匹配"), N_("重新匹配通道的报告")
RULE_HELP = N_("只处理按这条规则恰好对应一条短信的报告；号码必须相同，短信必须仍在等回执。")
ADOPT_HELP = N_("仅编号写法的规则可选：通道以后的报告都按它读，不再自动学习。")
EFFECT = N_(
    "查看了通道 %(channel)s 的 %(looked)s 份未匹配报告：按“%(rule)s”恰好对应一条短信的有 %(fits)s 份，将据此"
    "得出结果并推送客户；%(ambiguous)s 份对应不止一条，不作处理；其余 %(rest)s 份按此规则无法对应，保留在列表"
    "中。"
)
EFFECT_MORE = N_(
    "查看了通道 %(channel)s 最早的 %(looked)s 份未匹配报告（还有更多，一并处理）：按“%(rule)s”恰好对应一条短"
    "信的有 %(fits)s 份，将据此得出结果并推送客户；%(ambiguous)s 份对应不止一条，不作处理；其余 %(rest)s 份按"
    "此规则无法对应，保留在列表中。"
)
NO_FIT = N_("通道 %(channel)s 没有报告按“%(rule)s”恰好对应一条短信（查看了 %(looked)s 份），没有可做的。")
BEGUN = N_("正在分批重新匹配")
DONE = N_("查看了 %(looked)s 份报告，%(matched)s 份已对应到短信，%(ambiguous)s 份对应不止一条而保留")
EMPTY, TEACHES = (
    N_("没有未匹配的报告"),
    N_("运营商的每份状态报告都找到了自己的短信。找不到的会列在这里，写明原因和可用的规则；过多时会告警。"),
)
THE_MESSAGE = N_("所对应的短信")
NOT_SPELLING = N_("只有编号写法的规则可以这样设置")
PDU = N_("原始报文")
