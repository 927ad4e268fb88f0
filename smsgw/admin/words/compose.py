"""The words of a new sending, step by step, and of drafts."""

from __future__ import annotations

from smsgw.admin.i18n import N_
from smsgw.admin.words.audience import FILTER_KEPT as FILTER_KEPT, FILTER_STATE as FILTER_STATE
from smsgw.admin.words.content import REGISTRATION as REGISTRATION
from smsgw.admin.words.times import DAYS

UNREGISTERED_REFUSED = N_("签名【%(sign)s】未在以下运营商完成报备，按策略这些号码的短信会被拒绝：")
UNREGISTERED_SENT = N_("签名【%(sign)s】未在以下运营商完成报备，当前策略不拦截，但可能被运营商拒收：")
STEP: dict[str, str] = {
    "table": N_("上传表格"),
    "content": N_("内容"),
    "audience": N_("接收号码"),
    "check": N_("核对"),
    "options": N_("高级设置"),
    "time": N_("发送时间"),
    "confirm": N_("确认"),
}
TITLE: dict[str, str] = {"same": N_("新建发送任务"), "own": N_("自定义发送")}
KIND: dict[str, str] = {"same": N_("统一内容"), "own": N_("自定义发送")}
KIND_TONE: dict[str, str] = {"same": "blue", "own": "azure"}
SOURCE: dict[str, str] = {"typed": N_("手工填写"), "file": N_("上传文件"), "audience": N_("通讯录"),
                          "segment": N_("按效果筛选"), "filter": N_("空号过滤结果")}  # fmt: skip
SEGMENT: dict[str, str] = {
    "not_clicked": N_("未点击短链"), "clicked": N_("已点击短链"), "replied": N_("已回复"),
    "unreached": N_("从未送达"), "silent": N_("无回复无点击"),
}  # fmt: skip
SEGMENT_SAVED = N_("已保存人群“%(name)s”，并选用")
SEGMENT_GONE = N_("#%(id)s（不存在或不可见，请另选）")
SEGMENT_ASKS = N_("%(kind)s · 最近 %(days)s 天的短信")
SEGMENT_OF_CHOSEN = N_("%(kind)s · 选出的 %(n)s 条短信")
SEGMENT_OF_TASK = N_("任务 #%(id)s")
SEGMENT_OF_LINK = N_("短链 #%(id)s")
NO_FILTER = N_("请选择一份已完成的空号过滤")
NO_CLASS = N_("请选择要保留的分类，所选分类须有号码")
WHEN: dict[str, str] = {"now": N_("立即发送"), "at": N_("定时发送"), "again": N_("周期发送")}
EVERY: dict[str, str] = {"day": N_("每天"), "week": N_("每周"), "month": N_("每月")}
WEEKDAY: dict[str, str] = {str(n): day for n, day in enumerate(DAYS, 1)}
LAST_DAY = N_("最后一天")
PRIORITY: dict[str, str] = {"": N_("普通"), "1": N_("特发")}
URGENT_NO_RIGHT = N_("特发需要您有特急发送的权限，且账号已开通特急发送。")
URGENT_NOT_MARKETING = N_("营销短信不能特发。")
FREQUENCY: dict[str, str] = {
    "": N_("不另外限制"),
    "day": N_("每人每天 1 条"),
    "week": N_("每人每周 1 条"),
    "month": N_("每人 30 天 1 条"),
    "own": N_("自定义"),
}
UNIT: dict[str, str] = {"hour": N_("小时"), "day": N_("天")}
STEPS: dict[str, str] = {"": N_("一次发送"), "1": N_("逐步发送")}
ONE_EACH: dict[str, str] = {"number": N_("每个号码只发一条"), "content": N_("同一号码内容不同可发多条")}
CLASS: dict[str, str] = {
    "valid": N_("有效"),
    "held": N_("须审批"),
    "NUMBER_DUPLICATE": N_("重复"),
    "NUMBER_INVALID": N_("格式错误"),
    "NUMBER_BLACKLISTED": N_("黑名单"),
    "NUMBER_OPTED_OUT": N_("已退订"),
    "NUMBER_BLACKLISTED.carrier": N_("运营商黑名单"),
    "NUMBER_EMPTY": N_("已知空号"),
    "NUMBER_NO_CONSENT": N_("未同意接收"),
    "NUMBER_NOT_ALLOWED": N_("不在仅限名单"),
    "SIGN_NOT_REGISTERED": N_("签名未报备"),
    "TEMPLATE_NOT_APPROVED": N_("模板未通过"),
    "NUMBER_FREQ_LIMITED": N_("频次超限"),
    "INTERNATIONAL_LIMITED": N_("境外限制"),
    "LINK_NOT_FILED": N_("链接未报备"),
    "LINK_NOT_ACTIVE": N_("短链不可用"),
    "LINK_NOT_FOUND": N_("短链不存在"),
    "LINK_CODES_USED_UP": N_("短码不足"),
    "CONTENT_SENSITIVE": N_("含禁发词"),
    "CONTENT_OPTOUT_MISSING": N_("缺少退订提示"),
    "SIGN_MISSING": N_("缺少签名"),
    "SIGN_NOT_APPROVED": N_("签名未通过"),
    "TEMPLATE_NOT_FOUND": N_("模板不存在"),
    "TEMPLATE_REQUIRED": N_("须用模板"),
    "QUOTA_DAY_EXCEEDED": N_("超出日限额"),
    "QUOTA_MONTH_EXCEEDED": N_("超出月限额"),
    "QUOTA_DEPARTMENT_EXCEEDED": N_("超出部门限额"),
    "CONTENT_VARIABLE_UNRESOLVED": N_("缺少变量"),
    "TEMPLATE_PARAM_INVALID": N_("变量不合模板"),
    "CONTENT_TOO_LONG": N_("内容过长"),
    "CONTENT_UNENCODABLE": N_("含无法编码的字符"),
    "COMPLAINT_CEILING": N_("投诉超限"),
}
"""Classes that rows fall into; the first five are always shown."""
ALWAYS = ("valid", "NUMBER_DUPLICATE", "NUMBER_INVALID", "NUMBER_BLACKLISTED", "NUMBER_OPTED_OUT")

