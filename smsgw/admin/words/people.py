"""The words of organisation and rights: departments, people, sub-accounts, roles."""

from __future__ import annotations

from smsgw.admin.i18n import N_

SAVE, CREATE, MOVE, REMOVE, COPY, RESET = N_("保存"), N_("新建"), N_("移动部门"), N_("删除"), N_("复制"), N_("重置密码")
SAVED = N_("已保存。")
REMOVED = N_("已删除。")
EDIT = N_("编辑")

# --- departments -----------------------------------------------------------------------------------------------------

DEPARTMENT_NEW = N_("新建部门")
DEPARTMENT_EDIT = N_("编辑部门")
DEPARTMENT_MOVE = N_("移动部门")
DEPARTMENT_REMOVE = N_("删除部门")
TOP = N_("（顶级）")
PARENT_NEEDED = N_("请选择上级部门：您的数据范围不含顶级")
PARENT_HELP = N_("留空为顶级部门。")
MANAGER_HELP = N_("填写登录名；负责人可看到本部门及下级部门的人员。留空为没有负责人。")
NO_SUCH_PERSON = N_("没有这个人员，或不在您的管理范围内")
QUOTA_HELP = N_("本部门及下级部门的短信账号每月（自然月）最多受理的条数，超出即拒绝。留空为不设。")
DEPARTMENT_SET_EFFECT = N_("将修改部门“%(name)s”：本部门 %(people)s 名人员、%(accounts)s 个短信账号归属不变。")
DEPARTMENT_MOVE_EFFECT = N_(
    "将把“%(name)s”连同下级共 %(n)s 个部门、%(people)s 名人员、%(accounts)s 个短信账号移到“%(parent)s”之下；"
    "新上级部门的有权人员随即可以看到它们，历史归属保留。"
)
DEPARTMENT_REMOVE_EFFECT = N_("将删除部门“%(name)s”，不能恢复：它没有下级部门、人员和短信账号。")
DEPARTMENT_NOT_EMPTY = N_(
    "部门“%(name)s”还有 %(n)s 个下级部门、%(people)s 名人员、%(accounts)s 个短信账号，移走之后才能删除。"
)

# --- people ----------------------------------------------------------------------------------------------------------

PERSON_NEW = N_("新建员工")
PERSON_EDIT = N_("编辑员工")
PERSON_ROLES = N_("分配角色")
PERSON_RESET = N_("重置密码")
DEPARTMENT_NEEDED = N_("请选择您管理范围内的部门")
LOGIN_HELP = N_("1 到 64 个字符，不含空格、/ 和 :，创建后不能修改。")
PHONE_HELP = N_("留空则不修改；修改后需重新验证。")
ROLES_HELP = N_("可选多个；只列出您自己也具备全部权限的角色。")
ACCOUNTS_HELP = N_("“指定账号”数据范围的角色按此处所选账号查看数据。")
RESET_EFFECT = N_("将为 %(names)s 生成一次性密码：原密码立即失效，%(sessions)s 个会话立即结束，下次登录须修改密码。")
REMOVE_EFFECT = N_(
    "将删除 %(n)s 名员工（%(names)s）：不能再登录，%(sessions)s 个会话立即结束；操作记录保留，登录名不再分配给他人。"
)
REMOVED_STAYS = N_("该员工已删除，不能登录；姓名和操作记录保留，登录名不再分配给他人。")
ONE_TIME = N_("一次性密码")
PROFILE, ENTRANCE = N_("资料"), N_("登录与安全")
DEMAND_SET = N_("登录限制")
BINDING, DYNAMIC = N_("IP绑定"), N_("二次验证")
NETWORKS_HELP = N_("每行一个地址或网段，如 10.1.2.3 或 10.1.0.0/16；只能从这些地址登录和使用，空为不限。")
FACTORS_HELP = N_("密码之外还须通过的验证；不选为不单独要求。")
EVERY_HELP = N_("打开后所选各项全部须通过，否则任一即可。")
BOUND_EFFECT = N_(
    "%(name)s 此后只能从 %(n)s 个地址或网段登录；现有 %(sessions)s 个会话中 %(out)s 个不在其中，下次操作即被拒绝。"
)
UNBOUND_EFFECT = N_("%(name)s 此后不单独限制登录地址；现有 %(sessions)s 个会话不受影响。")
ENDED_ALL = N_("全部会话已结束。")
FACTORS_RESET = N_("重置二次验证")
FACTORS_RESET_EFFECT = N_(
    "将清除 %(name)s 的二次验证：动态口令 %(apps)s 个、通行密钥 %(passkeys)s 个、恢复码 %(codes)s 个、"
    "已验证号码 %(phones)s 个；%(sessions)s 个会话立即结束，下次登录时按要求重新绑定。"
)
FACTORS_GONE = N_("二次验证已清除，会话已结束。")
CODE_NEW = N_("发放临时恢复码")
CODE_EFFECT = N_(
    "将为 %(name)s 生成 1 个恢复码，24 小时内可代替二次验证登录一次（仍须密码）；"
    "管理员此前为其生成而未用的恢复码随即作废，已绑定的验证方式不变。"
)
IMPORT = N_("导入员工")
STAFF = N_("员工管理")
IMPORT_LEAD = N_("从 CSV 或 XLSX 表格批量新建员工；登录名已存在的行会跳过，重复导入不会重复新建。")
DEFAULT_DEPARTMENT_HELP = N_("未填部门的行放入此部门。")
DEFAULT_ROLE_HELP = N_("未填角色的行授予这些角色；您自己不具备的权限不能授予，这样的行会列为有误。")
MAKE_DEPARTMENTS_HELP = N_("勾选后，表中有而平台没有的部门按路径（如 市局/办公室/一科）新建；不勾选则该行列为有误。")
IMPORT_RESULT, FIRST_PASSWORDS = N_("下载导入结果"), N_("下载初始密码")
PASSWORDS_EFFECT = N_(
    "文件含 %(n)s 名尚未登录人员的登录名和一次性密码，首次登录须修改。请妥善转交并及时删除；本次下载会记入审计日志。"
)
OUTCOME: dict[str, str] = {"created": N_("已新建"), "updated": N_("更新"), "skipped": N_("已跳过"), "wrong": N_("有误")}

