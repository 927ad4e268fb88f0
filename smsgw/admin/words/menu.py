"""The menu's words, in the menu's order. Those that the tender names are the tender's, letter by letter.

A label here is a place kept, not a page: an entry appears when a page declares it (``kit/menu``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from smsgw.admin.i18n import N_


class Side(StrEnum):
    """The two worlds of the portal."""

    BUSINESS = "business"
    OPERATIONS = "operations"


SIDES: dict[Side, str] = {Side.BUSINESS: N_("业务"), Side.OPERATIONS: N_("运维")}


@dataclass(frozen=True, slots=True)
class GroupWords:
    """A heading of the menu; ``icon`` names one of ``assets/icons.txt``."""

    label: str
    icon: str
    side: Side = Side.BUSINESS


@dataclass(frozen=True, slots=True)
class EntryWords:
    """A menu entry, and what it stands under within its group."""

    label: str
    heading: str = ""


GROUPS: dict[str, GroupWords] = {
    "home": GroupWords(N_("首页"), "home"),
    "sending": GroupWords(N_("统一发送"), "send"),
    "content": GroupWords(N_("消息内容"), "template"),
    "audience": GroupWords(N_("号码与人群"), "users"),
    "links": GroupWords(N_("短链"), "link"),
    "marketing": GroupWords(N_("营销活动"), "speakerphone"),
    "area": GroupWords(N_("大数据短信"), "map-pin"),
    "records": GroupWords(N_("记录与报表"), "report-analytics"),
    "finance": GroupWords(N_("财务"), "wallet"),
    "connect": GroupWords(N_("接口对接"), "api"),
    "people": GroupWords(N_("组织与权限"), "sitemap"),
    "system": GroupWords(N_("系统与安全"), "shield-lock"),
    "routing": GroupWords(N_("通道与路由"), "route", Side.OPERATIONS),
    "monitoring": GroupWords(N_("运维监控"), "heartbeat", Side.OPERATIONS),
}
PERSONAL: dict[str, str] = {"/me": N_("个人中心"), "/me/security": N_("账号安全"), "/password": N_("修改密码")}
"""Pages of the person's menu, by address."""
_TOP_UP = N_("充值管理")

