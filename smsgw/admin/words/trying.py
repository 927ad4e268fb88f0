"""The words of trying calls (在线调试)."""

from __future__ import annotations

from smsgw.admin.i18n import N_

LEAD = N_("用临时测试密钥走真实接口：检查、排队、回执全流程，短信只到内置模拟运营商，不计费、不外发。")
ACCOUNT, CALL, QUERY, BODY = N_("短信账号"), N_("接口"), N_("查询串（未编码，如 limit=10）"), N_("请求正文（JSON）")
ADDRESS = N_("路径（{id} 换成编号）")
CHANGES = N_("会改动账号数据或读出完整号码，只演示签名、不执行")
RUN, SIGN = N_("执行"), N_("只看签名")
OUTCOMES = N_("测试号码尾号决定结果：0001 失败、0002 空号、0003 无回执、0004 提交被拒，其他成功。")
REPEATS = N_("重放被拒调用")
FILLED = N_("号码、内容等已隐去的值用无害的测试值填充：号码保留后四位，文字长度相同；请核对后执行。")
NOTHING_KEPT = N_("这次调用没有留下可还原的正文，请自行填写。")
BEFORE, AFTER = N_("原调用"), N_("本次调用")
STEPS = N_("签名步骤")
STEP: dict[str, str] = {
    "body": N_("1. 正文的 SHA-256（无正文为空串的摘要）"),
    "query": N_("2. 规范查询串（按名称排序、RFC 3986 编码，没有则为空行）"),
    "string": N_("3. 待签名串（8 行，以换行符连接）"),
    "sign": N_("4. 以密钥的 secret 做 HMAC-SHA-256，十六进制小写，前缀 v2="),
}
HEADERS, ANSWER, LAST = N_("请求头"), N_("应答"), N_("我的最近调用")
NO_ANSWER = N_("没有应答")
EXAMPLE = N_("示例 secret（不属于任何密钥，供核对自己的签名程序）")
SIGNED_ALONE = N_("未执行，只签名")
KEY_NOTE = N_("临时密钥由服务器生成，15 分钟内有效，只接受本节点的调用，不显示、不保存；正式密钥只在新建时显示一次。")
MANUAL = N_("接口文档")
BAD_CALL, BAD_PATH, BAD_BODY = N_("请选择接口"), N_("路径与接口不符"), N_("正文不是 JSON")
TOO_LONG = N_("正文过长，最多 16 KB")
BAD_ACCOUNT = N_("请选择短信账号")
GONE = N_("这次调用的记录已不在：只保存在处理它的节点内存中，每人最近 10 次，随临时密钥过期清除。")
EMPTY = N_("还没有调用过。选好接口，修改示例后执行。")
REPLAY = N_("在测试模式下重放")
