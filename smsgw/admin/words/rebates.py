"""The words of rebates by rule."""

from __future__ import annotations

from smsgw.admin.i18n import N_

LEAD = N_(
    "账号一个月的净计费条数（扣费减失败返还）达到起返条数后，每千条返还所定条数，次月 5 日起自动入账，每月一次。"
    "规则不能修改；新规则自所选月份起代替旧规则。"
)
EMPTY = N_("还没有返点规则")
TEACHES = N_("为账号新增规则后，每月自动返点，返还的条数记在返点记录里。")
NEW = N_("新增返点规则")
SAVED = N_("返点规则已保存")
EFFECT = N_(
    "自 %(month)s 起，“%(name)s”月净计费满 %(units)s 条时，每千条返还 %(per)s 条，代替之前的规则。操作记入审计日志。"
)
NONE_EFFECT = N_("自 %(month)s 起，“%(name)s”不再返点。操作记入审计日志。")
PER_HELP = N_("0 至 1000；0 表示不再返点。")
STATE: dict[str, str] = {"ahead": N_("待生效"), "holds": N_("有效"), "replaced": N_("已被取代")}
TONE: dict[str, str] = {"ahead": "azure", "holds": "green", "replaced": "secondary"}
RULES = N_("返点规则")
