"""Words of message fallback (消息回落)."""

from __future__ import annotations

from smsgw.admin.i18n import N_

FALLBACK: dict[str, str] = {"": N_("不回落"), "1": N_("回落")}
HOP: dict[str, str] = {"0": N_("首发短信"), "1": N_("第 1 跳"), "2": N_("第 2 跳"), "3": N_("第 3 跳")}
WHEN: dict[str, str] = {"any": N_("失败或超时"), "failed": N_("仅失败"), "expired": N_("仅超时")}
WHY: dict[str, str] = {
    "open": N_("结果未定：只有确定失败才会回落，可能已送达的不回落。"),
    "due": N_("已失败，下一跳等待发出。"),
    "arrived": N_("已送达，不再回落。"),
    "refused": N_("由平台拒绝，不是送达失败，不回落。"),
    "over": N_("回落期限已过，不再回落。"),
    "other": N_("不符合下一跳的触发条件，不回落。"),
    "last": N_("这是最后一跳。"),
    "withdrawn": N_("已取消，不回落。"),
    "duplicate": N_("同一内容已发给该号码，不回落。"),
    "uncertain": N_("失败码不能确定手机没有收到，不回落。"),
    "earlier": N_("此前一次提交结果不明，可能已送达，不回落。"),
    "reviewed": N_("未经审批通过，不回落。"),
    "gone": N_("号码已按保留规则脱敏，不回落。"),
}
"""Why nothing has followed a message."""
IN_MINUTES = N_("期限 %(n)s 分钟")
EACH = N_("%(hop)s（%(when)s）：%(text)s")
BY_TEMPLATE = N_("模板 #%(id)s")
VIA = N_("%(text)s，优先经 %(pool)s")
HIDDEN = N_("您的角色不能查看短信内容。")
RECORDS = N_("按回落查看")
HEADING = N_("消息回落")
HEADINGS = {1: N_("消息回落：第 1 跳"), 2: N_("消息回落：第 2 跳"), 3: N_("消息回落：第 3 跳")}
HEADING_TIME = N_("消息回落：期限")
HELP = N_(
    "短信确定失败后，依次改发下面的内容，直到送达；可能已送达的（结果不明、没有回执）绝不再发。"
    "每一跳与普通短信一样受检查并计费。"
)
MINUTES_HELP = N_("从首发短信开始起算，到期后不再回落；留空为 1440 分钟（24 小时）。")
CONTENT_HELP = N_("留空且不选模板则没有这一跳。")
SIGN_HELP = N_("留空则与前一条相同。")
WHEN_HELP = N_("超时：有效期内没有提交运营商，或运营商回报已过期。")