# --- sub-accounts ----------------------------------------------------------------------------------------------------

USERS_EMPTY = N_("没有可管理的子账号")
USERS_TEACH = N_("子账号是登录本平台的人员；在角色之外，可以逐项开通或收回单项权限。")
RIGHTS_SET = N_("设置权限")
RIGHTS_HELP = N_(
    "勾选即开通，取消即收回，与角色无关；操作权限包含找到其对象所需的查看权限。您没有的权限不能更改，不在此列出。"
)
RIGHTS_EFFECT = N_("将为 %(name)s 在角色之外开通 %(more)s 项、收回 %(less)s 项权限，下一次操作即生效。")
NAMED: dict[str, str] = {
    "message.view": N_("搜索短信"),
    "message.read": N_("查看短信内容"),
    "message.unmask": N_("查看完整号码"),
    "message.export": N_("导出下行记录"),
    "inbound.view": N_("查看上行记录"),
    "inbound.handle": N_("处理上行记录"),
    "inbound.export": N_("导出上行记录"),
    "account.stop": N_("业务启停"),
    "person.reset": N_("修改子号密码"),
    "message.send": N_("发送短信"),
    "message.cancel": N_("取消发送"),
    "statistics.view": N_("查看报表"),
    "statistics.export": N_("导出报表"),
    "contact.export": N_("导出联系人"),
}
"""The rights of a sub-account that the tender names, and those beside them."""

# --- roles -----------------------------------------------------------------------------------------------------------

ROLE_NEW = N_("新建角色")
ROLE_EDIT = N_("编辑角色")
ROLE_COPY = N_("复制角色")
MATRIX = N_("导出权限矩阵")
ROLE_CODE_HELP = N_("小写字母开头，可含小写字母、数字、- 和 _，最多 32 个字符，创建后不能修改。")
ROLES_EMPTY = N_("没有符合条件的角色")
ROLES_TEACH = N_(
    "角色是一组权限加数据范围。三员分立：系统管理员管角色与设置，安全管理员管登录安全，安全审计员管审计日志；"
    "一个角色、一个人员都不能兼任两员。内置角色不能修改，可以复制。"
)
ROLE_SET_EFFECT = N_("将修改角色“%(name)s”的 %(n)s 项权限；持有它的 %(holders)s 名人员下一次操作即生效。")
ROLE_REMOVE_EFFECT = N_("将删除角色“%(names)s”，持有人员 %(holders)s 名。有人持有的角色不能删除。")
NOT_BY_PERSON = N_("您只能看到自己提交的短信，此页没有个人统计。")
SOURCE: dict[str, str] = {"builtin": N_("内置"), "own": N_("自建")}
SOURCE_TONE: dict[str, str] = {"builtin": "secondary", "own": "blue"}
SCOPES: dict[str, str] = {
    "own": N_("仅本人提交"),
    "department": N_("本部门"),
    "below": N_("本部门及下级"),
    "accounts": N_("指定账号"),
    "all": N_("全部数据"),
}
DUTIES: dict[str, str] = {"system": N_("系统管理员"), "security": N_("安全管理员"), "audit": N_("安全审计员")}

MODULES: dict[str, str] = {
    "home": N_("首页"), "self": N_("个人中心"), "message": N_("下行短信"), "inbound": N_("上行短信"),
    "event": N_("回执推送"), "task": N_("发送任务"), "job": N_("后台任务"), "review": N_("审批"),
    "contact": N_("联系人"), "block": N_("黑名单"), "allow": N_("白名单"), "complaint": N_("投诉"),
    "number": N_("号码信息"), "sign": N_("签名"), "template": N_("模板"), "scenario": N_("业务场景"),
    "filing": N_("短链报备"), "link": N_("短链"),
    "word": N_("敏感词"), "policy": N_("频控与时段"), "statistics": N_("报表"), "balance": N_("账户余额"),
    "account": N_("短信账号"), "key": N_("密钥"), "webhook": N_("推送地址"), "partner": N_("下游协议接入"),
    "channel": N_("通道"), "route": N_("路由"), "code": N_("码号"), "alarm": N_("告警"), "node": N_("节点"),
    "ticket": N_("工单"),
    "wall": N_("监控大屏"),
    "department": N_("部门"), "person": N_("人员"), "role": N_("角色"), "security": N_("登录安全"),
    "setting": N_("系统参数"), "notice": N_("公告"), "audit": N_("审计日志"),
}  # fmt: skip
ACTIONS: dict[str, str] = {
    "view": N_("查看"), "edit": N_("编辑"), "export": N_("导出"), "decide": N_("审批"), "handle": N_("处理"),
    "stop": N_("启停"), "send": N_("发送"), "urgent": N_("特急发送"), "read": N_("查看内容"),
    "unmask": N_("完整号码"), "cancel": N_("取消"), "resolve": N_("认定结果"), "wire": N_("报文"), "pull": N_("拉取"),
    "repeat": N_("重推"), "internal": N_("内网地址"), "kick": N_("踢下线"), "test": N_("测试"),
    "reset": N_("重置密码"), "grant": N_("授权"), "accept": N_("确认异常"),
}  # fmt: skip
