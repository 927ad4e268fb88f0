"""The words of what messages are made of: templates, signatures, phrases."""

from __future__ import annotations

from smsgw.admin.i18n import N_

STATUS: dict[str, str] = {
    "pending": N_("待审核"),
    "approved": N_("已通过"),
    "refused": N_("未通过"),
    "stopped": N_("已停用"),
}
SIGN_STATUS: dict[str, str] = {**STATUS, "expired": N_("已到期")}
STATUS_TONE: dict[str, str] = {
    "pending": "yellow",
    "approved": "green",
    "refused": "red",
    "stopped": "secondary",
    "expired": "orange",
}
REGISTRATION: dict[str, str] = {
    "pending": N_("未报备"),
    "submitted": N_("报备中"),
    "registered": N_("已报备"),
    "refused": N_("被驳回"),
    "expired": N_("已过期"),
}
REGISTRATION_SAID = {state: word for state, word in REGISTRATION.items() if state != "expired"}
"""What somebody may say of it: that it is over comes by itself."""
REGISTRATION_TONE: dict[str, str] = {
    "pending": "secondary", "submitted": "blue", "registered": "green", "refused": "red", "expired": "orange"
}  # fmt: skip
REGISTERED_WITH: dict[str, str] = {"all": N_("全部已报备"), "some": N_("部分已报备"), "none": N_("未报备")}
REGISTERED_TONE: dict[str, str] = {"all": "green", "some": "blue", "none": "secondary"}
DECISION: dict[str, str] = {"approved": N_("通过"), "refused": N_("驳回")}
FORM: dict[str, str] = {
    "text": N_("文本"),
    "digits": N_("数字"),
    "alnum": N_("字母数字"),
    "amount": N_("金额"),
    "date": N_("日期时间"),
}
SOURCE: dict[str, str] = {
    "organisation": N_("单位全称或简称"),
    "app": N_("应用名称"),
    "site": N_("备案网站"),
    "wechat": N_("公众号或小程序"),
    "trademark": N_("商标"),
}
VARIABLE = N_("%(name)s（%(form)s，最多 %(most)s 字）")
CARRIERS = N_("运营商报备")
REASON_NEEDED = N_("驳回须写明原因")

# --- templates -------------------------------------------------------------------------------------------------------

TEMPLATES_LEAD = N_("模板由账号申请、审核人审核；通过后可按编号发送，已通过的内容不能修改，可复制后另行申请。")
TEMPLATES_EMPTY = N_("还没有短信模板")
TEMPLATES_TEACH = N_("把常用内容做成模板，其中变化的部分写成变量，如 {code}。审核通过后发送时只需填变量。")
TEMPLATE_NEW = N_("申请模板")
TEMPLATE_EDIT = N_("修改模板")
TEMPLATE_COPY = N_("复制")
CONTENT_HELP = N_("不含签名。变量写成 {名称}，名称为字母、汉字或下划线开头，如 {code}、{姓名}。")
VARIABLES_HELP = N_(
    "每行一个，如“code 数字 6”：变量名、类型（文本、数字、字母数字、金额、日期时间）、最多字数。没写的按文本。"
)
VARIABLE_LINE = N_("第 %(n)s 行应为：变量名 类型 最多字数")
TEMPLATE_SIGN_HELP = N_("不含【】；留空为可用账号的任一签名。")
APPLY = N_("提交审核")
TEMPLATE_ADD_EFFECT = N_("将以账号 %(account)s 提交模板“%(name)s”，等待审核；通过之前不能用它发送。")
TEMPLATE_SET_EFFECT = N_("将修改模板“%(name)s”并重新提交，等待审核。")
APPLIED = N_("已提交，等待审核。")
TEMPLATE_STOP_EFFECT = N_("将停用 %(n)s 个模板（%(names)s）：几秒内不能再用它们发送，已提交的短信不受影响。")
TEMPLATE_START_EFFECT = N_("将恢复 %(n)s 个模板（%(names)s）：仍按停用前的审核结果使用。")

# --- signatures ------------------------------------------------------------------------------------------------------

SIGNS_LEAD = N_("签名经审核并在运营商报备后使用；下级账号可用上级账号的签名。")
SIGNS_EMPTY = N_("还没有签名")
SIGNS_TEACH = N_("签名写在短信开头的【】中，表明是谁发的。先申请，审核通过后再向各运营商报备。")
SIGN_NEW = N_("申请签名")
SIGN_TEXT_HELP = N_("2 到 20 个字，不含【】和空格。")
SIGN_NOTE_HELP = N_("写给审核人：使用场景、授权情况。")
EXPIRES_HELP = N_("授权到期日，如 2027-12-31，当日仍有效；留空为长期有效。")
PAST_DAY = N_("须为今天或以后的日期")
SIGN_ADD_EFFECT = N_("将为账号 %(account)s 申请签名【%(sign)s】，等待审核；通过之前不能使用。")
SIGN_STOP_EFFECT = N_("将停用 %(n)s 个签名（%(names)s）：几秒内使用它们的发送会被拒绝，已提交的短信不受影响。")
SIGN_START_EFFECT = N_("将恢复 %(n)s 个签名（%(names)s）：仍按停用前的审核结果使用。")
RENEW = N_("续期")
RENEW_EFFECT = N_("签名【%(sign)s】的有效期将改为：%(until)s。")
FOREVER = N_("长期有效")
RENEWED = N_("有效期已修改。")

