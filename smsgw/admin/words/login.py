"""The words of the entrance: factors, what went wrong at it, the checks of security."""

from __future__ import annotations

from smsgw.admin.i18n import N_

ELSEWHERE = N_("您当前的地址 %(address)s 不在此账号允许登录的范围内，本次登录已记录。如需开通，请联系安全管理员。")
OVER = N_("登录已超时或尝试次数过多，请重新输入账号和密码。")
FACTOR_WRONG = N_("验证未通过，请核对后重试。动态口令与恢复码每个只能使用一次。")
SENT = N_("验证码已发送至 %(phone)s，5 分钟内有效。")
LAST_LOGIN = N_("上次登录：%(time)s，地址 %(address)s。如非本人操作，请立即修改密码。")
CLOSED = N_("您的账号须使用二次验证，但尚未绑定。请联系管理员重置密码，再用一次性密码登录并绑定。")

DEVICE = N_("我的设备")

FACTORS: dict[str, str] = {
    "sms": N_("短信验证码"),
    "totp": N_("动态口令（TOTP）"),
    "passkey": N_("通行密钥"),
    "recovery": N_("恢复码"),
}
FACTOR_ICONS: dict[str, str] = {
    "sms": "device-mobile-message", "totp": "clock", "passkey": "fingerprint", "recovery": "first-aid-kit",
}  # fmt: skip
FACTOR_HELP: dict[str, str] = {
    "sms": N_("把 6 位验证码发送到已验证的手机号码"),
    "totp": N_("输入身份验证器应用当前显示的 6 位数字"),
    "passkey": N_("用本机指纹、面容、PIN 或安全密钥验证"),
    "recovery": N_("手机丢失时使用，每个恢复码只能用一次"),
}

# --- the personal centre ---
SAVED = N_("已保存。")
BOUND = N_("已绑定。")
UNBOUND = N_("已解除绑定。")
PHONE_VERIFIED = N_("手机号码已验证，可用于接收登录验证码。")
ENDED = N_("会话已结束。")
ENDED_OTHERS = N_("已结束其他 %(n)s 个会话。")
END = N_("结束会话")
END_EFFECT = N_("将结束 %(people)s 人的 %(n)s 个会话：其下次操作须重新登录。")
END_OWN_EFFECT = N_("将结束 %(people)s 人的 %(n)s 个会话，其中包含您当前的会话：您也须重新登录。")
SESSIONS_LEAD = N_("此刻登录在平台上的会话；超过无操作时限或最长时限的会话不在其中。")
SESSIONS_EMPTY = N_("没有在线会话")
OF_PERSON = N_("登录与安全")
PROVEN = N_("身份已确认，10 分钟内有效。")

