"""What alarms tell: why, since when, and what can be done about it."""

from __future__ import annotations

WORDS: dict[str, tuple[str, str]] = {
    "alarm.no_answer": ("数据库没有应答", "the database does not answer"),
    "alarm.writer": ("写入停滞：{writers}", "stuck writers: {writers}"),
    "alarm.journal_full": ("日志无法写入，磁盘可能已满", "the journal cannot be written; the disk may be full"),
    "alarm.unlisted": (
        "最近 10 分钟出现未登记的结果码：{codes}，请在错误码映射中登记",
        "codes without a meaning in the last 10 minutes: {codes}; give them one",
    ),
    "alarm.backup_old": (
        "最近一次成功的备份在 {hours} 小时前，超过 {limit} 小时",
        "the last good backup was made {hours} hours ago, more than {limit}",
    ),
    "alarm.redis_away": (
        "Redis 已 {seconds} 秒无法连接（{problem}）：账号速率按节点均分，登录限制各节点各自计数，发送不受影响",
        "Redis cannot be reached for {seconds} s ({problem}): rates of accounts are divided equally and logins are "
        "limited by each node alone; sending goes on",
    ),
    "alarm.redis_deaf": (
        "{others} 个其他节点中只收到 {heard} 个的消息，请核对各节点是否启用 Redis，主库、密钥文件与时间是否一致，"
        "必要时逐个重启：账号速率按节点均分，登录限制与收不到的节点各自计数，发送不受影响",
        "of {others} other node(s) only {heard} are heard: see whether each has Redis, the same one, the same key "
        "file and the same time, and restart one after the other; rates of accounts are divided equally, and sending "
        "goes on",
    ),
    "alarm.restored_undecided": (
        "从备份恢复后，{n} 个分段在备份之后是否已发出无法确定，尚未裁定",
        "a backup was restored; {n} part(s) may have been sent after it was made, and nobody has decided about them",
    ),
    "alarm.backup_never": (
        "还没有成功的备份，平台已有数据 {hours} 小时",
        "there is no good backup, and data for {hours} hours",
    ),
    "alarm.links_never": ("短链尚未载入，无法跳转", "no short link was read yet: none can be opened"),
    "alarm.links_stale": (
        "短链已 {seconds} 秒未能更新，新建与停用的短链尚未生效",
        "short links are as they were {seconds} s ago: those made or stopped since are not known",
    ),
    "alarm.links_unserved": (
        "没有节点提供短链访问，已发出的短链都打不开",
        "no node serves short links: none that was sent can be opened",
    ),
    "alarm.clicks_unkept": (
        "最近 10 分钟有短链点击只计数、未逐条保存（启动以来：{why}）",
        "in the last 10 minutes clicks on short links were counted only (since the start: {why})",
    ),
    "alarm.unkept": ("{why} {n} 次", "{why}: {n}"),
    "alarm.claims": (
        "最近 10 分钟有 {n} 条已取走的短信失去跟踪，确认未发出，已重新排队",
        "{n} claimed parts were lost track of in the last 10 minutes; they were not sent and are queued again",
    ),
    "alarm.unmatched": (
        "最近 1 小时有 {unmatched} 条回执找不到对应短信，{matched} 条正常",
        "{unmatched} reports of the last hour belong to no message, {matched} do",
    ),
    "alarm.retention": (
        "有未结束的短信，以下日期的数据到期后未能清理：{days}",
        "unfinished messages keep these days beyond their retention: {days}",
    ),
    "alarm.masking": (
        "以下日期的数据到期多日仍未脱敏：{days}",
        "these days are due to be masked for nights, and are not: {days}",
    ),
    "alarm.figures": (
        "报表数字与记录不一致，日期：{days}，详见“数据核对”",
        "figures of reports are not what the records come to on {days}; see the checks of figures",
    ),
    "alarm.success": (
        "最近 {minutes} 分钟成功率 {rate}%（未剔除 {raw}%），低于 {limit}%：有结果 {ended} 段，成功 {delivered}，"
        "剔除 {excluded}；可在“通道成功率”排空该通道，流量转到同池的其他通道",
        "{rate}% delivered in the last {minutes} min ({raw}% with all), below {limit}%: {ended} parts ended, "
        "{delivered} delivered, {excluded} left out; drain it on the page of channels' success, and others of its "
        "pools take over",
    ),
    "alarm.report_late": (
        "运营商收下的 {n} 段中有 {late} 段（{share}%）在 {limit} 秒内没有状态报告",
        "of {n} parts that the carrier has accepted {late} ({share}%) had no report within {limit} s",
    ),
    "alarm.shifted": (
        "成功率 {rate}%（{ended} 段），低于 {limit}%，同池的 {better} 为 {better_rate}%：已自动分流，"
        "该通道只取其份额的 {share}%",
        "{rate}% delivered ({ended} parts), below {limit}%, while {better} of its pool has {better_rate}%: traffic has "
        "moved, it takes {share}% of its share",
    ),
    "alarm.machine_ahead": (
        "本机时钟比数据库快 {seconds} 秒",
        "this machine's clock is {seconds} s ahead of the database's",
    ),
    "alarm.machine_behind": (
        "本机时钟比数据库慢 {seconds} 秒",
        "this machine's clock is {seconds} s behind the database's",
    ),
    "alarm.database_forward": (
        "数据库时钟被拨快 {seconds} 秒，正在逐步追上，重启后立即采用",
        "the database's clock was set forward by {seconds} s, which are being made up; a restart takes its time",
    ),
    "alarm.database_back": (
        "数据库时钟被拨慢 {seconds} 秒，正在逐步追上，重启后立即采用",
        "the database's clock was set back by {seconds} s, which are being made up; a restart takes its time",
    ),
    "alarm.no_partition": ("{day} 的分区缺失：{tables}", "no partition for {day}: {tables}"),
    "alarm.faulty_server": (
        "PostgreSQL {version} 在并发更新时可能崩溃或漏改数据",
        "PostgreSQL {version} may crash, or pass rows over, when rows are updated concurrently",
    ),
    "alarm.rows_skipped": ("{n} 行数据无法读取：{rows}", "{n} row(s) cannot be read: {rows}"),
    "alarm.strays": ("有数据落入默认分区：{tables}", "rows in the default partition of {tables}"),
    "alarm.stalled": (
        "程序停顿 {seconds} 秒，至 {until} 恢复；可能是主机繁忙、休眠或故障",
        "nothing was done for {seconds} s, until {until}: a busy or sleeping machine, or a fault",
    ),
    "alarm.reviews": (
        "{n} 次提交等待审批，最早的自 {oldest} 起",
        "{n} calls wait for review, the oldest since {oldest}",
    ),
    "alarm.sign_over": (
        "{n} 个签名或其运营商报备已过期：{names}，请续期、重新报备或停用",
        "{n} signatures, or their registrations, are over: {names}; renew, register anew, or stop them",
    ),
    "alarm.task_halted": (
        "{n} 个逐步发送的任务已自动停止，等待处理：{names}",
        "{n} tasks that send in steps have stopped by themselves and wait for a decision: {names}",
    ),
    "alarm.disabled": ("已停用：{reason}", "disabled: {reason}"),
    "alarm.given_up": (
        "推送 {tries} 次均失败，已放弃 {n} 个事件，可在回执推送记录页重新推送",
        "{n} events were given up after {tries} tries; deliver them again from the page of deliveries, or with "
        "smsgwctl webhook redeliver",
    ),
    "alarm.lost": (
        "{n} 个事件（{kind}）一直未能送达，已超过保留期",
        "{n} events ({kind}) were never delivered and are past their retention",
    ),
    "alarm.spool_files": ("{n} 个文件的内容未能入库：{names}", "{n} files hold what could not be entered: {names}"),
    "alarm.complaints": (
        "投诉 {complaints} 起，发送 {sent} 条，合百万分之 {rate}，上限 {ceiling}；该处营销短信已停发",
        "{complaints} complaints, {sent} sent: {rate} per million, ceiling {ceiling}; marketing has stopped there",
    ),
    "alarm.parked": (
        "{n} 条应答、回执或上行无法入账，用 smsgwctl fact list 查看",
        "{n} answers, reports or messages cannot be applied: smsgwctl fact list",
    ),
    "alarm.abroad": (
        "最近 1 小时拒绝境外短信 {refused} 条，受理 {sent} 条，新出现 {fresh} 个国家或地区",
        "{refused} messages abroad were refused in the last hour, {sent} accepted; {fresh} countries were new",
    ),
    "alarm.guessing": (
        "{where}：{n} 次（{minutes} 分钟内），{sources} 个来源，最多的是 {most}",
        "{where}: {n} in {minutes} minutes, {sources} sources, most from {most}",
    ),
    "alarm.guessed": ("密码、密钥或签名错误：{ways}", "wrong passwords, keys or signatures: {ways}"),
    "alarm.many": ("很多来源", "many"),
    "alarm.standby": (
        "正常的备用通道 {healthy} 个，要求 {wanted} 个；未连接或故障：{away}",
        "{healthy} healthy of {wanted} wanted; away or failed: {away}",
    ),
    "alarm.standby_accounts": (
        "正常的备用通道 {healthy} 个，要求 {wanted} 个；未连接或故障：{away}；受影响账号：{accounts}",
        "{healthy} healthy of {wanted} wanted; away or failed: {away}; accounts {accounts}",
    ),
    "alarm.anchored": (
        "曾经锚定的记录 {first}–{last} 不见了或被改动，请运行 smsgwctl audit verify 核查",
        "what was anchored as {first} to {last} is gone or was changed; look with smsgwctl audit verify",
    ),
    "alarm.unsealed": ("新的审计记录未能入链：{why}", "no row is taken into the chain: {why}"),
    "alarm.probe_silent": ("探测短信 {minutes} 分钟内没有回执", "the probe had no report in {minutes} min"),
    "alarm.probe_ended": ("探测短信的结果：{state} {code}", "the probe ended: {state} {code}"),
    "alarm.note_about": ("{what} {name}", "{what} {name}"),
    "alarm.note_raised": (
        "告警（{severity}）：{kind}，{about}，自 {since}",
        "Alarm ({severity}): {kind}, {about}, since {since}",
    ),
    "alarm.note_raised_why": (
        "告警（{severity}）：{kind}，{about}，自 {since}。{detail}",
        "Alarm ({severity}): {kind}, {about}, since {since}. {detail}",
    ),
    "alarm.note_cleared": (
        "告警恢复：{kind}，{about}，{since} 至 {until}",
        "Alarm over: {kind}, {about}, {since} to {until}",
    ),
    "alarm.note_unwatched": (
        "告警结束：{kind}，{about}，{since} 至 {until}。规则已停用，异常可能仍在",
        "Alarm ended: {kind}, {about}, {since} to {until}. Its rule was turned off; it may still be so",
    ),
    "alarm.about_endpoint": ("{what} {name}（账号 {account}）", "{what} {name} (account {account})"),
    "alarm.about_lane": ("{lane}队列", "{lane} queue"),
    "alarm.about_others": ("其他对象", "others"),
    "alarm.others": ("另有 {n} 个对象同样如此，不再逐一告警", "so it is with {n} more; these have no alarm each"),
    "alarm.note_test": (
        "告警测试：收到本条即可收到平台的告警通知",
        "Alarm test: who gets this is told of the platform's alarms",
    ),
    "alarm.note_subject": ("{platform}：{title}", "{platform}: {title}"),
    "alarm.note_more": ("{first} 等，另有 {n} 条", "{first} and {n} more"),
    "alarm.note_left": ("\n另有 {n} 条，见告警记录", "\n{n} more: see the alarms"),
    "alarm.note_calls": (
        "\n一小时内已发 {n} 次：除严重告警外，其余稍后合并发送",
        "\n{n} within an hour: what is not critical comes later, together",
    ),
    "alarm.note_was": ("{raised}（已于 {until} 恢复）", "{raised} (over since {until})"),
    "alarm.note_was_unwatched": (
        "{raised}（已于 {until} 结束：规则已停用）",
        "{raised} (ended {until}: its rule was turned off)",
    ),
    "alarm.silence_kind": ("没有这种告警", "there is no such alarm"),
    "alarm.silence_lasting": ("审计日志的告警不能静默", "alarms about the audit log cannot be silenced"),
    "alarm.silence_until": ("须晚于现在，最多 {days} 天", "later than now, at most {days} days"),
    "wall.longest": ("大屏最长显示 {days} 天", "a screen shows the board for {days} days at most"),
    "wall.full": ("同时有效的大屏已达上限 {most} 块", "there are {most} screens, the most"),
    "wall.over": ("该大屏已结束", "the screen is over"),
    "alarm.silences_full": ("同时有效的静默已达上限 {most} 个", "there are {most} silences, the most"),
    "alarm.silence_over": ("静默已结束", "it is over already"),
    "alarm.note_over": ("通知前已恢复", "it was over before"),
    "alarm.note_taken": ("已有人认领，不再升级", "somebody has taken it on before"),
    "alarm.after_minutes": ("0 至 {most} 分钟", "0 to {most} minutes"),
    "alarm.no_mail": ("没有配置发信服务器（[mail]）", "there is no mail server ([mail])"),
    "alarm.no_account": ("短信账号不存在", "there is no such sending account"),
    "alarm.rehearses": (
        "短信账号处于演练模式，短信不会到达手机",
        "the sending account is in training mode: nothing reaches a phone",
    ),
    "alarm.interrupted": ("发送中节点中断，可能已送达", "its node broke off while sending; it may have arrived"),
    "alarm.receiver_gone": (
        "接收人已停用、删除，或地址无法解密",
        "the receiver was stopped or removed, or its address does not open",
    ),
    "alarm.receiver_number": ("不是有效的手机号码", "not a valid phone number"),
    "alarm.receiver_mail": ("不是有效的邮箱", "not a valid mail address"),
    "alarm.receiver_robot": (
        "应为群机器人的 Webhook 地址，形如 https://…?{name}=…",
        "the address of a group's robot: https://…?{name}=…",
    ),
    "alarm.receiver_secret": ("签名密钥 16 至 200 个字符", "a secret of 16 to 200 characters"),
    "alarm.receiver_dingtalk": (
        "加签密钥以 SEC 开头；不用加签时留空",
        "the secret begins with SEC; empty where the robot wants no signature",
    ),
    "alarm.receiver_account": ("请选择短信账号", "name the sending account"),
    "alarm.receiver_exists": ("已有同名的接收人", "there is a receiver of that name"),
    "alarm.receivers_full": ("接收人已达上限 {most} 个", "there are {most} receivers, the most"),
    "alarm.receiver_stopped": ("接收人已停用", "the receiver is stopped"),
    "alarm.note_state": (
        "只有发送失败或结果不明的才能重新发送",
        "only what has failed, or may not have arrived, can be sent again",
    ),
    "error.about": ("{what}：{why}", "{what}: {why}"),
    "error.other": ("网络错误", "a network error"),
    "error.at": ("{what} {host}:{port}", "{what} {host}:{port}"),
}
"""Key -> (Chinese, English)."""
NETWORK: dict[str, tuple[str, str]] = {
    "-3": ("暂时无法解析主机名", "the host name cannot be resolved for now"),
    "-2": ("主机名不存在", "there is no such host name"),
    "13": ("没有权限", "not permitted"),
    "28": ("磁盘空间不足", "the disk is full"),
    "30": ("文件系统只读", "the file system is read-only"),
    "32": ("连接已被对方关闭", "the connection was closed by the other side"),
    "101": ("网络不可达", "the network is unreachable"),
    "104": ("连接被对方中断", "the connection was reset by the other side"),
    "110": ("连接超时", "the connection timed out"),
    "111": ("连接被对方拒绝", "the connection was refused"),
    "113": ("主机不可达", "the host is unreachable"),
}
"""Errors of the operating system, by number."""
TROUBLES: dict[str, tuple[str, str]] = {
    "cannot connect": ("无法连接", "cannot connect"),
    "login refused": ("登录被拒", "login refused"),
    "login cannot be written": ("登录请求无法写出", "login cannot be written"),
    "TimeoutError": ("超时", "timed out"),
    "login-timeout": ("登录无应答", "no answer to the login"),
    "frame-timeout": ("报文未传完", "a frame did not arrive in time"),
    "input-overflow": ("报文超长", "a frame was too long"),
    "output-overflow": ("对方不接收数据", "the other side does not read"),
    "it does not read what it is sent": ("对方不接收数据", "the other side does not read"),
    "keepalive-timeout": ("心跳无应答", "no answer to the keep-alive"),
    "malformed": ("报文格式错误", "a malformed frame"),
    "malformed-login": ("登录报文格式错误", "a malformed login"),
    "framing": ("报文边界错误", "broken framing"),
    "refused": ("被拒绝", "refused"),
    "peer-logout": ("对方退出登录", "the other side logged out"),
    "logout-timeout": ("退出登录无应答", "no answer to the logout"),
    "too-many-violations": ("协议错误过多", "too many violations of the protocol"),
    "unknown-command": ("未知命令", "an unknown command"),
    "request-before-login": ("登录前收到请求", "a request before the login"),
    "listener closed": ("监听已关闭", "the listener was closed"),
    "no answer within 10 s": ("10 秒内没有应答", "no answer within 10 s"),
    "the name does not resolve": ("域名无法解析", "the name does not resolve"),
    "no connection": ("无法建立连接", "no connection"),
    "the connection broke off": ("连接中断", "the connection broke off"),
    "the certificate is not valid": ("证书无效", "the certificate is not valid"),
    "the address may not be pushed to": ("地址不在允许推送的范围内", "the address may not be pushed to"),
    "the answer does not say what is expected": (
        "应答内容不是所设的“成功的应答”",
        "the answer does not say what is expected",
    ),
    "test": ("样例", "sample"),
    "deliveries without an answer": ("投递无应答", "deliveries without an answer"),
}
"""What our own parts say of connections, in English for logs."""
EDGES: dict[str, tuple[str, str]] = {
    "portal": ("管理平台", "portal"),
    "api": ("接口", "api"),
    "partners": ("下游协议接入", "partners"),
    "sgip": ("SGIP", "sgip"),
    "links": ("短链", "short links"),
}
WRITERS: dict[str, tuple[str, str]] = {
    "accept": ("短信受理", "accept"),
    "outcomes": ("结果入账", "outcomes"),
    "push": ("推送记录", "push"),
}
UNKEPT: dict[str, tuple[str, str]] = {
    "address": ("同一地址过多", "too many of one address"),
    "node": ("本节点过多", "too many on this node"),
    "room": ("空间不足", "no room"),
    "disk": ("磁盘故障", "a disk that fails"),
}
"""Why clicks on short links were counted only."""