# --- both ------------------------------------------------------------------------------------------------------------

DECIDE = N_("审核")
DECIDE_EFFECT: dict[str, str] = {
    "approved": N_("将通过“%(name)s”（账号 %(account)s，申请人 %(submitter)s）：几秒内即可使用，并通知该账号。"),
    "refused": N_("将驳回“%(name)s”（账号 %(account)s，申请人 %(submitter)s）：不能使用，原因会通知该账号。"),
}
DECIDED = N_("审核结果已保存。")
REGISTER = N_("登记报备结果")
REGISTER_EFFECT = N_("将把“%(name)s”在 %(carriers)s 的报备状态设为“%(state)s”，并通知账号 %(account)s。")
REGISTERED = N_("报备状态已保存。")
REGISTER_NOTE_HELP = N_("运营商的答复，如驳回原因。")
REGISTER_DAY_HELP = N_("运营商答复的日期，如 2026-11-26。")
REGISTER_UNTIL_HELP = N_("报备到期日，当日仍有效；到期前 30、7、1 天提醒。留空为长期有效。")
FUTURE_DAY = N_("不能晚于今天")
STOP, START = N_("停用"), N_("恢复")
SAVE = N_("保存")

# --- documents -------------------------------------------------------------------------------------------------------

PROOFS = N_("证明材料")
PROOFS_LEAD = N_("报备所用的营业执照、授权书等；可注明只用于某家运营商。")
PROOFS_EMPTY = N_("还没有材料")
PROOF_KIND: dict[str, str] = {
    "license": N_("营业执照"), "authorization": N_("授权书"), "trademark": N_("商标注册证"),
    "identity": N_("经办人身份证件"), "receipt": N_("运营商回执"), "other": N_("其他材料"),
}  # fmt: skip
PROOF_ALL = N_("全部运营商")
PROOF_KINDS = N_("PNG、JPEG、WebP 图片或 PDF，最大 %(most)s MB。文件按原样保存，查看、下载和删除都记入审计日志。")
PROOF_KIND_NEEDED = N_("请选择材料种类")
PROOF_KEPT = N_("材料已保存。")
PROOF_REMOVE = N_("删除材料")
PROOF_REMOVE_EFFECT = N_("将删除签名【%(sign)s】的%(kind)s“%(name)s”。")
PROOF_REMOVED = N_("材料已删除。")

# --- the matrix ------------------------------------------------------------------------------------------------------

SIGNS, MATRIX = N_("签名"), N_("报备明细")
MATRIX_LEAD = N_("每个签名在每家运营商的报备状态、编号、有效期和材料；可按状态或到期时间筛选后导出。")
MATRIX_EMPTY = N_("没有符合条件的报备")
MATRIX_TEACH = N_("申请签名后，这里按运营商列出它的报备状态。")
DUE: dict[str, str] = {"0": N_("已过期"), "7": N_("7 天内到期"), "30": N_("30 天内到期"), "90": N_("90 天内到期")}
TO_SIGN = N_("查看签名")

# --- phrases ---------------------------------------------------------------------------------------------------------

PHRASES_LEAD = N_("编写短信时点“日常用语”即可插入；可只供自己使用，也可共享给部门或账号。")
PHRASES_EMPTY = N_("还没有日常用语")
PHRASES_TEACH = N_("把常用的句子存下来，编写短信时一点即用。")
PHRASE_NEW = N_("新建日常用语")
PHRASE_EDIT = N_("修改日常用语")
PHRASE_SCOPE: dict[str, str] = {"own": N_("仅自己"), "department": N_("部门共享"), "account": N_("账号共享")}
PHRASE_TONE: dict[str, str] = {"own": "secondary", "department": "blue", "account": "green"}
PHRASE_SCOPE_HELP = N_("部门共享：该部门及下级部门的人员可用；账号共享：能看到该账号的人员可用。")
CHOOSE_DEPARTMENT = N_("请选择部门")
CHOOSE_ACCOUNT = N_("请选择账号")
PHRASE_SAVED = N_("已保存。")
PHRASE_REMOVE = N_("删除")
PHRASE_REMOVE_EFFECT = N_("将删除 %(n)s 条日常用语（%(names)s），共享的对其他人也不再可用。")
