"""The words of announcements and of the message centre."""

from __future__ import annotations

import json

from smsgw.admin.i18n import N_
from smsgw.admin.words.lists import JOB_KIND, JOB_STATE
from smsgw.admin.words.messages import ALARM
from smsgw.core.words import Wording, label, listed, phrase

KIND: dict[str, str] = {
    "notice": N_("公告"),
    "alarm": N_("告警提醒"),
    "job": N_("任务结果"),
    "security": N_("账号安全"),
    "task": N_("发送任务"),
    "sign": N_("签名到期"),
    "inbound": N_("上行短信"),
    "contract": N_("合同到期"),
    "balance": N_("余额用量"),
    "quota": N_("月度用量"),
}
KIND_TONE: dict[str, str] = {
    "notice": "blue", "alarm": "red", "job": "green", "security": "orange", "task": "red", "sign": "orange",
    "inbound": "azure", "contract": "orange", "balance": "orange", "quota": "orange",
}  # fmt: skip
READ: dict[str, str] = {"no": N_("未读"), "yes": N_("已读")}
READ_TONE: dict[str, str] = {"no": "blue", "yes": "secondary"}
SECURITY: dict[str, str] = {
    "login": N_("您的账号从新的地址登录"),
    "staff.reset": N_("您的密码已被重置"),
    "staff.grant": N_("您的角色已被修改"),
    "staff.permissions": N_("您的权限已被修改"),
    "staff.set": N_("您的资料已被修改"),
    "staff.stop": N_("您的账号曾被停用"),
    "staff.start": N_("您的账号已恢复"),
    "factor.reset": N_("您的二次验证已被重置"),
    "factor.emergency": N_("管理员为您签发了应急恢复码，如非您本人要求，请立即联系安全管理员"),
    "login.person": N_("您的登录验证要求已变更"),
    "session.end": N_("您的会话已被管理员结束"),
}
"""By the action of the audit log."""
SUBJECT: dict[str, str] = (
    {f"alarm.{kind}": word for kind, word in ALARM.items()}
    | {f"job.{kind}": word for kind, word in JOB_KIND.items()}
    | {
        "sign.due30": N_("签名将在 30 天内到期"),
        "sign.due7": N_("签名将在 7 天内到期"),
        "sign.due1": N_("签名将在 1 天内到期"),
        "sign.due0": N_("签名或其报备已过期"),
    }
    | {
        "contract.due90": N_("合同将在 90 天内到期"),
        "contract.due30": N_("合同将在 30 天内到期"),
        "contract.due7": N_("合同将在 7 天内到期"),
        "contract.due0": N_("合同已到期"),
        "contract.several": N_("多个账号的合同即将到期或已到期"),
        "balance.several": N_("多个账号的可用条数已用 80% 以上"),
        "quota.several": N_("多个账号的本月上限已用 80% 以上"),
        "balance.used80": N_("可用条数已用 80%"),
        "balance.used100": N_("可用条数已用完"),
        "quota.used80": N_("本月上限已用 80%"),
        "quota.used100": N_("本月上限已用完"),
    }
    | {"task.halted": N_("您的发送任务已自动停止，等待处理"), "inbound.assigned": N_("有一条上行短信指派给您处理")}
    | {f"security.{action}": word for action, word in SECURITY.items()}
)
DETAIL = JOB_STATE


def about_sign(said: str) -> str | Wording:
    """Which signature is over when, and with which carriers; one that is over everywhere names none."""
    try:
        about = json.loads(said)
        carriers, named = about["carriers"], {"sign": str(about["sign"]), "day": str(about["day"])}
    except (ValueError, KeyError, TypeError):
        return said
    if "" in carriers:
        return phrase("sign.ends", **named)
    return phrase("sign.ends_with", carriers=listed([label("carrier", one) for one in carriers]), **named)


def about_contract(said: str) -> str | Wording:
    """Whose contract is over when, and what follows."""
    try:
        about = json.loads(said)
        if "n" in about:
            return phrase("accounts.several", n=int(about["n"]))
        code = "contract.ends" if about["stops"] else "contract.goes_on"
        return phrase(code, account=str(about["account"]), day=str(about["day"]))
    except (ValueError, KeyError, TypeError):
        return said


def about_use(kind: str, said: str) -> str | Wording:
    """How much of which volume is used."""
    try:
        about = json.loads(said)
        if "n" in about:
            return phrase("accounts.several", n=int(about["n"]))
        used, most = f"{int(about['used']):,}", f"{int(about['most']):,}"
        code = "use.quota" if kind == "quota" else "use.balance" if about["of"] == "0" else "use.bought"
        return phrase(code, account=str(about["account"]), used=used, most=most)
    except (ValueError, KeyError, TypeError):
        return said


OPEN: dict[str, str] = {
    "contract": N_("查看账号"),
    "balance": N_("查看账号"),
    "quota": N_("查看账号"),
    "job": N_("查看任务"),
    "security": N_("查看账号安全"),
    "alarm": N_("查看告警"),
    "task": N_("查看发送任务"),
    "sign": N_("查看签名"),
    "inbound": N_("查看上行短信"),
}
MARK = N_("标为已读")
MARK_ALL = N_("全部标为已读")
MARK_EFFECT = N_("将 %(n)s 条消息标为已读。")
MARKED = N_("已将 %(n)s 条消息标为已读")
EMPTY = N_("这段时间没有消息")
TEACHES = N_(
    "公告、告警、任务结果和与您账号有关的安全事件会出现在这里，最多保留 90 天、500 条，合同与用量提醒另计 500 条。"
)
AUDIENCE: dict[str, str] = {"all": N_("全体人员"), "roles": N_("指定角色"), "departments": N_("指定部门及下级")}
STATE: dict[str, str] = {"standing": N_("发布中"), "over": N_("已到期"), "withdrawn": N_("已撤回")}
STATE_TONE: dict[str, str] = {"standing": "green", "over": "secondary", "withdrawn": "red"}
REACHES_BELOW = N_("公告会同时发给下级部门，其中有您无权查看的部门；请由能查看全部下级部门的人员发布")
PUBLISH = N_("发布公告")
SEND = N_("发布")
PUBLISH_EFFECT = N_("将立即向 %(n)s 人发布，到期前在工作台显示。")
PUBLISHED = N_("公告已发布")
WITHDRAW = N_("撤回")
WITHDRAW_EFFECT = N_("将撤回 %(n)s 条公告，所有人都不再看到。")
NOTICES_EMPTY = N_("这段时间没有公告")
NOTICES_TEACH = N_("公告显示在收件人的工作台和消息中心，可发给全体、指定角色或部门。")
CHOOSE_TARGETS = N_("请至少选择一个")
DAYS_HELP = N_("1 至 365 天，到期自动隐藏")