ENTRIES: dict[str, EntryWords] = {
    "home.workbench": EntryWords(N_("工作台")),
    "home.notices": EntryWords(N_("消息中心")),
    "home.duty": EntryWords(N_("值班与联系人")),
    "sending.send": EntryWords(N_("新建发送任务")),
    "sending.custom": EntryWords(N_("自定义发送")),
    "sending.tasks": EntryWords(N_("发送任务")),
    "sending.scheduled": EntryWords(N_("定时短信记录")),
    "sending.drafts": EntryWords(N_("草稿箱")),
    "sending.review": EntryWords(N_("审批中心")),
    "sending.scenes": EntryWords(N_("业务场景")),
    "content.templates": EntryWords(N_("短信模板")),
    "content.signs": EntryWords(N_("签名设置")),
    "content.video": EntryWords(N_("视频短信模板")),
    "content.rcs": EntryWords(N_("5G消息")),
    "content.cards": EntryWords(N_("智能消息模板")),
    "content.wechat": EntryWords(N_("微信公众号")),
    "content.push": EntryWords(N_("APP推送")),
    "content.media": EntryWords(N_("素材库")),
    "content.phrases": EntryWords(N_("日常用语")),
    "audience.contacts": EntryWords(N_("联系人")),
    "audience.blocked": EntryWords(N_("黑名单")),
    "audience.allowed": EntryWords(N_("白名单")),
    "audience.optouts": EntryWords(N_("退订记录")),
    "audience.numbers": EntryWords(N_("空号过滤")),
    "audience.consents": EntryWords(N_("同意台账")),
    "audience.complaints": EntryWords(N_("投诉处理")),
    "links.list": EntryWords(N_("短链列表")),
    "links.tasks": EntryWords(N_("短链生成任务")),
    "links.filing": EntryWords(N_("短链报备")),
    "links.visits": EntryWords(N_("访问详情")),
    "marketing.templates": EntryWords(N_("模板中心")),
    "marketing.studio": EntryWords(N_("制作中心")),
    "marketing.data": EntryWords(N_("活动数据")),
    "marketing.prizes": EntryWords(N_("奖品与核销")),
    "marketing.surveys": EntryWords(N_("调查问卷")),
    "area.send": EntryWords(N_("发送大数据短信")),
    "area.tasks": EntryWords(N_("大数据短信任务")),
    "area.drafts": EntryWords(N_("大数据短信草稿箱")),
    "area.areas": EntryWords(N_("投放区域")),
    "area.signs": EntryWords(N_("签名设置")),
    "area.departments": EntryWords(N_("部门管理")),
    "area.people": EntryWords(N_("人员管理")),
    "area.platform": EntryWords(N_("平台设置")),
    "records.sent": EntryWords(N_("发送记录")),
    "records.inbound": EntryWords(N_("上行记录（回复记录）")),
    "records.daily": EntryWords(N_("日报表")),
    "records.monthly": EntryWords(N_("月报表")),
    "records.people": EntryWords(N_("用户统计")),
    "records.failures": EntryWords(N_("失败分析")),
    "records.latency": EntryWords(N_("时延分析")),
    "records.success": EntryWords(N_("通道成功率")),
    "records.exclusions": EntryWords(N_("剔除规则")),
    "records.checks": EntryWords(N_("数据核对")),
    "records.links": EntryWords(N_("短链报表")),
    "records.rebates": EntryWords(N_("返点记录")),
    "records.exports": EntryWords(N_("导出中心")),
    "records.pushes": EntryWords(N_("回执推送记录")),
    "finance.balances": EntryWords(N_("账户与套餐")),
    "finance.top_ups": EntryWords(_TOP_UP),
    "finance.sms_orders": EntryWords(N_("短信订单"), _TOP_UP),
    "finance.sms_refunds": EntryWords(N_("退款单"), _TOP_UP),
    "finance.data_orders": EntryWords(N_("流量订单"), _TOP_UP),
    "finance.data_refunds": EntryWords(N_("流量退单"), _TOP_UP),
    "finance.call_orders": EntryWords(N_("话费订单"), _TOP_UP),
    "finance.call_refunds": EntryWords(N_("话费退单"), _TOP_UP),
    "finance.rebates": EntryWords(N_("返点规则")),
    "finance.statements": EntryWords(N_("对账")),
    "finance.bills": EntryWords(N_("月账单")),
    "finance.statement_receivers": EntryWords(N_("对账单收件人")),
    "finance.statement_mails": EntryWords(N_("对账单邮件")),
    "connect.accounts": EntryWords(N_("业务管理")),
    "connect.keys": EntryWords(N_("密钥")),
    "connect.calls": EntryWords(N_("接口分析")),
    "connect.webhooks": EntryWords(N_("推送地址")),
    "connect.debug": EntryWords(N_("在线调试与文档")),
    "connect.partners": EntryWords(N_("下游协议接入")),
    "people.departments": EntryWords(N_("部门管理")),
    "people.staff": EntryWords(N_("员工管理")),
    "people.users": EntryWords(N_("用户管理")),
    "people.roles": EntryWords(N_("角色管理")),
    "system.notices": EntryWords(N_("公告管理")),
    "system.platform": EntryWords(N_("平台设置")),
    "system.login": EntryWords(N_("登录安全")),
    "system.addresses": EntryWords(N_("IP白名单")),
    "system.sessions": EntryWords(N_("在线会话")),
    "system.audit": EntryWords(N_("审计日志")),
    "system.evidence": EntryWords(N_("回执存证")),
    "system.retention": EntryWords(N_("数据保留与脱敏")),
    "system.settings": EntryWords(N_("系统参数")),
    "routing.channels": EntryWords(N_("通道管理")),
    "routing.routes": EntryWords(N_("路由策略")),
    "routing.explain": EntryWords(N_("路由解释")),
    "routing.prefixes": EntryWords(N_("号段与携号转网")),
    "routing.prefix_imports": EntryWords(N_("号段导入记录")),
    "sending.problems": EntryWords(N_("问题号码")),
    "sending.report": EntryWords(N_("发送数据报表")),
    "routing.words": EntryWords(N_("敏感词")),
    "routing.limits": EntryWords(N_("频控与时段")),
    "routing.codes": EntryWords(N_("错误码映射")),
    "routing.extensions": EntryWords(N_("码号与扩展号")),
    "routing.simulator": EntryWords(N_("仿真器与压测")),
    "routing.unmatched": EntryWords(N_("未匹配报告")),
    "monitoring.dashboard": EntryWords(N_("监控大盘")),
    "monitoring.rules": EntryWords(N_("告警规则")),
    "monitoring.alarms": EntryWords(N_("告警记录")),
    "monitoring.alarm_receivers": EntryWords(N_("告警接收人")),
    "monitoring.alarm_notes": EntryWords(N_("告警通知")),
    "monitoring.alarm_silences": EntryWords(N_("告警静默")),
    "monitoring.queues": EntryWords(N_("队列")),
    "monitoring.nodes": EntryWords(N_("节点与高可用")),
    "monitoring.faults": EntryWords(N_("故障登记")),
    "monitoring.tickets": EntryWords(N_("工单")),
    "monitoring.health": EntryWords(N_("健康日报")),
    "monitoring.health_mails": EntryWords(N_("健康日报发送记录")),
    "monitoring.diagnostics": EntryWords(N_("诊断包")),
    "monitoring.backups": EntryWords(N_("备份")),
}
