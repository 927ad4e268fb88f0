"""The words of the page that says why a number gets nothing, and of requests to carriers."""

from __future__ import annotations

from smsgw.admin.i18n import N_

WHY = N_("为什么发不到这个号码")
WHY_LEAD = N_("输入一个号码，查看所有名单和规则对它的结论，以及如何解除。")
LOOK = N_("查询")
RULE: dict[str, str] = {
    "block": N_("黑名单"),
    "opt_out": N_("退订"),
    "only": N_("白名单"),
    "state": N_("号码状态"),
    "frequency": N_("发送频率"),
    "policy": N_("账号策略"),
    "consent": N_("营销同意"),
    "complaint": N_("投诉"),
    "review": N_("审批"),
    "carrier": N_("运营商"),
}
STANDING: dict[str, str] = {"blocks": N_("拦截"), "limits": N_("部分受限"), "notes": N_("提示"), "clear": N_("通过")}
STANDING_TONE: dict[str, str] = {"blocks": "red", "limits": "orange", "notes": "blue", "clear": "green"}
SAID: dict[str, str] = {
    "block.entry": N_("在黑名单中：%(scope)s；来源：%(source)s；原因：%(reason)s；%(actor)s 于 %(at)s 加入；%(until)s"),
    "block.above": N_("在平台级黑名单中（来源：%(source)s），对全部账号生效"),
    "block.unreadable": N_("有一条记录无法完整读取，按已屏蔽处理；由平台管理员修改或删除该记录"),
    "block.clear": N_("不在任何黑名单中"),
    "opt_out.entry": N_("本人已退订：%(scope)s；%(reason)s；%(at)s；%(until)s"),
    "opt_out.request": N_("已申请撤销退订，等待另一人审批（%(at)s）"),
    "opt_out.above": N_("本人已退订，对全部账号生效"),
    "opt_out.clear": N_("没有退订"),
    "only.missing": N_("账号设有“仅限名单”，该号码不在名单中"),
    "only.only": N_("在“仅限名单”中（%(scope)s）"),
    "only.exempt": N_("免频控（%(scope)s）"),
    "only.test": N_("测试号码：不受频率、时段和审批限制（%(scope)s）"),
    "only.clear": N_("没有名单限制"),
    "state.clear": N_("平台没有该号码的状态记录"),
    "state.live": N_("实号，最近一次确认：%(at)s"),
    "state.known": N_("%(state)s，依据：%(source)s %(code)s（%(at)s）；账号未设置自动剔除空号，不拦截"),
    "state.dropped": N_("%(state)s，依据：%(source)s %(code)s（%(at)s）；账号设置为自动剔除空号"),
    "frequency.account": N_("选择账号后判断发送频率"),
    "frequency.exempt": N_("该号码免频控"),
    "frequency.reached": N_("%(type)s短信已达频率上限：%(rule)s"),
    "frequency.clear": N_("未达频率上限"),
    "policy.account": N_("选择账号后判断账号策略"),
    "policy.hours": N_("%(type)s短信当前不在发送时段，%(at)s 开放"),
    "policy.review_all": N_("%(type)s短信须先审批"),
    "policy.review_untemplated": N_("%(type)s短信未使用已批准模板时须先审批"),
    "policy.clear": N_("当前没有时段或审批限制"),
    "consent.account": N_("选择账号后判断是否须有用户同意"),
    "consent.none": N_("账号的营销短信只发给已同意的号码，台账中没有该号码的同意记录"),
    "consent.withdrawn": N_("账号的营销短信只发给已同意的号码，该号码的同意已于 %(at)s 撤回"),
    "consent.given": N_("已同意接收营销短信（%(at)s）"),
    "consent.above": N_("已同意接收上级账号的营销短信"),
    "consent.clear": N_("账号发送营销短信不以同意台账为准"),
    "complaint.ceiling": N_("签名【%(sign)s】近期投诉 %(n)s 起，超过上限，营销短信暂停"),
    "complaint.some": N_("该号码近 30 天投诉 %(n)s 起，最近一次：%(at)s"),
    "complaint.clear": N_("没有投诉限制"),
    "review.held": N_("%(n)s 条发给该号码的短信正在等待审批或放行"),
    "review.clear": N_("没有待审批的短信"),
    "carrier.blocks": N_("运营商黑名单拦截：%(at)s 经通道 %(channel)s 返回 %(code)s"),
    "carrier.failed": N_("运营商返回失败：%(cls)s（%(code)s），%(at)s，通道 %(channel)s"),
    "carrier.request": N_("已向运营商申请解除：%(state)s（%(at)s）"),
    "carrier.clear": N_("近 30 天运营商没有拒绝"),
}
FOREVER, UNTIL = N_("长期有效"), N_("有效期至 %(at)s")
BLOCKED_BY = N_("%(n)s 项规则拦截，%(m)s 项部分受限")
BLOCKED_ONLY = N_("%(n)s 项规则拦截")
LIMITED_BY = N_("没有规则完全拦截，%(m)s 项部分受限")
FREE = N_("没有名单或规则拦截该号码；仍收不到时，请在发送记录中查看具体短信的全链路。")
LIFT: dict[str, str] = {
    "entry": N_("解除"),
    "undo": N_("申请撤销退订"),
    "exempt": N_("加入免频控"),
    "only": N_("加入仅限名单"),
    "forget": N_("清除状态"),
    "carrier": N_("申请运营商解除"),
    "review": N_("去审批"),
    "consent": N_("登记同意"),
    "above": N_("由平台管理员解除"),
    "wait": N_("到时自动解除"),
}
LIFT_REASON = N_("写明解除依据，将记入审计日志。")
LIFTED: dict[str, str] = {
    "exempt": N_("已加入免频控名单"),
    "only": N_("已加入仅限名单"),
    "forget": N_("已清除号码状态"),
    "carrier": N_("已登记解除申请"),
}
LIFT_ACCOUNT = N_("请先选择账号再解除")

# --- requests to carriers --------------------------------------------------------------------------------------------

COMPLAINTS = N_("查看投诉")
REQUESTS = N_("运营商解除申请")
REQUESTS_LEAD = N_("号码被运营商侧拦截时，向运营商申请解除并跟踪办理状态。")
REQUESTS_EMPTY = N_("还没有解除申请")
REQUESTS_TEACH = N_("在“为什么发不到这个号码”中查到运营商黑名单拦截后，可在该处提出申请。")
STATE: dict[str, str] = {
    "asked": N_("已申请"),
    "sent": N_("已提交运营商"),
    "lifted": N_("已解除"),
    "refused": N_("运营商拒绝"),
}
STATE_TONE: dict[str, str] = {"asked": "orange", "sent": "blue", "lifted": "green", "refused": "red"}
MOVE: dict[str, str] = {"sent": N_("标记已提交"), "lifted": N_("标记已解除"), "refused": N_("标记拒绝")}
MOVE_EFFECT: dict[str, str] = {
    "sent": N_("将把 %(n)s 个申请标记为已提交运营商。"),
    "lifted": N_("将把 %(n)s 个申请标记为已解除，并移除黑名单中来源为运营商的对应条目。"),
    "refused": N_("将把 %(n)s 个申请标记为运营商拒绝。"),
}
LETTER = N_("下载申请函")
LETTER_TEXT = N_(
    "解除短信拦截申请\n\n%(carrier)s：\n\n号码 %(number)s 的短信被贵方拦截，返回码 %(code)s。\n"
    "申请解除，理由：%(reason)s\n\n申请单位：%(owner)s\n申请编号：%(id)s\n申请日期：%(day)s\n"
)
