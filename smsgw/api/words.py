"""The words of the API's documents: what fields mean, in English and Chinese, and the Chinese of everything else.

``/openapi.json`` and the manual are made from the routes and their types; a field that has no description of its own
has the one given here. A test fails for a text without its Chinese.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Field(NamedTuple):
    """What a field means wherever it occurs, and a value for examples (None: none is shown)."""

    english: str
    chinese: str
    sample: Any = None


FIELDS: dict[str, Field] = {
    "accepted": Field("Messages accepted.", "已接收的消息数", 1),
    "accepted_at": Field("When it was accepted.", "接收时间", "2026-05-01T09:00:00.120+08:00"),
    "account": Field("Name of the sending account.", "短信账号", "demo"),
    "acknowledged": Field("Events put away by this call.", "本次确认的事件数", 2),
    "amount": Field("Yuan, with four decimals.", "金额(元)", "12.3400"),
    "answered_at": Field("When the carrier answered.", "运营商响应时间", "2026-05-01T09:00:00.180+08:00"),
    "at": Field("When it happened.", "发生时间", "2026-05-01T09:00:00.120+08:00"),
    "attempt": Field("How often it was handed to a carrier.", "提交次数", 1),
    "available": Field("Billable parts that can be spent.", "可用条数", 9990),
    "balance": Field("Billable parts left.", "余额(条)", 9990),
    "batch": Field("The batch to acknowledge.", "批次号,确认时原样带回", "230284412358656000"),
    "batch_id": Field("Id of the call.", "批次号(一次提交)", "230284412358656000"),
    "billing": Field("prepaid or postpaid.", "计费方式:prepaid 预付费、postpaid 后付费", "prepaid"),
    "cancelled": Field("Messages cancelled.", "已撤销的消息数", 0),
    "carrier": Field("Carrier: CMCC, CUCC, CTCC, CBN or INTL.", "运营商:CMCC 移动、CUCC 联通、CTCC 电信、CBN 广电、INTL 国际", "CMCC"),
    "carrier_code": Field("The carrier's code as it came.", "运营商原始状态码", "DELIVRD"),
    "carrier_id": Field("Id that the carrier gave.", "运营商消息编号", "0505090000123456789"),
    "channel": Field("Channel it went through.", "通道", "cmcc-1"),
    "checks": Field("The checks and their results.", "各项检查结果", {"database": "ok"}),
    "claimed_at": Field("When a channel took it up.", "通道取走时间", "2026-05-01T09:00:00.140+08:00"),
    "class": Field("Stable class of a failure.", "失败分类(见附录)", ""),
    "client_ref": Field("Your reference.", "客户流水号", "ORD-20260501-1"),
    "code": Field("Stable code; OK, or what is wrong.", "结果码(见附录)", "OK"),
    "content": Field("The text, as on the phone.", "短信内容", "您的预约已确认,请于5月1日9点到场。"),
    "counted_to": Field("What happened later is not counted yet.", "统计截止时间", "2026-05-01T09:00:00+08:00"),
    "credit_floor": Field("The balance may go down to this.", "余额下限(条),后付费为负数", 0),
    "data": Field("The call's result.", "返回数据"),
    "day": Field("Day of acceptance, in China.", "接收日期(北京时间)", "2026-05-01"),
    "delivered": Field("Messages delivered.", "成功的消息数", 1),
    "department": Field("Department of the account.", "部门", "办事大厅"),
    "description": Field("Status or failure in Chinese.", "中文说明", "成功"),
    "detail": Field("What the step knows besides.", "详细信息", {}),
    "done_at": Field("When it became final.", "结束时间", "2026-05-01T09:00:03+08:00"),
    "dry_run": Field("Send nothing; explain what would happen.", "仅试算,不发送", False),
    "duplicate": Field("Messages given up as duplicates.", "判为重复的消息数", 0),
    "event_id": Field("Id of the event; the same when it is offered again.", "事件编号,重复推送时不变,请据此去重", "230284425000000000"),
    "expired": Field("Messages never written to a carrier in time.", "过期未发的消息数", 0),
    "ext": Field("What you gave; comes back with reports.", "客户自定义内容,随回执原样返回", ""),
    "extend_code": Field("Digits behind the access code.", "扩展号", ""),
    "failed": Field("Messages that failed.", "失败的消息数", 0),
    "id": Field("Id as a decimal string.", "编号(十进制字符串)", "230284412358656000"),
    "items": Field("The entries.", "明细列表"),
    "key": Field("Key id, or the person who has sent.", "密钥编号(或提交人)", "ak_live_0123456789abcdef"),
    "kind": Field("Kind of message or event.", "类别", "sms"),
    "label": Field("The step in Chinese.", "步骤名称", "提交"),
    "limit": Field("Entries at most.", "最多返回条数", 100),
    "message": Field("For people; Chinese unless English is preferred.", "中文说明", "成功"),
    "message_en": Field("The same in English.", "英文说明", "OK"),
    "message_id": Field("Id of the message, a decimal string.", "消息编号(十进制字符串)", "230284412358656000"),
    "messages": Field("Number of messages.", "消息数", 1),
    "more": Field("There is more to take.", "是否还有更多", False),
    "name": Field("A name.", "名称", "通知"),
    "next_cursor": Field("For the next page; null on the last one.", "下一页游标,末页为空", None),
    "no_report": Field("Messages without a report in time.", "未收到回执的消息数", 0),
    "ok": Field("Parts delivered.", "成功的条数", 1),
    "origin": Field("Where it came from: api, portal, cli, task, smpp, cmpp.", "来源:api、portal、cli、task、smpp、cmpp", "api"),
    "part": Field("Number of the part, from 1; 0 is the whole message.", "第几条,从 1 开始;0 表示整条消息", 1),
    "parts": Field("Number of parts.", "条数", 1),
    "pending": Field("Messages that have not ended.", "尚未结束的消息数", 0),
    "price": Field("Units debited.", "计费条数", 1),
    "province": Field("Province of the number.", "省份", "北京"),
    "quota_day": Field("Parts that may be accepted in a day; null: any.", "日发送上限(条),为空表示不限", 10000),
    "quota_month": Field("Parts that may be accepted in a month; null: any.", "月发送上限(条),为空表示不限", None),
    "refunded": Field("Units given back.", "返还条数", 0),
    "rejected": Field("Messages refused.", "被拒绝的消息数", 0),
    "request_id": Field("Id of the request; quote it when asking for help.", "请求号,咨询问题时请提供", "01KAF3Z5V1Q8Y4N2M6T7R9W0XC"),
    "sign": Field("Signature, without 【】.", "签名,不含【】", "某某单位"),
    "status": Field("Status word (see the table).", "状态(见附录)", "queued"),
    "step": Field("Name of the step.", "步骤", "submitted"),
    "steps": Field("The steps in the order of time.", "按时间排列的步骤"),
    "submitted_at": Field("When a carrier took it.", "提交到运营商的时间", "2026-05-01T09:00:00.180+08:00"),
    "success_rate": Field("Delivered of those that were sent and have ended.", "成功率", 1.0),
    "time": Field("The server's clock.", "服务器时间", "2026-05-01T09:00:00+08:00"),
    "test": Field("Sent with a test key: it has reached no phone.", "测试密钥提交,未发往真实手机", False),
    "to": Field("Number, E.164 digits.", "手机号码", "8613800138000"),
    "total": Field("Parts in all.", "总条数", 1),
    "type": Field("otp, notice or marketing.", "业务类型:otp 验证码、notice 通知、marketing 营销", "notice"),
    "unconfirmed": Field("Messages whose outcome could not be learned.", "结果未知(已结束)的消息数", 0),
    "units": Field("Billable parts, before refunds.", "计费条数(未扣除返还)", 1),
    "audience_id": Field("Id of the audience.", "人群编号", "12"),
    "changed": Field("Entries made, changed or removed.", "变更的条数", 1),
    "created": Field("Contacts made.", "新增的联系人数", 1),
    "created_at": Field("When it was made.", "创建时间", "2026-05-01T09:00:00+08:00"),
    "expires_at": Field("Until then; null: for ever.", "有效期,空表示长期", None),
    "fields": Field("Values for the variables of texts.", "自定义字段,用于短信变量", {"city": "北京"}),
    "joined": Field("Contacts that have joined.", "加入的人数", 1),
    "left": Field("Contacts that have left.", "移出的人数", 0),
    "members": Field("Contacts in it.", "人数", 1),
    "number": Field("Number, E.164 digits.", "手机号码", "8613800138000"),
    "reason": Field("Why, for people.", "原因", "客户要求"),
    "removed": Field("How many are gone.", "删除的条数", 1),
    "since": Field("Since when it counts.", "生效时间", "2026-05-01T09:00:00+08:00"),
    "source": Field("How it came about: manual, opt_out, complaint, carrier.", "来源:manual 人工、opt_out 退订、complaint 投诉、carrier 运营商", "manual"),
    "source_name": Field("The source in Chinese.", "来源名称", "人工黑名单"),
    "tags": Field("Tags of the contact.", "标签", []),
    "updated": Field("Contacts changed.", "更新的联系人数", 0),
    "updated_at": Field("When it was changed last.", "更新时间", "2026-05-01T09:00:00+08:00"),
    "unix": Field("The same as Unix seconds.", "Unix 时间戳(秒)", 1777597200),
    "used_day": Field("Parts accepted today, accounts below included.", "今日已接收(条),含下级账号", 120),
    "used_month": Field("Parts accepted this month, accounts below included.", "本月已接收(条),含下级账号", 3400),
    "wait_s": Field("Seconds to wait for the first event.", "最多等待秒数(长轮询)", 20),
}  # fmt: skip

SAMPLES: dict[str, Any] = {
    "SendBody.to": ["13800138000"],
    "BlockBody.numbers": ["13800138000"],
    "UnblockBody.numbers": ["13800138000"],
    "OptOutBody.numbers": ["13800138000"],
    "ContactsBody.items": [{"number": "13800138000", "name": "张三", "tags": ["会员"], "fields": {"city": "北京"}}],
    "QueryBody.ids": ["230284412358656000"],
    "Pulled.items": [
        {
            "event_id": "230284425000000000", "message_id": "230284412358656000", "client_ref": "ORD-20260501-1",
            "ext": "", "to": "8613800138000", "status": "delivered", "class": "", "carrier_code": "DELIVRD",
            "description": "成功", "parts": {"total": 1, "ok": 1}, "kind": "sms",
            "submitted_at": "2026-05-01T09:00:00.180+08:00", "done_at": "2026-05-01T09:00:03+08:00",
        }
    ],
    "Explained.items": [
        {
            "to": "13800138000", "verdict": "accepted", "code": "OK", "message": "成功", "number": "8613800138000",
            "carrier": "CMCC", "province": "北京", "pool": "CMCC", "coding": "ucs2", "units": 34, "parts": 1, "price": 1,
        }
    ],
}  # fmt: skip
"""Where a field's usual sample would mislead: ``Type.field``."""

