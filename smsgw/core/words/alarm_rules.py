"""What rules of alarms look for, and what is to be done about it."""

from __future__ import annotations

CONDITIONS: dict[str, tuple[str, str]] = {
    "channel_down": ("应当连接的通道没有登录", "a channel that is on has no login"),
    "login_refused": ("运营商拒绝登录", "the carrier refuses the login"),
    "channel_silent": ("通道已登录，运营商对提交的短信不应答", "a carrier is logged in to and answers no submit"),
    "standby_low": ("池内正常的备用通道少于 {threshold} 个", "a pool has fewer than {threshold} healthy standbys"),
    "probe_failed": ("探测短信没有送达", "a probe was not delivered"),
    "success_low": (
        "最近 {minutes} 分钟有结果的不少于 {least} 段，成功率低于 {threshold}%",
        "below {threshold}% delivered of at least {least} parts that ended within {minutes} min",
    ),
    "channel_shifted": ("成功率偏低的通道已自动减少份额", "traffic has moved from a channel that delivers too little"),
    "channel_throttled": ("运营商以流量控制拒收，通道降速发送", "a carrier says that it is sent too fast"),
    "rate_near": ("发送速率达到通道上限的 {threshold}%", "a channel sends at {threshold}% of its limit or more"),
    "unknown_code": ("最近 10 分钟出现未登记的结果码", "result codes without a meaning within 10 minutes"),
    "claims_lost": ("最近 10 分钟有已取走的短信失去跟踪", "claimed parts were lost track of within 10 minutes"),
    "unmatched_reports": (
        "最近 1 小时无法匹配的回执不少于 {least} 条，超过正常回执的 {threshold}%",
        "at least {least} reports of the last hour match nothing, more than {threshold}% of those that do",
    ),
    "report_late": (
        "最近 {minutes} 分钟运营商收下的不少于 {least} 段，一半以上在 {threshold} 秒内没有状态报告",
        "of at least {least} parts accepted within {minutes} min more than half had no report within {threshold} s",
    ),
    "queue_long": ("同一队列（按优先级）排队超过 {threshold} 条", "more than {threshold} messages wait in a lane"),
    "queue_old": ("下一条待发短信已等待超过 {threshold} 秒", "what goes next has waited longer than {threshold} s"),
    "review_waiting": ("有提交等待审批超过 {minutes} 分钟", "a call has waited longer than {minutes} min for review"),
    "facts_parked": ("有应答、回执或上行无法入账", "answers, reports or messages cannot be applied"),
    "webhook_failing": (
        "推送地址连续失败 {minutes} 分钟，或已停用",
        "an endpoint has failed for {minutes} min, or is disabled",
    ),
    "webhook_queue": ("推送地址的待推送事件超过 {threshold} 条", "more than {threshold} events wait for an endpoint"),
    "webhook_dead": ("有事件多次推送失败，已放弃", "events were given up"),
    "events_lost": ("有事件超过保留期仍未送达", "events were never delivered and are past their retention"),
    "balance_low": ("可用余额低于 {threshold} 条", "less than {threshold} units are left"),
    "database_down": ("数据库没有应答", "the database does not answer"),
    "database_faulty": ("数据库版本有已知缺陷", "the database server's release has a known fault"),
    "rows_skipped": ("数据库中有节点无法读取的数据", "the database has rows that a node cannot read"),
    "database_lag": ("备机落后超过 {threshold} 秒", "a standby of the database is more than {threshold} s behind"),
    "writer_stalled": ("写库超过 {threshold} 秒没有成功提交", "a writer has not committed for {threshold} s"),
    "node_missing": ("曾经运行的节点没有心跳", "a node that was there gives no sign of life"),
    "disk_filling": ("数据目录所在磁盘的可用空间低于 {threshold}%", "less than {threshold}% of a data disk is free"),
    "disk_low": (
        "可用空间低于配置的下限（durability.min_free_mb），已拒绝新短信",
        "less room than configured (durability.min_free_mb): new messages are refused",
    ),
    "journal_full": ("本地日志无法写入", "the journal cannot be written"),
    "spool_failed": ("本地缓存无法写入或读取", "the spool cannot be used"),
    "spool_damaged": ("本地缓存有内容未能入库", "the spool holds what could not be entered"),
    "loop_stalled": ("程序停顿超过 {threshold} 秒", "the program stood still for {threshold} s"),
    "clock_wrong": ("本机与数据库的时钟不一致", "this machine's clock and the database's disagree"),
    "links_stale": ("短链无法从数据库更新", "short links cannot be brought up to date"),
    "links_unserved": (
        "配置了短链域名或已有短链，但没有节点提供短链访问",
        "there are short links or domains for them, and no node serves them",
    ),
    "clicks_unkept": (
        "最近 10 分钟有短链点击因过多或空间不足只计数、未逐条保存",
        "in the last 10 minutes clicks on short links were counted only: too many, or no room",
    ),
    "backup_old": ("超过 {threshold} 小时没有成功的备份", "no good backup for more than {threshold} hours"),
    "redis_away": ("Redis 通信异常", "trouble with Redis"),
    "restored_undecided": (
        "从备份恢复后，有短信是否已发出尚未裁定",
        "what a restore has left uncertain is not decided",
    ),
    "partition_missing": ("今天或明天的数据分区缺失", "a day's partition is missing"),
    "retention_held": ("有到期数据未能清理或脱敏", "old data could not be removed or masked"),
    "figures_differ": ("报表与记录核对不一致", "figures are not what the records come to"),
    "complaint_ceiling": (
        "投诉不少于 {least} 起，超过百万分之 {threshold}",
        "at least {least} complaints, more than {threshold} per million",
    ),
    "toll_fraud": ("最近 1 小时有境外短信被拒绝", "messages abroad were refused in the last hour"),
    "guessing": ("10 分钟内密码、密钥或签名错误过多", "too many wrong passwords, keys or signatures within 10 minutes"),
    "audit_changed": ("曾经锚定的审计记录不见了或被改动", "audit rows that were anchored are gone or changed"),
    "audit_anchor": ("审计日志的锚点或存证无法写入", "an anchor of the audit log or of evidence cannot be written"),
    "sign_over": ("使用中的签名或其报备已过期", "a signature in use, or its registration, is over"),
    "task_halted": ("逐步发送的任务已自动停止", "a task that sends in steps has stopped by itself"),
    "fault_response_near": (
        "距故障响应时限不足 {minutes} 分钟，仍无人响应",
        "within {minutes} min somebody has to respond to a fault",
    ),
    "fault_response_over": ("超过故障响应时限仍无人响应", "nobody has responded to a fault in the promised time"),
    "fault_recovery_near": (
        "距故障恢复时限不足 {minutes} 分钟，仍未恢复",
        "within {minutes} min a fault has to be over",
    ),
    "fault_recovery_over": ("超过故障恢复时限仍未恢复", "a fault is not over in the time that was promised"),
    "faults_full": ("未结案的故障已达上限，新的故障不再登记", "too many faults are not closed for more"),
    "ticket_response_near": (
        "距工单响应时限不足 {minutes} 分钟，仍无人响应",
        "within {minutes} min somebody has to respond to a ticket",
    ),
    "ticket_response_over": ("超过工单响应时限仍无人响应", "nobody has responded to a ticket in the promised time"),
}
"""Kind -> (Chinese, English)."""
ADVICE: dict[str, tuple[str, str]] = {
    "channel_down": (
        "检查运营商网关地址与网络、接口机出口和证书；看通道详情的最近错误；无法恢复时在路由中启用备用通道",
        "look at the carrier's address, the network and the channel's last error; let standbys take over",
    ),
    "login_refused": (
        "核对账号、密码、协议版本和登记的 IP，再在通道页测试连接",
        "check user, password, version and the registered address, and test the connection",
    ),
    "channel_silent": (
        "联系运营商；未恢复前每次只试发一段，由同池其他通道发送，恢复应答后自动全速发送",
        "ask the carrier; until it answers it gets one part now and then, and its neighbours send the rest",
    ),
    "standby_low": ("恢复断开的备用通道，或在路由中为该池增加备用通道", "bring standbys back, or give the pool others"),
    "probe_failed": (
        "看探测结果：无回执时联系运营商，号码无效时更换探测号码",
        "no report: ask the carrier; a wrong number: probe another one",
    ),
    "success_low": (
        "在失败分析中看原因；是通道问题的，在“通道成功率”排空该通道，流量转到同池其他通道",
        "see the reasons for failures; drain the channel where it is to blame, and others of its pools take over",
    ),
    "channel_shifted": (
        "确认同池其他通道有余量；查明原因，成功率恢复后份额自动还原",
        "see that others have room; the share comes back with the rate",
    ),
    "channel_throttled": (
        "在通道页查看限速记录，与运营商核对合同速率，把通道速率设为实际可用的速率，或增加通道",
        "see the channel's history, agree on the rate with the carrier, set it as the channel's, or add a channel",
    ),
    "rate_near": (
        "确认是否有大批量任务；长期如此的，向运营商申请提速或增加通道",
        "see whether a large task is under way; ask the carrier for more, or add a channel",
    ),
    "unknown_code": ("在错误码映射中为该代码登记含义和处理方式", "give the code a meaning"),
    "claims_lost": (
        "短信已重新排队，不会漏发；频繁出现时查看节点日志和数据库负载",
        "they are queued again; where it goes on, look at the log and the database's load",
    ),
    "unmatched_reports": (
        "检查是否与其他系统共用账号，以及通道的回执编号格式",
        "see whether another system uses the account, and how the channel spells ids",
    ),
    "report_late": (
        "看通道连接与窗口是否正常；联系运营商查状态报告积压或停发，其间结果未知的短信不要重发",
        "see whether the channel's connections take reports; ask the carrier, and do not resend what has no result",
    ),
    "queue_long": (
        "在队列页查看积压；确认通道在线、速率足够，必要时暂停大批量任务或增加通道",
        "see that channels are up and quick enough; pause large tasks, or add channels",
    ),
    "queue_old": (
        "查看该池的通道是否在线；验证码超时的应改走备用通道",
        "see whether the pool's channels are up; let a standby take over",
    ),
    "review_waiting": ("通知审批人处理，或在审批规则中调整审批人", "ask a reviewer, or change who reviews"),
    "facts_parked": (
        "用 smsgwctl fact list 查看原因，处理后重新入账",
        "see smsgwctl fact list, mend it and apply them",
    ),
    "webhook_failing": (
        "联系客户检查接收地址；恢复后事件自动补推",
        "ask the customer; what waits is delivered once it works",
    ),
    "webhook_queue": (
        "客户接收过慢：请其提高处理能力或加大批量",
        "the customer is too slow: ask for larger batches or more capacity",
    ),
    "webhook_dead": ("与客户确认后在推送记录中重新推送", "deliver them again once the customer is ready"),
    "events_lost": ("数据已不可补推：通知客户用查询接口补取", "the customer has to query for them"),
    "balance_low": ("通知账号负责人充值，或调整信用额度", "ask for a top-up, or raise the limit"),
    "database_down": (
        "检查数据库进程、磁盘和网络；期间提交写入本地缓存，恢复后自动入库",
        "look at the database's process, disk and network; calls are spooled meanwhile",
    ),
    "database_faulty": (
        "升级 PostgreSQL 到 18.7 以上，或改用 15、16、17",
        "upgrade PostgreSQL to 18.7 or later, or use 15, 16 or 17",
    ),
    "rows_skipped": (
        "其余数据照常；所列数据不生效，其中黑名单、退订和营销同意从严：相应号码按已屏蔽、未同意处理。"
        "按表名与编号在页面或命令行修改或删除，日志 row.skipped 有原因；全部可读后告警结束",
        "all other rows are in force; those named are not, but block lists, opt-outs and consents fail closed: their "
        "numbers count as blocked, or as without consent. Change or remove the rows by table and id in the portal or "
        "by smsgwctl; the log line row.skipped says why; the alarm ends when all can be read",
    ),
    "database_lag": (
        "检查备机负载与网络；此时切换会丢失未同步的数据",
        "look at the standby's load and network; a failover now would lose what it lacks",
    ),
    "writer_stalled": (
        "检查数据库的锁等待、磁盘和连接数",
        "look for lock waits, the disk and connections of the database",
    ),
    "node_missing": (
        "恢复该节点；确认不再使用的，在“节点”页移除，其告警随即结束",
        "bring it back; remove it on the page of nodes if it will not come back",
    ),
    "disk_filling": ("扩容，或缩短数据保留天数", "make room, or shorten the retention"),
    "disk_low": ("立即清理或扩容；空间恢复后自动受理", "make room at once; messages are taken again by themselves"),
    "journal_full": ("检查数据目录所在磁盘的空间和权限", "look at the room and rights of the data directory"),
    "spool_failed": (
        "检查数据目录所在磁盘；数据库中断时将拒绝提交",
        "look at the data directory's disk; calls are refused while the database is away",
    ),
    "spool_damaged": (
        "保留文件并联系支持；处理完毕后移走文件，告警即消除",
        "keep the files and ask support; once they are seen to, move them away, and the alarm ends",
    ),
    "loop_stalled": ("检查主机负载、虚拟机迁移与休眠", "look at the machine's load, moves of it and sleep"),
    "clock_wrong": ("检查各机的时间同步（NTP）", "look at the time service (NTP) of the machines"),
    "links_stale": (
        "检查数据库与密钥文件；此前的短链照常跳转，新建的暂不可用，已停用的可能仍在跳转",
        "look at the database and the key file; meanwhile links lead on, stopped ones too, but new ones",
    ),
    "links_unserved": (
        "在至少一个节点的配置文件中设置 [public] listen 并重启该节点；不用短链的，停用短链并删去 [public] hosts",
        "set [public] listen in the configuration of at least one node and start it again; or, without short links, "
        "stop them and remove [public] hosts",
    ),
    "clicks_unkept": (
        "查看磁盘空间与 [public] clicks_mb；访问量异常的，在防火墙限制来源地址",
        "look at the disk's room and [public] clicks_mb; where far too much is opened, limit it at a firewall",
    ),
    "backup_old": (
        "在服务器上运行 smsgwctl backup make，并检查定时任务与备份目录的空间；用别的工具备份的，停用本规则",
        "run smsgwctl backup make, and look at its timer and the room in its folder; turn this rule off where another "
        "tool makes backups",
    ),
    "redis_away": (
        "查看 Redis 与哨兵是否运行、网络与口令是否正确；不影响收发，恢复后自动连接",
        "see whether Redis and its sentinels run, and whether network and password are right; sending does not hang on "
        "it, and the connection comes back by itself",
    ),
    "restored_undecided": (
        "运行 smsgwctl unknown restored 查看数量，与运营商话单核对后用 --as 批量裁定（重发、结果未知或未发出）",
        "run smsgwctl unknown restored for the numbers, compare with the carriers' records, and decide with --as: send "
        "again, or end as unconfirmed or as expired",
    ),
    "partition_missing": (
        "检查数据库空间和属主权限，分区会自动补建",
        "look at the room and rights of the database; partitions are made by themselves",
    ),
    "retention_held": (
        "处理这些日期中未结束的短信；没有的，查看脱敏任务的失败原因",
        "settle what is unfinished of these days; if nothing is, see why masking fails",
    ),
    "figures_differ": ("在“数据核对”查看差异，重新统计该日", "see the checks of figures and count the day anew"),
    "complaint_ceiling": (
        "该处营销短信已停发：处理投诉、清理名单后再恢复",
        "marketing has stopped there: settle complaints and clean the lists",
    ),
    "toll_fraud": (
        "确认是否本人业务；否则停用该账号的密钥",
        "ask whether it is theirs; stop the account's keys otherwise",
    ),
    "guessing": (
        "核对来源地址；非本单位的在 IP 白名单或防火墙中拦截",
        "look at the sources; bar those that are not yours",
    ),
    "audit_changed": (
        "运行 smsgwctl audit verify；刚恢复过备份的按手册确认，否则按安全事件处理",
        "run smsgwctl audit verify; after a restore accept it, else it is an incident",
    ),
    "audit_anchor": ("检查锚点文件所在位置的空间和权限", "look at the room and rights where the anchor is written"),
    "sign_over": ("续期、重新报备或停用", "renew, register anew, or stop it"),
    "task_halted": ("在任务页查看停止原因，决定继续或终止", "see why on the task's page, and go on or end it"),
    "fault_response_near": ("在故障登记中点“响应”并着手处理", "respond on the fault's page, and see to it"),
    "fault_response_over": (
        "立即响应；联系不上值班人员时联系上级",
        "respond at once; if nobody on duty can be reached, call who is above",
    ),
    "fault_recovery_near": (
        "看故障前后的事件时间线找原因，先恢复业务",
        "look for the cause on the line of time around it; restore service first",
    ),
    "ticket_response_near": ("在工单页接手或回复", "take the ticket on, or answer, on its page"),
    "ticket_response_over": (
        "立即接手并回复；指派给能处理的人",
        "take it on and answer at once; assign it to who can handle it",
    ),
    "fault_recovery_over": (
        "通知负责人，按应急方案切换通道或节点",
        "tell who is responsible; change channels or nodes as planned",
    ),
    "faults_full": ("为已恢复的故障填写报告并结案", "close the faults that are over, with their reports"),
}
WORDS = {f"alarm_rule.{kind}": said for kind, said in CONDITIONS.items()} | {
    "alarm.queue_long": ("{lane}排队 {n} 条，超过 {limit} 条", "{n} {lane} messages wait, more than {limit}"),
    "alarm.queue_uncounted": (
        "{lane}排队过多：{seconds} 秒内数不完（上限 {limit} 条）",
        "more {lane} messages wait than can be counted in {seconds} s (limit {limit})",
    ),
    "alarm.queue_old": (
        "{lane}下一条待发短信自 {oldest} 起等待，超过 {limit} 秒",
        "the {lane} message that goes next has waited since {oldest}, longer than {limit} s",
    ),
    "alarm.database_lag": (
        "备机落后 {seconds} 秒，超过 {limit} 秒",
        "a standby is {seconds} s behind, more than {limit} s",
    ),
    "alarm.channel_silent": (
        "已登录，窗口内 {used} 段等待应答",
        "logged in; {used} segments in its window wait for an answer",
    ),
    "alarm.channel_throttled": ("自 {since} 起，已拒收 {refused} 段", "since {since}; {refused} segments were refused"),
    "alarm.rate_near": ("当前 {rate} 条/秒，上限 {limit} 条/秒", "{rate}/s now, of {limit}/s"),
    "alarm.balance_low": ("可用 {units} 条，低于 {limit} 条", "{units} units are left, less than {limit}"),
    "alarm.missing": ("最后心跳 {seen}，位于 {place}", "last seen {seen}, at {place}"),
    "alarm.disk_filling": ("可用空间 {free}%，低于 {limit}%", "{free}% is free, less than {limit}%"),
    "alarm.disk_unknown": ("无法读取数据磁盘，可用空间未知", "the data disk cannot be read: what is free is unknown"),
    "alarm.webhook_queue": (
        "{n} 个事件待推送，超过 {limit} 个，最早的自 {oldest} 起",
        "{n} events wait, more than {limit}, the oldest since {oldest}",
    ),
    "alarm.fault_due": ("{title}，时限 {by}", "{title}, promised for {by}"),
    "alarm.note_stands_in": (
        "（值班表无人可通知，改发备用接收人）",
        "(nobody could be found on duty: you are told in their place)",
    ),
    "duty.person": (
        "此人不能值班：须在职并有告警处理权限",
        "this person cannot be on duty: not active, or may not handle alarms",
    ),
    "duty.week": ("应为一周的星期一，与今天相距不超过一年", "the Monday of a week, not more than a year from today"),
    "duty.nothing": (
        "上一周没有排班，或其中的人都已不能值班",
        "nobody was on duty in the week before, or none of them can be",
    ),
    "duty.contacts_full": ("联系方式已达上限 {most} 个", "there are {most} contacts, the most"),
    "duty.way": ("只有短信与邮件可以发给值班人", "only messages and mails can go to who is on duty"),
    "alarm.ticket_due": ("账号 {account}，时限 {by}", "account {account}, promised for {by}"),
    "ticket.messages": ("最多 {most} 条短信", "{most} messages at most"),
    "ticket.no_message": ("{id} 不是该账号的短信", "{id} is no message of this account"),
    "ticket.full": ("该账号未办结的工单已达上限 {most} 个", "{most} tickets of the account are not closed, the most"),
    "ticket.state": ("工单目前：{state}", "the ticket is: {state}"),
    "ticket.handler": ("此人不能处理该账号的工单", "this person cannot handle tickets of the account"),
    "ticket.late": ("办结已超过 {days} 天，请新建工单", "it was closed more than {days} days ago: open another one"),
    "fault.of_alarm": ("{what} {about}", "{about}: {what}"),
    "fault.text": ("{least} 至 {most} 个字", "{least} to {most} characters"),
    "fault.unprintable": ("含有不可见的控制字符", "it has control characters"),
    "fault.began": ("不晚于现在，不早于 {days} 天前", "not later than now, not earlier than {days} days ago"),
    "fault.recovered": ("不早于故障发生，不晚于现在", "not before the fault began, not later than now"),
    "fault.full": ("未结案的故障已达上限 {most} 个", "{most} faults are not closed, the most"),
    "fault.of_another": ("告警已属于某个故障，或已不存在", "the alarm belongs to a fault already, or is gone"),
    "fault.state": ("故障目前：{state}", "the fault is: {state}"),
    "fault.steps": ("记录已达上限 {most} 条", "it has {most} entries, the most"),
    "fault.counts": ("已计入年度统计", "it counts already"),
    "fault.counts_not": ("已不计入年度统计", "it does not count already"),
    "alarm_rule.heading": ("{name}{about}：{what}", "{name}{about}: {what}"),
    "alarm_rule.lasting": (
        "该告警不能停用、延后、降级或只通知部分接收人",
        "this alarm cannot be turned off, put off, made less grave or told to some alone",
    ),
    "alarm_rule.apart": ("例外的对象应形如 {apart}/名称", "an exception is about something like {apart}/NAME"),
    "alarm_rule.exists": ("该对象已有例外", "there is an exception for it"),
    "alarm_rule.full": ("例外已达上限 {most} 个", "there are {most} exceptions, the most"),
    "alarm_rule.setting": (
        "该阈值是系统参数，须有修改系统参数的权限",
        "this is a setting of the platform, which takes the right to change these",
    ),
    "alarm_rule.receiver": ("接收人不存在", "there is no such receiver"),
    "alarm_rule.default": ("已是默认规则", "it is as by default"),
    "node.lives": ("节点仍在运行，不能移除", "the node lives"),
    "node.removed": ("节点已移除", "the node was removed before"),
}
