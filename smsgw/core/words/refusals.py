"""The messages of the codes of errors, for people: they say what to do."""

from __future__ import annotations

WORDS: dict[str, tuple[str, str]] = {
    "OK": ("成功", "OK"),
    "PARAM_MISSING": ("缺少参数：{field}", "Missing parameter: {field}"),
    "PARAM_INVALID": ("参数格式不正确：{field}，{reason}", "Invalid parameter {field}: {reason}"),
    "JSON_INVALID": ("请求体不是合法的 JSON，请检查格式与 UTF-8 编码", "The body is not valid JSON in UTF-8"),
    "BODY_TOO_LARGE": ("请求体超过 2MB，请改用任务接口", "The body exceeds 2 MB; use a task"),
    "TO_EMPTY": ("号码为空，请在 to 中至少填写一个号码", "No number given in `to`"),
    "TO_TOO_MANY": ("单次最多 1000 个号码，请分批提交或改用任务接口", "At most 1000 numbers in a call"),
    "NUMBER_INVALID": ("手机号码格式不正确，请检查后重新提交", "Invalid phone number"),
    "NUMBER_DUPLICATE": ("本次请求内号码重复，已合并", "Number repeated in this call; merged"),
    "NUMBER_BLACKLISTED": ("号码在黑名单中（{list}），未发送", "Number is on a block list ({list})"),
    "NUMBER_OPTED_OUT": ("用户已退订（{time}），未发送", "The user opted out ({time})"),
    "COMPLAINT_CEILING": (
        "投诉率超过上限，营销短信已停发（{object}）",
        "Too many complaints; marketing stopped ({object})",
    ),
    "EMERGENCY_DENIED": ("账号没有特发权限，请联系管理员开通", "The account may not send emergency messages"),
    "NUMBER_FREQ_LIMITED": ("该号码发送过于频繁：{rule}", "Too frequent for this number: {rule}"),
    "INTERNATIONAL_LIMITED": (
        "发往境外（含港澳台）的短信超出限制：{rule}；请检查密钥是否被盗用，确有业务需要请联系管理员放宽",
        "Too many messages outside mainland China: {rule}; check that your key was not stolen, or ask for more",
    ),
    "NUMBER_NOT_ALLOWED": (
        "账号只能发送到仅限名单中的号码，请联系管理员添加",
        "The account sends to the numbers of its list alone",
    ),
    "NUMBER_EMPTY": ("号码状态为空号，已过滤", "Number is not in service"),
    "NUMBER_NO_CONSENT": (
        "没有用户同意接收营销短信的有效记录，请先登记同意，或不要发送",
        "The owner has not agreed to get marketing; record the consent first, or do not send",
    ),
    "CONTENT_EMPTY": ("内容为空，请填写 content", "Content is empty"),
    "CONTENT_UNENCODABLE": ("内容含有无法发送的字符，请删除后重试", "Content has a character that cannot be sent"),
    "CONTENT_TOO_LONG": (
        "内容超过 1000 字（现有 {length} 字），请缩短后重发",
        "Content exceeds 1000 characters (it has {length})",
    ),
    "CONTENT_SENSITIVE": ("内容包含敏感词：{words}，请修改后重发", "Content contains banned words: {words}"),
    "CONTENT_VARIABLE_UNRESOLVED": ("变量未替换：{name}，请填写后重发", "Unresolved variable: {name}"),
    "CONTENT_OPTOUT_MISSING": ('营销短信须以"{wording}"结尾，请补充后重发', 'Marketing must end with "{wording}"'),
    "SIGN_MISSING": ("缺少签名，请填写 sign 或在内容前加【签名】", "Signature is missing"),
    "SIGN_NOT_APPROVED": (
        "签名“{sign}”未审核通过或不属于本账号，请先申请并等待审核",
        "The signature {sign} is not approved for this account; apply for it and wait for the review",
    ),
    "SIGN_NOT_REGISTERED": (
        "签名“{sign}”未在{carrier}报备，请先报备或更换签名",
        "The signature {sign} is not registered with {carrier}; have it registered or use another one",
    ),
    "TEMPLATE_NOT_FOUND": ("模板 {id} 不存在，请核对模板编号", "No template {id}"),
    "TEMPLATE_NOT_APPROVED": ("模板 {id} 未审核通过，请等待审核或更换模板", "The template {id} is not approved"),
    "TEMPLATE_PARAM_INVALID": (
        "模板变量不符：{name}，请按模板定义的变量与格式填写",
        "Template parameter mismatch: {name}",
    ),
    "REVIEW_REJECTED": ("审核未通过：{reason}", "Rejected by the reviewer: {reason}"),
    "TEMPLATE_REQUIRED": (
        "账号只能发送已审核模板的内容，请选用模板或按模板填写",
        "The account sends texts of approved templates alone",
    ),
    "CONTENT_DUPLICATE": (
        "{n} 秒内已向该号码发送过相同内容，未重复发送",
        "The same text went to this number within {n} s",
    ),
    "FILE_INVALID": ("文件无法使用：{reason}", "The file cannot be used: {reason}"),
    "FILE_TOO_LARGE": ("文件超过 200MB，请拆分后分别上传", "The file exceeds 200 MB; split it"),
    "EXTEND_CODE_INVALID": ("扩展号不合法或不属于本账号，应为不超过 12 位的数字", "Invalid extension code"),
    "TIME_INVALID": ("发送时间不合法：{reason}", "Invalid time: {reason}"),
    "TIME_WINDOW_CLOSED": (
        "当前时段不允许发送{type}，下次可发 {time}",
        "Not allowed at this hour ({type}); next {time}",
    ),
    "LINK_NOT_FILED": (
        "链接未报备，不能用于营销：{link}，请先在{carrier}报备",
        "The link {link} is not filed with {carrier}; file it before you use it in marketing",
    ),
    "LINK_NOT_FOUND": ("短链 {id} 不存在", "There is no short link {id}"),
    "LINK_NOT_ACTIVE": (
        "短链 {id} 当前为“{state}”，不能发送：请待其审批通过，或另选一条有效的短链",
        "Short link {id} is {state} and cannot be sent: wait until it is passed, or choose one in force",
    ),
    "LINK_CODES_USED_UP": (
        "短链 {id} 剩余短码 {left} 个，需要 {need} 个：请新建一条短链",
        "Short link {id} has {left} codes left and {need} are needed: make another link",
    ),
    "LINK_PLACE_MISSING": (
        "选了短链，但内容中没有 {place}：请在要放链接的位置写上它",
        "A short link is given, but the text has no {place}: write it where the link shall stand",
    ),
    "AUTH_MISSING": ("缺少认证信息，请提供签名头或 Authorization: Bearer", "Credentials are missing"),
    "AUTH_KEY_INVALID": ("密钥不存在或已停用，请核对密钥", "Unknown or disabled key"),
    "AUTH_SIGNATURE_INVALID": ("签名校验失败，请按文档核对签名原文与密钥", "Signature mismatch"),
    "TLS_REQUIRED": ("此地址只提供 HTTPS，请改用 https:// 地址", "HTTPS only: use the https:// address"),
    "AUTH_SIGNATURE_OUTDATED": (
        "签名版本 v1 已停用，请按接口文档改用 v2（待签名串包含 Idempotency-Key）",
        "Signature version 1 is good no more; sign version 2",
    ),
    "AUTH_TIMESTAMP_EXPIRED": (
        "时间戳与服务器相差超过 5 分钟，请校准时钟后重试，服务器时间 {time}",
        "Clock skew; server time {time}",
    ),
    "AUTH_NONCE_REPLAYED": ("随机数已使用，请为每次请求生成新的随机数", "Nonce was used before"),
    "AUTH_BEARER_INSECURE": ("Bearer 令牌不可用：{reason}，请改用签名认证或调整配置", "Bearer is refused: {reason}"),
    "AUTH_IP_DENIED": ("来源 IP {ip} 不在白名单", "Source address {ip} is not allowed"),
    "SCOPE_DENIED": ("密钥没有权限：{scope}", "The key lacks the scope {scope}"),
    "PERMISSION_DENIED": ("没有权限：{permission}，请联系管理员开通", "Permission denied: {permission}"),
    "GRANT_EXCEEDED": ("不能授予自己没有的权限：{permission}", "You cannot give what you lack: {permission}"),
    "RIGHTS_OWN": (
        "不能修改自己的角色、权限或数据范围，请由其他管理员处理",
        "Your own rights are changed by somebody else",
    ),
    "PERSON_ABOVE": ("不能管理权限高于自己的人员：{login}", "{login} has more rights than you"),
    "DUTIES_CONFLICT": (
        "系统管理、安全管理、安全审计三员不能由同一人或同一角色兼任",
        "Nobody is two of system, security and audit administrator",
    ),
    "LAST_ADMINISTRATOR": ("{login} 是最后一位管理员，请先设置另一位管理员", "{login} is the last administrator"),
    "ROLE_PROTECTED": ("内置角色 {role} 不能修改或删除，请复制后修改", "The role {role} is built in; change a copy"),
    "LOGIN_LOCKED_OUT": (
        "按此设置，您自己所在的地址 {address} 将无法登录；请先把它加入名单",
        "You would lock yourself out: {address} is not on the list",
    ),
    "LOGIN_UNENROLLED": (
        "按此设置，您自己将无法登录；请先绑定所要求的验证方式",
        "You would lock yourself out: set up what you demand first",
    ),
    "LOGIN_SMS_UNSET": ("尚未指定发送登录验证码的短信账号，不能要求短信验证码", "No account sends login codes yet"),
    "LOGIN_SMS_FAILED": (
        "验证码短信暂时无法发送，请稍后重试，或改用其他验证方式",
        "The code cannot be sent now; use another way",
    ),
    "NETWORK_INVALID": ("不是 IP 地址或网段：{text}", "Not an address or network: {text}"),
    "CODE_WRONG": ("验证码不正确或已失效，请重新获取", "The code is wrong or was used"),
    "ACCOUNT_STOPPED": ("账号已停用，请联系管理员", "The account is stopped"),
    "ACCOUNT_EXPIRED": ("合同已于 {date} 到期，请联系管理员续约", "The contract ended on {date}"),
    "ACCOUNT_NOT_BEGUN": ("合同尚未生效，{date} 起可用", "The contract begins on {date}"),
    "PROTOCOL_DENIED": ("账号未开通 {protocol} 接入，请联系管理员开通", "The account may not use {protocol}"),
    "BALANCE_INSUFFICIENT": (
        "余额不足，需要 {need} 条，剩余 {left} 条，请充值后重试",
        "Balance too low: need {need}, have {left}",
    ),
    "QUOTA_DAY_EXCEEDED": (
        "超过日发送上限 {limit} 条，今日还可发送 {left} 条，请明日再发或联系管理员调整",
        "Daily quota of {limit} parts exceeded; {left} left today",
    ),
    "QUOTA_MONTH_EXCEEDED": (
        "超过月发送上限 {limit} 条，本月还可发送 {left} 条，请下月再发或联系管理员调整",
        "Monthly quota of {limit} parts exceeded; {left} left this month",
    ),
    "QUOTA_DEPARTMENT_EXCEEDED": (
        "超过所属部门月发送上限 {limit} 条，本月还可发送 {left} 条，请下月再发或联系部门管理员调整",
        "Monthly quota of {limit} parts of the department exceeded; {left} left this month",
    ),
    "RATE_LIMITED": ("请求过快，请 {n} 秒后重试", "Too many requests; retry in {n} s"),
    "IDEMPOTENCY_IN_PROGRESS": ("相同请求正在处理，请稍后重试", "The same request is being processed"),
    "IDEMPOTENCY_MISMATCH": ("幂等键已用于不同内容，请更换 Idempotency-Key", "Idempotency key used with another body"),
    "CLIENT_REF_EXISTS": ("客户流水号已存在，消息 {id}", "client_ref exists: message {id}"),
    "UNMASK_LIMIT": (
        "今天已查看 {most} 个完整号码，达到每日上限，请明天再试或联系系统管理员调整",
        "You have seen {most} whole numbers today, which is the daily limit; try tomorrow or ask an administrator",
    ),
    "CONTACTS_FULL": ("联系人已达上限 {most} 个，请删除不用的联系人后重试", "The account has its {most} contacts"),
    "AUDIENCES_FULL": ("人群已达上限 {most} 个，请删除不用的人群后重试", "The account has its {most} audiences"),
    "TASK_REF_EXISTS": ("客户流水号已存在，任务 {id}", "client_ref exists: task {id}"),
    "NOT_FOUND": ("记录不存在或无权查看", "Not found, or not yours"),
    "METHOD_NOT_ALLOWED": ("该地址不支持此方法，请查看接口文档", "Method not allowed here"),
    "REQUEST_TIMEOUT": ("请求体未在 {n} 秒内传完，请检查网络后重试", "The body did not arrive within {n} s; retry"),
    "STATE_CONFLICT": ("当前状态不允许此操作：{reason}", "Not possible in the present state: {reason}"),
    "NO_ROUTE": (
        "没有可用通道（{carrier}），消息未接收，请稍后用相同请求重试或联系管理员检查通道",
        "No channel available ({carrier}); not accepted, retry later",
    ),
    "BACKPRESSURE": ("系统繁忙，请 {n} 秒后重试", "Busy; retry in {n} s"),
    "STORAGE_UNAVAILABLE": (
        "数据库不可用，消息未接收，请重试（{reason}）",
        "Storage unavailable, not accepted, retry ({reason})",
    ),
    "STORAGE_UNCERTAIN": (
        "数据库中断，消息可能已接收，请用相同幂等键重试或按 client_ref 查询，不要直接重发（{reason}）",
        "Storage failed during the commit: it may have been accepted; repeat with the same key or ask by client_ref, "
        "do not just send again ({reason})",
    ),
    "NOT_READY": ("服务尚未就绪，请稍后重试", "Not ready; retry later"),
    "BRANDS_FULL": ("品牌已达上限 {most} 个，请删除不用的品牌后重试", "There are {most} brands already; remove one"),
    "BRAND_HOST_TAKEN": (
        "域名 {host} 已属于另一品牌，请先在那里移除",
        "Another brand has the host {host}; remove it there first",
    ),
    "BRAND_HOSTS_INVALID": (
        "域名不正确：{host}，请填写 1 到 {most} 个域名或 IP 地址，* 表示其他所有域名",
        "Not a host: {host}; give 1 to {most} names or addresses, * for all others",
    ),
    "BRAND_FIELD_INVALID": ("内容过长或格式不正确：{field}", "Too long or malformed: {field}"),
    "PICTURE_TOO_LARGE": ("图片超过 {most} KB，请压缩后重新上传", "The picture exceeds {most} KB; make it smaller"),
    "PICTURE_INVALID": (
        "图片无法使用，请上传 PNG、JPEG、WebP 或不含实体声明的 SVG",
        "Not a picture: bring PNG, JPEG, WebP, or SVG without entities",
    ),
    "CERTIFICATE_INVALID": (
        "证书或私钥无法使用，请上传 PEM 格式的证书链与对应的未加密私钥",
        "The certificate or key is unusable: PEM, the key unencrypted and of this certificate",
    ),
    "INTERNAL": ("系统错误，请提供请求号 {request_id}", "Internal error; quote request id {request_id}"),
}
"""Code -> (Chinese, English)."""