CHINESE: dict[str, str] = {
    "1-1000 numbers.": "1–1000 个号码",
    "1-500 message ids.": "1–500 个消息编号",
    "A contact.": "一个联系人",
    "A contact; what is left out stays as it is.": "一个联系人;未填写的内容保持不变",
    "A named set of contacts.": "一个人群",
    "A new audience.": "新建人群",
    "A number that could not be read.": "无法识别的号码",
    "A number that could not be stored.": "未能保存的号码",
    "A page of contacts; ``next_cursor`` is null on the last one.": "一页联系人;末页 next_cursor 为空",
    "A page of entries; ``next_cursor`` is null on the last one.": "一页名单;末页 next_cursor 为空",
    "A part of the name.": "姓名中的一部分",
    "An entry of the account's list. ``type`` and ``sign`` empty: it counts for all.": "黑名单中的一项;type、sign 为空表示不限",
    "Block up to 1,000 numbers for the account": "加入黑名单,最多 1000 个号码",
    "Contacts in a page.": "每页条数",
    "Contacts join and leave an audience": "人群成员的加入与移出",
    "Contacts that join and leave, by number; together at most 1,000.": "要加入与移出的号码,合计最多 1000 个",
    "Contacts to make or to change, by number; all of them join the audience.": "按号码新增或更新的联系人,并加入所选人群",
    "Contacts with this tag.": "带有此标签",
    "Entries in a page.": "每页条数",
    "Forget a contact": "删除联系人",
    "Forget an audience; its contacts stay": "删除人群(联系人保留)",
    "How many entries were made, changed or removed.": "变更结果",
    "How many have joined and left; numbers that are no contacts change nothing.": "加入与移出的人数;不是联系人的号码不受影响",
    "How the entry came about.": "来源",
    "It is gone.": "已删除",
    "Its name, unique in the account.": "名称,账号内不可重复",
    "Make an audience": "新建人群",
    "Make or change up to 1,000 contacts": "新增或更新联系人,最多 1000 个",
    "Members of this audience.": "此人群的成员",
    "Messages to look up, by id.": "要查询的消息编号",
    "Numbers of contacts that join.": "要加入的号码",
    "Numbers of contacts that leave.": "要移出的号码",
    "Numbers to block, for this account.": "要加入本账号黑名单的号码",
    "Numbers to take off the account's list: entries of all types and signatures, opt-outs excepted.": "要移出本账号黑名单的号码(不限业务类型与签名;退订除外)",
    "Numbers whose owners have opted out elsewhere; they get no more marketing.": "在其他途径退订的号码,不再发送营销短信",
    "Only messages of this type; null: all.": "仅限此业务类型,空表示不限",
    "Only messages with this signature; empty: all.": "仅限此签名,空表示不限",
    "Record opt-outs that were made elsewhere": "登记其他途径的退订",
    "Replaces the tags there are.": "标签,替换原有标签",
    "Search contacts, newest first": "查询联系人,新的在前",
    "Take up to 1,000 numbers off the block list": "移出黑名单,最多 1000 个号码",
    "The account's audiences": "查询人群",
    "The account's audiences by name.": "本账号的人群",
    "The account's block list, opt-outs included": "查询黑名单(含退订)",
    "The contact's name.": "姓名",
    "Those that there are, newest first.": "查到的消息,新的在前",
    "Until then; null: for ever.": "有效期,空表示长期",
    "Up to 500 messages by id": "按编号批量查询,最多 500 条",
    "Cancel a message that no carrier has been given yet": "撤销尚未提交运营商的短信",
    "Values for the variables of texts.": "自定义字段,用于短信变量",
    "What became of the contacts.": "保存结果",
    "Why, for people.": "原因",
    "1-1000 messages with a text of their own.": "1–1000 条各不相同的短信",
    "A call that did not take effect.": "未生效的请求",
    "A message's life in the order of time.": "一条消息的全过程,按时间排列",
    "A message's life, step by step": "查询单条消息的全链路",
    "A page of messages; ``next_cursor`` is null on the last one.": "一页消息;末页 next_cursor 为空",
    "Accepted at or after.": "接收时间不早于",
    "Accepted before.": "接收时间早于",
    "Acknowledge a batch of delivery reports": "确认已收到的一批状态报告",
    "Acknowledge a batch of inbound messages": "确认已收到的一批上行短信",
    "Anything; comes back with reports.": "客户自定义内容,随状态报告原样返回",
    "Comma-separated: day, type, sign, channel, carrier, province, origin.": (
        "分组,逗号分隔:day 日期、type 业务类型、sign 签名、channel 通道、carrier 运营商、province 省份、origin 来源"
    ),
    "Counts of one group, in messages; ``parts`` and ``units`` in (billable) parts. ``pending`` have not ended.": (
        "一组统计数;除 parts(条数)与 units(计费条数)外均为消息数,pending 为尚未结束"
    ),
    "Decides the priority lane.": "业务类型,决定发送优先级",
    "Digits appended to the access code.": "扩展号,附在接入码之后的数字",
    "Done": "成功",
    "Events at most.": "最多返回的事件数",
    "Events, held for this caller until acknowledged or 60 s have passed. ``batch`` is null when empty.": (
        "一批事件,在确认之前为本次调用保留 60 秒;没有事件时 batch 为空"
    ),
    "First day; 7 days are given without one.": "起始日期,缺省为最近 7 天",
    "For people; Chinese unless English is preferred.": "说明文字,默认中文",
    "How many events this call has put away; 0 when the batch was acknowledged before or has lapsed.": (
        "本次确认的事件数;批次此前已确认或已过期时为 0"
    ),
    "How many events to take, and how long to wait for the first.": "取多少事件,以及最多等待多久",
    "In units. ``available`` = balance - credit_floor. Quotas are in parts, null where there is none.": (
        "单位为计费条数;可用条数 available = balance - credit_floor。日、月上限按条数计,为空表示不限"
    ),
    "Also the accounts below this one.": "包含下级账号",
    "Comma-separated: day, account, department, key, type.": (
        "分组,逗号分隔:day 日期、account 账号、department 部门、key 密钥(或提交人)、type 业务类型"
    ),
    "The groups asked for, in order.": "所查询的各组,依次排列",
    "The use of one group. ``amount`` is yuan for units less refunds, at today's price of each account.": (
        "一组用量;amount 为扣除返还后的金额(元),按账号当前单价计算"
    ),
    "What was used, by day, account, department, key, type": "按日期、账号、部门、密钥、业务类型查询用量",
    "It can do its work": "就绪检查:能否接收短信",
    "Kind of message.": "消息类别",
    "Last day; today without one.": "截止日期,缺省为今天",
    "Long poll: seconds to wait.": "长轮询等待秒数",
    "Mainland 11 digits, with or without +86/0086/86; others with + or 00.": (
        "手机号码:中国大陆 11 位,可带 +86/0086/86;其他国家或地区须带 + 或 00"
    ),
    "Messages by day, type, signature, carrier …": "按日期、业务类型、签名、运营商等统计",
    "Messages in a page.": "每页条数",
    "Not before; ISO 8601 with zone.": "定时发送时间,ISO 8601 带时区",
    "Not written to a carrier after this.": "有效期:此后不再提交到运营商",
    "Nothing was sent (dry run)": "试算结果,未发送",
    "Of these, left now.": "当前剩余请求数",
    "One message as it stands": "查询单条消息",
    "One message as it stands.": "一条消息的当前状态",
    "One personalised message; what it leaves out comes from the top level.": "一条个性化短信;未填写的字段取外层的值",
    "One segment on its way through a channel. ``carrier_id`` is the id the carrier gave it.": (
        "长短信中的一条及其提交情况;carrier_id 为运营商给出的编号"
    ),
    "One thing that happened. ``part`` 0 is the whole message.": "一个步骤;part 为 0 表示整条消息",
    "Only messages of this type.": "只统计此业务类型",
    "Repeat a call safely: the first answer is given again for 7 days.": "幂等键:7 天内重复提交返回首次结果,不会重复发送",
    "Requests that can be made at once.": "可突发的请求数",
    "Say what a send would do, and send nothing": "发送试算:说明会如何发送,但不发送",
    "Search messages, newest first": "查询发送记录,新的在前",
    "Seconds until all are available again.": "恢复到上限所需秒数",
    "Segments of a message, and how many were delivered.": "条数与其中成功的条数",
    "Send SMS, follow them, take delivery reports and replies. See docs/api.md.": "发送短信、查询状态、获取状态报告与上行短信。",
    "Send nothing; explain what would happen.": "仅试算,不发送",
    "Send the same text to up to 1,000 numbers": "群发:同一内容发给最多 1000 个号码",
    "Send up to 1,000 personalised texts": "个性化发送:最多 1000 条各不相同的内容",
    "Signature, 2-20 characters, without 【】; else the account's.": "签名,2–20 个字符,不含【】;缺省为账号的默认签名",
    "Status of the message.": "消息状态",
    "Take delivery reports": "拉取状态报告",
    "Take inbound messages": "拉取上行短信",
    "Take events other than reports and inbound messages": "拉取其他事件(退订、余额不足、任务完成等)",
    "Acknowledge a batch of such events": "确认一批其他事件",
    "The account's balance and quotas": "查询余额与发送上限",
    "The answer to a dry run: one object a number, nothing was sent.": "试算结果:每个号码一项,未发送",
    "The answer to a send call; it is given only after everything accepted is durable.": (
        "提交结果;返回时所有已接收的短信均已落盘"
    ),
    "The batch to acknowledge.": "要确认的批次号",
    "The groups asked for, in order. What happened after ``counted_to`` is not in them yet.": (
        "按所选分组排列的统计;counted_to 之后发生的尚未计入"
    ),
    "The process answers": "存活检查",
    "The request's id.": "请求号",
    "The same text to 1-1000 numbers.": "同一内容发给 1–1000 个号码",
    "The server's clock": "查询服务器时间",
    "The server's clock, for finding one's own skew.": "服务器时间,用于核对本地时钟",
    "The text, 1-1000 characters, with or without a leading 【signature】.": "短信内容,1–1000 字,可带或不带开头的【签名】",
    "This document": "本接口的 OpenAPI 文档",
    "Language of the descriptions.": "说明文字的语言",
    "The manual's style sheet": "接口文档的样式",
    "The manual, in Chinese, to read and to print": "《短信平台标准接口文档》,可阅读与打印",
    "Time-ordered 64-bit id as a decimal string.": "编号,按时间递增的 64 位整数,以十进制字符串表示",
    "What a message is for; decides its lane.": "业务类型,决定发送优先级",
    "What a probe wants to know.": "检查结果",
    "What became of one number. ``message_id`` is absent when it was refused.": "一个号码的提交结果;被拒绝时没有 message_id",
    "Your reference; unique per account when one number is given.": "客户流水号;单个号码时在账号内唯一",
    "`next_cursor` of the page before.": "上一页返回的 next_cursor",
    "delivered / (accepted - pending - rejected - cancelled).": (
        "成功率 = delivered / (accepted - pending - rejected - cancelled)"
    ),
}
"""English of the documents -> Chinese."""


def chinese(text: str) -> str:
    """The Chinese of a text of the documents; the text itself where there is none."""
    if text.startswith("Scope `"):
        return f"所需权限:{text[6:].strip(' .')}"
    return CHINESE.get(text, text)
