"""The words of API keys."""

from __future__ import annotations

from smsgw.admin.i18n import N_

SCOPE: dict[str, str] = {
    "send": N_("发送"), "query": N_("查询"), "report": N_("状态报告"), "mo": N_("上行"), "webhook": N_("推送地址"),
    "template": N_("签名与模板"), "link": N_("链接报备"), "number": N_("联系人与名单"), "balance": N_("余额"),
    "emergency": N_("特急发送"), "admin": N_("推送到内网"),
}  # fmt: skip
"""Scopes: what a key may do with its own account's data."""
MODE: dict[str, str] = {"live": N_("正式"), "test": N_("测试")}
MODE_TONE: dict[str, str] = {"live": "blue", "test": "secondary"}
STATUS: dict[str, str] = {"active": N_("已启用"), "stopped": N_("已停用")}
STATUS_TONE: dict[str, str] = {"active": "green", "stopped": "secondary"}
LEAD = N_("业务系统调用接口时用来签名的密钥；密文只在建立和轮换时显示一次。")
EMPTY, TEACHES = N_("还没有密钥"), N_("为账号建立密钥后，业务系统即可通过接口发送和查询。")
ADD, ADD_TITLE, EDIT, EDIT_TITLE = N_("新建密钥"), N_("新建密钥"), N_("修改"), N_("修改密钥")
SAVE = N_("保存")
ROTATE, ROTATE_TITLE, RETIRE, RETIRE_TITLE = N_("轮换"), N_("轮换密钥"), N_("停用旧密文"), N_("停用旧密文")
ROTATE_EFFECT = N_("将为 %(key)s 生成新的密文并显示一次。旧密文继续有效，业务系统改用新密文后请停用旧密文。")
RETIRE_EFFECT = N_("%(key)s 轮换前的密文将立即失效，仍在使用它的系统不能再调用接口。")
RETIRED, SAVED = N_("旧密文已停用。"), N_("密钥已保存。")
STOP, START = N_("停用"), N_("启用")
STOP_EFFECT = N_("将停用 %(n)s 个密钥，使用它们的业务系统几秒内不能再调用接口；可以重新启用。")
START_EFFECT = N_("将启用 %(n)s 个密钥，几秒内生效。")
TEST_HELP = N_("测试密钥提交的短信不会发给任何人，也不计费。")
SCOPES_HELP = N_("只给业务系统需要的权限。")
NETWORKS_HELP = N_("每行一个地址或网段；留空为不限。账号另有限制时两者都须满足。")
RATE_HELP = N_("每秒调用接口的次数，1 到 100,000。")
DAYS_HELP = N_("留空为长期有效。")