# --- checks ---
STATES: dict[str, tuple[str, str]] = {
    "good": (N_("合格"), "green"),
    "warning": (N_("建议改进"), "orange"),
    "bad": (N_("不合格"), "red"),
    "unknown": (N_("无法确认"), "secondary"),
}
CHECKS: dict[str, tuple[str, str]] = {
    "factor_administrators": (
        N_("管理人员须二次验证"),
        N_(
            "能管理人员、权限或安全设置的 %(n)s 人中，%(bad)s 人仅凭密码即可登录，"
            "%(unbound)s 人尚未绑定、下次登录时凭密码绑定。"
        ),
    ),
    "factor_everybody": (
        N_("全员二次验证"),
        N_(
            "查看了 %(n)s 名在用人员（最多 2000 名）：%(bad)s 人仅凭密码即可登录，"
            "%(unbound)s 人尚未绑定、下次登录时凭密码绑定。"
        ),
    ),
    "password": (
        N_("密码策略"),
        N_("至少 %(length)s 位、%(classes)s 种字符、不重复最近 %(history)s 个、%(days)s 天更换（0 为不要求）。"),
    ),
    "networks": (
        N_("登录地址白名单"),
        N_("全局白名单有 %(n)s 个网段；没有网段、或网段合起来包含全部地址时，任何地址都能打开登录页。"),
    ),
    "sessions": (N_("会话时限"), N_("无操作 %(idle)s 分钟、最长 %(hours)s 小时后退出，每人最多 %(n)s 个会话。")),
    "tls": (N_("加密访问（HTTPS）"), N_("当前页面是否经由 HTTPS 访问；否则密码会在网络上明文传输。")),
    "key_file": (N_("密钥文件"), N_("密钥文件含 %(n)s 个密钥；多于 1 个表示轮换尚未完成。")),
    "walls": (N_("数据库账号最小权限"), N_("程序所用数据库账号多出的权限：%(may)s。")),
    "audit": (
        N_("审计记录及时入链"),
        N_("最早一条未入链的审计记录已等待 %(n)s 秒。此项只看等待时间；链是否被改动须用 smsgwctl audit verify 校验。"),
    ),
    "duties": (N_("三员分立"), N_("系统管理 %(system)s 人、安全管理 %(security)s 人、安全审计 %(audit)s 人。")),
    "super": (N_("超级管理员数量"), N_("平台超管有 %(n)s 人；日常应使用分权角色，超管仅供应急。")),
    "dormant": (N_("长期未登录人员"), N_("%(n)s 人超过 90 天未登录，仍可登录。")),
    "one_time": (N_("未修改的一次性密码"), N_("%(n)s 人仍在使用管理员发放超过 7 天的一次性密码。")),
    "keys": (N_("接口密钥来源限制"), N_("%(n)s 个在用接口密钥没有限制来源地址。")),
    "archive": (
        N_("数据库日志归档"),
        N_(
            "最近一次成功归档距今 %(n)s 小时，之后又有失败则不合格；从未归档时无法确认。"
            "此项不看全量备份，也不看能否恢复。"
        ),
    ),
}
"""Title, and why."""
WITHOUT: dict[str, str] = {
    "walls": N_("程序所用的数据库账号没有多余的权限。"),
    "archive": N_("数据库还没有归档过日志，无法确认。此项不看全量备份，也不看能否恢复。"),
}
"""Why, where the usual sentence has nothing to say (a dash among what fills it)."""
TO_DO: dict[str, str] = {
    "factor_administrators": N_("为管理角色勾选二次验证（角色的登录要求），并请相关人员完成绑定。"),
    "factor_everybody": N_("在全员登录方式中勾选至少一种二次验证；担心凭密码绑定时，勾选“首次绑定须使用一次性密码”。"),
    "duties": N_("给不同的人员分别授予系统管理员、安全管理员、安全审计员角色。"),
    "super": N_("把日常人员改为分权角色，超管最多保留 2 人。"),
    "password": N_("建议：不重复最近 5 个以上，1–180 天更换。"),
    "networks": N_("填写办公网段；仅填写全部地址等于没有限制。"),
    "sessions": N_("建议：无操作不超过 30 分钟，最长不超过 24 小时。"),
    "tls": N_("在“平台设置”上传证书并启用 HTTPS 监听，或由支持 HTTPS 的反向代理转发。"),
    "key_file": N_("在服务器上完成密钥轮换：smsgwctl key-file reseal，再移除旧密钥（见运维手册）。"),
    "walls": N_("改用独立的应用账号连接数据库，再由属主账号执行 smsgwctl migrate（见运维手册）。"),
    "audit": N_("检查节点是否在运行；再在审计日志页点“校验完整性”。"),
    "dormant": N_("按最近登录排序，停用不再需要的人员。"),
    "one_time": N_("联系本人尽快登录改密，或停用、重新发放。"),
    "keys": N_("为接口密钥设置来源地址：smsgwctl key set。"),
    "archive": N_("在数据库服务器上配置 WAL 归档（archive_mode），并检查归档命令的报错。"),
}
"""What to do when it is not good."""
