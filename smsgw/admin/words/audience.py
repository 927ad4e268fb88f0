"""The words of the lists of numbers: who gets nothing, who is treated apart, who has opted out."""

from __future__ import annotations

from smsgw.admin.i18n import N_
from smsgw.admin.words.messages import TYPE

SOURCE: dict[str, str] = {
    "manual": N_("人工添加"),
    "opt_out": N_("退订"),
    "complaint": N_("投诉"),
    "carrier": N_("运营商"),
}
SOURCE_TONE: dict[str, str] = {"manual": "secondary", "opt_out": "orange", "complaint": "red", "carrier": "blue"}
EVERY_TYPE: dict[str, str] = {"*": N_("全部类型"), **TYPE}

BLOCK_LEAD = N_("名单中的号码不再收到所选范围内的短信，改动约一秒内在所有节点生效。")
BLOCK_EMPTY = N_("黑名单中没有号码")
BLOCK_TEACHES = N_("把投诉、退订或要求停发的号码加入黑名单，可限定账号、类型和签名。")
BLOCK_ADD = N_("添加号码")
BLOCK_ADD_TITLE = N_("添加到黑名单")
BLOCK_ADD_EFFECT = N_(
    "将把 %(n)s 个号码加入黑名单（%(scope)s），此后发给它们的短信会被拒绝；已提交运营商的短信无法撤回。"
)
BLOCK_ADDED = N_("已加入黑名单：%(n)s 个号码")
NUMBERS_HELP = N_("每行一个，也可用逗号、分号或空格分隔，一次最多 1,000 个。")
DAYS_HELP = N_("留空为长期有效。")
ACCOUNT_HELP = N_("留空为全部账号。")
SIGN_HELP = N_("不含【】；留空为全部签名。")
REASON_HELP = N_("写明依据，便于日后查询。")
BAD_NUMBERS = N_("不是有效的手机号：%(numbers)s")
TOO_MANY = N_("一次最多 %(n)s 个号码，现有 %(have)s 个")
ALL_ACCOUNTS = N_("全部账号")
EVERY_ACCOUNT: dict[str, str] = {"*": ALL_ACCOUNTS}
ACCOUNT_NEEDED = N_("请选择账号")
LIFT = N_("解除")
LIFT_TITLE = N_("解除限制")
LIFT_EFFECT = N_("将解除 %(number)s 的一条限制（%(scope)s，来源：%(source)s），此后该范围内的短信可正常发送。")
LIFT_OPT_OUT_EFFECT = N_(
    "将解除 %(number)s 的退订（%(scope)s）。该号码是本人退订的，须有本人重新同意的凭证，请在原因中写明。"
)
LIFTED = N_("已解除")

OPT_OUT_LEAD = N_("用户回复退订或由业务系统登记的退订，按账号、类型和签名生效。")
OPT_OUT_EMPTY = N_("还没有退订记录")
OPT_OUT_TEACHES = N_("用户回复“拒收请回复R”等退订指令后会自动出现在这里。")

LISTED: dict[str, str] = {"exempt": N_("免频控"), "only": N_("仅限名单"), "test": N_("测试号码")}
LISTED_TONE: dict[str, str] = {"exempt": "green", "only": "blue", "test": "secondary"}
ALLOW_LEAD = N_("名单中的号码按用途单独处理：免频控、仅限名单发送、测试。")
ALLOW_EMPTY = N_("白名单中没有号码")
ALLOW_TEACHES = N_("免频控的号码不受发送频率限制；账号设有“仅限名单”的号码后，只能向这些号码发送；测试号码用于试发。")
ALLOW_ADD_TITLE = N_("添加到白名单")
ALLOW_ADD_EFFECT = N_("将把 %(n)s 个号码加入白名单（%(kind)s，%(scope)s）。")
ALLOW_ONLY_EFFECT = N_("将把 %(n)s 个号码加入“仅限名单”：账号 %(scope)s 从此只能向名单中的号码发送。")
ALLOW_ADDED = N_("已加入白名单：%(n)s 个号码")
ALLOW_REMOVE = N_("移出名单")
ALLOW_REMOVE_EFFECT = N_("将把 %(n)s 个号码移出白名单。账号的“仅限名单”清空后，不再限制发送对象。")