PICKED_KIND: dict[str, str] = {"groups": N_("群组"), "tags": N_("标签"), "contacts": N_("联系人")}
"""What can be picked from the address book."""

NO_ACCOUNT = N_("请选择发送账号")
LINK_KIND: dict[str, str] = {"personal": N_("个性化（每人一个短码）"), "shared": N_("群发（所有人同一个）")}
LINK_STATE: dict[str, str] = {
    "reviewing": N_("审核中"), "active": N_("有效"), "waiting": N_("未生效"), "stopped": N_("失效"),
    "expired": N_("失效"), "used_up": N_("失效"), "rejected": N_("驳回"),
}  # fmt: skip
LINK_UNNAMED = N_("未命名短链")
LINK_OF_ANOTHER = N_("这条短链不存在或不属于所选账号，请重新选择")
LINK_NO_PLACE = N_("内容中还没有 {link}：请在要放短链的位置插入它，或改为不使用短链")
NO_SCENARIO = N_("这个业务场景不存在、已停用，或不属于该账号，请重新选择")
NO_TYPE = N_("请选择短信类型")
NO_CONTENT = N_("请填写短信内容")
LONG_CONTENT = N_("内容最多 1,000 字，请缩短后重试")
NOT_APPROVED = N_("该账号没有这个已通过的签名，请重新选择")
BAD_SIGN = N_("签名须为 2 到 20 个字，不含【】")
NO_TEMPLATE = N_("该账号没有这个已通过的模板，请重新选择")
BLOCKED_WORDS = N_("含有禁发词：%(words)s，请修改后再继续")
NO_NUMBERS = N_("请填写至少一个手机号码")
TOO_MANY = N_("手工填写最多 %(n)s 个号码，更多请上传文件")
NO_FILE = N_("请先上传号码文件")
NO_COLUMN = N_("请选择号码所在的列")
NO_VARIABLE = N_("请选择对应的列")
NO_VALUE = N_("请填写这个变量的内容")
NO_AUDIENCE = N_("请至少选择一个群组、标签或联系人")
VARIABLES_NEED_FILE = N_("内容含变量 {%(name)s}，手工填写的号码没有变量值：请改用文件，或去掉变量")
ROW_MISSING = N_("这一行的变量 {%(name)s} 没有可用的内容，发送时会单独停下")
FILE_KEPT = N_("文件已上传：%(name)s，共 %(n)s 行")
SENT = N_("发送任务已建立")
SENT_HELD = N_("发送任务已提交，等待审批")
TESTED = N_("测试短信已提交到 %(number)s")
TEST_HELD = N_("发到 %(number)s 的测试短信须先经他人审批，已转入审批中心，通过后才会发出")
NUMBERS_NOT_COPIED = N_("已复制内容；号码只有提交人本人可以复制，请重新填写或上传")
NUMBERS_CHANGED = N_("号码有变化，已重新检查，请核对后再提交")
CHANGED = N_("内容有变化，请核对后再提交")
MARK: dict[str, str] = {
    "block": N_("禁发"),
    "review": N_("须审批"),
    "replace": N_("将被替换"),
    "wide": N_("部分手机无法显示"),
    "broken": N_("无法编码，不能发送"),
}
NO_CATEGORY = N_("未分类")

CUSTOM_LEAD = N_("上传表格，每一行按各自的内容发送；有问题的行单独停下，可下载修改后再发。")
DRAFTS_LEAD = N_("没有发出的内容保存在这里，只有您本人可见；填写时每 10 秒自动保存，最多 100 份。")
DRAFTS_EMPTY = N_("没有草稿")
DRAFTS_TEACHES = N_("新建发送任务时填写的内容会自动存为草稿，可随时回来继续。")
GO_ON = N_("继续编辑")
COPY = N_("复制")
COPY_EFFECT = N_("将复制 %(n)s 份草稿。")
REMOVE = N_("删除")
REMOVE_EFFECT = N_("将删除 %(n)s 份草稿，删除后不能恢复；已发出的任务不受影响。")
QUICK = N_("快速发送")
NEW = N_("新建发送任务")
NO_SUBJECT = N_("（未填写主题）")
COLUMNS = (N_("行号"), N_("号码"), N_("原因"))
"""Of a class's file."""
