"""The words of duty and contacts."""

from __future__ import annotations

from smsgw.admin.i18n import N_

TITLE = N_("值班与联系人")
LEAD = N_("现在谁值班、有问题找谁。每天两班：白班 08:00 至 20:00，夜班 20:00 至次日 08:00。")
SHIFT: dict[str, str] = {"day": N_("白班"), "night": N_("夜班")}
WEEKDAY = (N_("周一"), N_("周二"), N_("周三"), N_("周四"), N_("周五"), N_("周六"), N_("周日"))
NOW, NOBODY = N_("现在值班"), N_("无人值班")
NOBODY_WHOLE = N_("无人值班：当前班次没有排班，发给值班人的告警改发备用地址，并在通知中注明。")
GAPS = N_("本周还有 %(n)s 个班次没有排班。")
EDIT, SAVE, SAVED = N_("排班"), N_("保存"), N_("排班已保存")
EDIT_ABOUT = N_("不选则该班次无人值班。可选的是有告警处理权限的在职人员，手机号与邮箱取自其个人资料。")
COPY = N_("复制上一周")
COPY_EFFECT = N_("将以 %(last)s 那一周的排班替换本周（%(first)s 起），本周原有 %(n)s 个班次的安排不再保留。")
COPIED = N_("已复制上一周的排班")
CONTACTS, CONTACT_NEW, CONTACT_EDIT = N_("支持联系方式"), N_("添加联系方式"), N_("修改联系方式")
CONTACT_SAVED = N_("联系方式已保存")
CONTACTS_EMPTY = N_("还没有登记热线、QQ 群或微信群。")
KIND: dict[str, str] = {
    "hotline": N_("热线电话"), "qq": N_("QQ 群"), "wechat": N_("微信群"), "mail": N_("邮箱"), "other": N_("其他"),
}  # fmt: skip
REMOVE, REMOVE_EFFECT = N_("删除"), N_("将删除该联系方式，所有人不再看到。")
REMOVED = N_("联系方式已删除")
ON_DUTY_HELP = N_("发送时按值班表取当班人的手机号或邮箱；上面的地址作为备用，无人值班或其资料不全时改发备用并注明。")
