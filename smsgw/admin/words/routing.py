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

# --- words that texts must not have ----------------------------------------------------------------------------------

ACTION: dict[str, str] = {"block": N_("拦截"), "review": N_("送审"), "replace": N_("替换")}
ACTION_TONE: dict[str, str] = {"block": "red", "review": "orange", "replace": "blue"}
WORDS_LEAD = N_("发送前按此表检查短信内容，改动几秒内在所有节点生效。全角、空格、标点、繁体等变形同样会被发现。")
WORDS_EMPTY = N_("还没有敏感词")
WORDS_TEACH = N_("可以按分类加入敏感词，含有它们的短信会被拦截、送审或替换。")
WORDS_ADD, WORDS_ADD_TITLE, WORDS_TEST = N_("添加敏感词"), N_("添加敏感词"), N_("检测文本")
WORDS_REMOVE = N_("删除")
WORD_IMPORT, WORDS = N_("导入敏感词"), N_("敏感词")
WORD_IMPORT_LEAD = N_("从 CSV 或 XLSX 表格批量导入，后台处理；每一行的结果都可下载，不会悄悄丢弃。")
WORD_DUPLICATE: dict[str, str] = {
    "skip": N_("跳过：保留原有设置"),
    "overwrite": N_("覆盖：改用表格中的分类和处理方式"),
}
WORD_DUPLICATES_HELP = N_("词已在表中（账号和类型也相同）时的处理方式；同一文件中重复出现的词也按此处理。")
WORD_IMPORT_ACTION_HELP = N_("用于没有写处理方式的行。表格中可写：拦截、送审、替换。")
WORD_IMPORT_CATEGORY_HELP = N_("用于没有写分类的行，可留空。")
WORD_IMPORT_RESULT, WORD_IMPORT_WRONG = N_("下载导入结果"), N_("下载未导入的行")
WORDS_REMOVE_EFFECT = N_("将删除 %(n)s 个敏感词，此后含有它们的短信不再因此被拦截、送审或替换。")
LINES_HELP = N_("每行一个，一次最多 1,000 个，每个最多 64 个字符；可粘贴表格中的两列，第二列为分类。更多请用导入。")
CATEGORY_HELP = N_("如 赌博、广告法；同一分类可以一起查询。")
REPLACEMENT_HELP = N_("处理方式为替换时使用；留空则替换为同样个数的 *。")
SCOPE_HELP = N_("留空为全部账号。")
TYPE_HELP = N_("留空为全部类型。")
TEST_ACCOUNT_HELP = N_("选择账号后，也检查只对它（及其上级）生效的词；留空只检查对全部账号生效的词。")
TEST_TYPE_HELP = N_("选择类型后，也检查只对它生效的词；留空只检查对全部类型生效的词。")
BAD_WORDS = N_("第 %(lines)s 行不是有效的敏感词：须有文字或数字，最多 64 个字符")
TOO_MANY_WORDS = N_("一次最多 %(n)s 个，现有 %(have)s 个")
ADD_EFFECT: dict[str, str] = {
    "block": N_("将保存 %(n)s 个敏感词（%(scope)s），其中 %(known)s 个已在表中，会改设置。含有它们的短信会被拦截。"),
    "review": N_("将保存 %(n)s 个敏感词（%(scope)s），其中 %(known)s 个已在表中，会改设置。含有它们的短信须先审批。"),
    "replace": N_("将保存 %(n)s 个敏感词（%(scope)s），其中 %(known)s 个已在表中，会改设置。短信中的它们会被替换。"),
}
WORD_EDIT, WORD_EDIT_TITLE, WORD_SAVE = N_("修改"), N_("修改敏感词"), N_("保存")
WORD_SAVED = N_("敏感词已保存，几秒内生效")
BAD_WORD = N_("须含文字，且不超过 %(n)s 个字符")
EDIT_EFFECT: dict[str, str] = {
    "block": N_("将保存敏感词“%(word)s”（%(scope)s），几秒内生效。含有它的短信会被拦截。"),
    "review": N_("将保存敏感词“%(word)s”（%(scope)s），几秒内生效。含有它的短信须先审批。"),
    "replace": N_("将保存敏感词“%(word)s”（%(scope)s），几秒内生效。短信中的它会被替换。"),
}
WORDS_ADDED = N_("已保存 %(n)s 个敏感词")
OUTCOME: dict[str, tuple[str, str]] = {
    "": (N_("没有发现敏感词，内容不受影响。"), "good"),
    "replace": (N_("短信照常发送，其中的敏感词会被替换。"), "info"),
    "review": (N_("短信须审批后才发送。"), "warning"),
    "block": (N_("短信会被拦截。"), "bad"),
}
"""What becomes of a text, by the gravest action."""
