"""What a test of a channel finds, and what to do about it (``….do``); the codes are of ``platform.channels.checks``."""

from __future__ import annotations

WORDS: dict[str, tuple[str, str]] = {
    "too_long": ("测试超过了时间限制", "The test took longer than it may"),
    "too_long.do": ("请稍后重试", "Try again later"),
    "failed": ("测试没有做完：本系统内部出错（{kind}）", "The test did not come to its end: a fault of ours ({kind})"),
    "failed.do": ("请重新测试；仍然如此请查看本节点的日志", "Test again; if it stays so, look at the log of this node"),
    # --- name and address
    "resolved": ("{host} 对应 {address}", "{host} is {address}"),
    "name": ("找不到主机名 {host}", "There is no host {host}"),
    "name.do": (
        "请核对网关地址的拼写；若是内网名称，请检查本机的 DNS，或改填 IP 地址",
        "Check the spelling of the address; for a name of an internal network check the DNS of this machine, "
        "or enter the IP address",
    ),
    "name_timeout": ("{seconds} 秒内没有查到 {host}", "{host} was not looked up within {seconds} s"),
    "name_timeout.do": ("请检查本机的 DNS，或改填 IP 地址", "Check the DNS of this machine, or enter the IP address"),
    "reached": ("已连通 {address} 的 {port} 端口", "Port {port} of {address} is reached"),
    "reached_other": (
        "{failed} 连不上，已连通 {address} 的 {port} 端口",
        "{failed} is not reached; port {port} of {address} is",
    ),
    "reached_other.do": (
        "通道会用连得上的地址；请核对主机名的 DNS 记录，或检查到另一地址的网络与防火墙",
        "The channel uses the one that is reached: check the name's addresses, or network and firewall to the other",
    ),
    "refused": (
        "{address} 已到达，但 {port} 端口没有程序接听",
        "{address} is there, but nothing listens on port {port}",
    ),
    "refused.do": (
        "请向运营商核对端口号；也可能是网关正在重启，或防火墙直接拒绝",
        "Ask the carrier for the port; the gateway may also be restarting, or a firewall refuses",
    ),
    "timeout": (
        "{seconds} 秒内连不上 {address} 的 {port} 端口",
        "Port {port} of {address} was not reached within {seconds} s",
    ),
    "timeout.do": (
        "请检查防火墙和专线是否放行到该地址与端口，并确认本机出口 IP 已在运营商报备",
        "Check that firewall and leased line let this address and port pass, and that the carrier has registered "
        "the address that we come from",
    ),
    "unreachable": ("到 {address} 没有路由", "There is no way to {address}"),
    "unreachable.do": (
        "请检查本机的网络、专线与路由，以及地址是否正确",
        "Check the network, the leased line, the routes of this machine, and the address",
    ),
    "source": ("本机没有地址 {source}", "This machine does not have the address {source}"),
    "source.do": (
        "请修改来源地址（source_address），或把它配置到本机网卡",
        "Change the source address (source_address), or give it to an interface of this machine",
    ),
    # --- TLS
    "ca": ("读不了证书文件 {file}", "The file of authorities {file} cannot be read"),
    "ca.do": ("请核对 tls_ca 的路径、权限和格式（PEM）", "Check path, permissions and format (PEM) of tls_ca"),
    "plain": ("{port} 端口没有按 TLS 应答：对端是明文端口", "Port {port} does not speak TLS: it is a plain one"),
    "plain.do": (
        "请向运营商确认：改用其 TLS 端口，或在通道中关闭 TLS",
        "Ask the carrier: use its port for TLS, or switch TLS off for the channel",
    ),
    "tls_wanted": (
        "{port} 端口要求 TLS，而本通道用明文连接",
        "Port {port} wants TLS, and the channel connects without",
    ),
    "tls_wanted.do": (
        "请在通道中启用 TLS，或改用运营商的明文端口",
        "Switch TLS on for the channel, or use the carrier's plain port",
    ),
    "tls_unknown": (
        "{port} 端口要求 TLS，本协议的通道不使用 TLS",
        "Port {port} wants TLS, which channels of this protocol do not use",
    ),
    "tls_unknown.do": (
        "请核对端口，并向运营商索取明文（专线）端口",
        "Check the port, and ask the carrier for its plain one (by leased line)",
    ),
    "tls_refused": ("对端拒绝了 TLS 握手", "The other side refuses the TLS handshake"),
    "tls_refused.do": (
        "对端可能要求更新的 TLS 版本、其他加密套件或客户端证书，请把原始代码告诉运营商",
        "It may want another version, cipher or a certificate of ours: tell the carrier the raw code",
    ),
    "tls_failed": ("TLS 握手没有完成", "The TLS handshake did not come to its end"),
    "tls_failed.do": ("请把原始代码告诉运营商", "Tell the carrier the raw code"),
    "secured": (
        "{version}，证书属于 {names}，由 {issuer} 签发，{until} 到期",
        "{version}; the certificate is for {names}, by {issuer}, until {until}",
    ),
    "expires": (
        "{version}，证书属于 {names}，再过 {days} 天（{until}）到期",
        "{version}; the certificate for {names} ends in {days} days ({until})",
    ),
    "expires.do": (
        "请提醒运营商更换证书，到期后通道将连不上",
        "Remind the carrier: once it is over, the channel does not connect any more",
    ),
    "unchecked": (
        "{version}，已加密，但按设置没有核对证书（{names}，{until} 到期）",
        "{version}; encrypted, but as set the certificate ({names}, until {until}) is not checked",
    ),
    "unchecked.do": (
        "请取得运营商的根证书（tls_ca），再关闭 tls_insecure，否则挡不住冒充者",
        "Get the carrier's authority (tls_ca) and switch tls_insecure off: nobody who pretends to be it is kept out",
    ),
    "cert_expired": ("对端证书已于 {until} 到期（{names}）", "The certificate ({names}) has ended on {until}"),
    "cert_expired.do": (
        "请运营商更换证书；也请检查本机时间",
        "The carrier has to renew it; check the clock of this machine, too",
    ),
    "cert_name": ("对端证书属于 {names}，不是 {name}", "The certificate is for {names}, not for {name}"),
    "cert_name.do": (
        "请核对网关地址；确属该运营商时，把证书中的名称填入 tls_name",
        "Check the address; when it is the carrier's, enter the certificate's name as tls_name",
    ),
    "cert_signer": (
        "不信任对端证书的签发者（{issuer}；证书属于 {names}）",
        "Who has signed the certificate ({issuer}; for {names}) is not trusted",
    ),
    "cert_signer.do": (
        "请向运营商索取其根证书，存到本机并把路径填入 tls_ca",
        "Ask the carrier for the certificate of its authority, and enter its file as tls_ca",
    ),
    "cert_refused": ("对端证书未通过核验（{names}）", "The certificate ({names}) is refused"),
    "cert_refused.do": ("请把原始代码告诉运营商", "Tell the carrier the raw code"),
    # --- login
    "live": (
        "通道正有 {n} 条连接在线，因此没有再次登录：只允许一条连接的运营商会因此断开正在发送的通道",
        "The channel has {n} connections at work, so nobody logged in again: a carrier that allows only one would cut "
        "off the channel that is sending",
    ),
    "live_other": (
        "通道 {name} 正以同一登录名连着同一网关（{n} 条连接），因此没有再次登录：只允许一条连接的运营商会因此断开它",
        "Channel {name} is logged in to the same gateway with this login ({n} connections), so nobody logged in again: "
        "a carrier that allows only one would cut it off",
    ),
    "started": (
        "通道 {name} 已启用并使用此登录名，随时会登录或重连，因此没有再次登录：只允许一条连接的运营商会因此断开它",
        "Channel {name} is started and uses this login, and may log in or connect anew at any moment, so nobody logged "
        "in again: a carrier that allows only one connection would cut it off",
    ),
    "login.good": ("{user} 已登录，使用 {dialect}", "{user} is logged in, by {dialect}"),
    "login.doubt": (
        "{user} 已登录（{dialect}），但网关没有证明它知道共享密码",
        "{user} is logged in ({dialect}), but the gateway did not prove that it knows the password",
    ),
    "login.doubt.do": (
        "许多网关如此；若地址可能有误，请向运营商确认",
        "Many gateways do so; when the address may be wrong, ask the carrier",
    ),
    "login.password": ("网关拒绝登录：{user} 的密码不对", "The login is refused: wrong password for {user}"),
    "login.password.do": (
        "请重新填写密码（注意首尾空格）；CMPP、SMGP 还要求本机时间准确",
        "Enter the password anew (mind spaces); for CMPP and SMGP the clock of this machine must be right, too",
    ),
    "login.user": ("网关不认识登录名 {user}", "The gateway does not know the login {user}"),
    "login.user.do": ("请向运营商核对登录名", "Ask the carrier for the login"),
    "login.source_address": (
        "网关不接受本机的来源地址或登录名 {user}",
        "The gateway does not admit the address that we come from, or the login {user}",
    ),
    "login.source_address.do": (
        "请向运营商报备本机出口 IP，并核对企业代码（登录名）",
        "Have the carrier register the address that we come from, and check the login",
    ),
    "login.version": ("网关不支持此协议版本", "The gateway does not speak this version"),
    "login.version.do": ("请改用较低的协议版本（如 CMPP 2.0、SMGP 1.3）", "Use a lower version (CMPP 2.0, SMGP 1.3)"),
    "login.many": ("网关上的连接数已满", "The gateway has too many connections already"),
    "login.many.do": (
        "请减少连接数，或确认没有其他系统在用同一登录名",
        "Have fewer connections, and see that nobody else uses the login",
    ),
    "login.already": ("{user} 已经登录", "{user} is logged in already"),
    "login.already.do": (
        "可能有另一系统在用此登录名，或上次连接尚未释放；请过一分钟再试",
        "Another system uses it, or the last connection is not given up yet: try again in a minute",
    ),
    "login.busy": ("网关暂时繁忙", "The gateway is busy"),
    "login.busy.do": ("请稍后重试；持续如此请联系运营商", "Try again later; ask the carrier when it stays so"),
    "login.bind_failed": ("网关拒绝绑定", "The gateway refuses the bind"),
    "login.bind_failed.do": (
        "常见原因：密码错误、来源 IP 未报备、连接数已满或绑定方式不符，请向运营商核对",
        "Usually the password, an address that is not registered, too many connections, or the kind of bind: "
        "ask the carrier",
    ),
    "login.bind_kind": ("网关不接受此绑定方式", "The gateway does not take this kind of bind"),
    "login.bind_kind.do": (
        "请改为“收、发各一条连接”，或反之",
        "Use a transmitter and a receiver, or the other way round",
    ),
    "login.state": ("网关认为当前状态不允许登录", "The gateway does not expect a login now"),
    "login.state.do": ("请过一分钟再试；持续如此请联系运营商", "Try again in a minute, else ask the carrier"),
    "login.system_type": ("网关不接受 system_type", "The gateway does not take the system_type"),
    "login.system_type.do": ("请按运营商给出的值填写 system_type", "Enter the carrier's system_type"),
    "login.login_type": ("网关不接受此登录类型", "The gateway does not take this kind of login"),
    "login.login_type.do": (
        "请核对地址与端口：可能连到了反向端口",
        "Check address and port: it may be the port for its own logins",
    ),
    "login.structure": ("网关不认识登录报文的格式", "The gateway does not understand the login"),
    "login.structure.do": ("请核对协议与版本是否选对", "Check that protocol and version are right"),
    "login.expired": ("账号 {user} 已到期", "The account {user} has expired"),
    "login.expired.do": ("请联系运营商续期", "Ask the carrier to renew it"),
    "login.other": ("网关拒绝登录", "The gateway refuses the login"),
    "login.other.do": ("请把原始代码告诉运营商", "Tell the carrier the raw code"),
    "login.unreadable": ("登录应答不是 {protocol} 的格式", "The answer to the login is not in the form of {protocol}"),
    "login.unreadable.do": ("请核对协议与版本是否选对", "Check that protocol and version are right"),
    "foreign": ("{port} 端口的应答不是 {protocol} 报文", "What port {port} says is not {protocol}"),
    "foreign.do": ("请核对端口与协议：该端口上是另一种服务", "Check port and protocol: another service is there"),
    "closed": ("网关没有应答登录就断开了", "The gateway hung up without an answer to the login"),
    "closed.do": (
        "多为来源 IP 未报备；也请核对登录名 {user}、端口与协议",
        "Usually the address that we come from is not registered; check the login {user}, port and protocol, too",
    ),
    "silent": ("已连通 {port} 端口，但网关一直没有应答登录", "Port {port} is reached, but the login has no answer"),
    "silent.do": (
        "请核对端口与协议；也可能是网关过载，或中间设备只放行了连接",
        "Check port and protocol; the gateway may be overloaded, or something between lets the connection pass alone",
    ),
    # --- after the login
    "keepalive": ("心跳有应答；窗口按 {window} 条使用", "The keep-alive is answered; the window is {window}"),
    "no_keepalive": ("{seconds} 秒内没有收到心跳应答", "No answer to the keep-alive within {seconds} s"),
    "no_keepalive.do": (
        "通道会因此反复重连；请向运营商核对心跳是否受支持",
        "The channel will connect again and again: ask the carrier whether it answers keep-alives",
    ),
    "dropped": ("登录后连接随即被断开", "The connection was closed right after the login"),
    "dropped.do": (
        "可能有另一系统用同一登录名把它挤下线，请向运营商核对",
        "Another system with the same login may have pushed it out: ask the carrier",
    ),
    "connections": ("{n} 条连接可以同时登录", "{n} connections are logged in at once"),
    "fewer": (
        "运营商只接受 {n} 条连接，通道设置了 {wanted} 条",
        "The carrier takes {n} connections, and the channel is set to {wanted}",
    ),
    "fewer.do": ("请把连接数改为 {n}，或请运营商增加", "Set it to {n}, or ask the carrier for more"),
    "unopened": (
        "已登录 {n} 条连接，下一条没有建立成功；通道设置了 {wanted} 条",
        "{n} connections are logged in, and the next one could not be opened; the channel is set to {wanted}",
    ),
    "unopened.do": (
        "请重新测试；仍然如此，可能是运营商不应答多余的连接，也可能是网络不稳，请向运营商核对允许的连接数",
        "Test again; if it stays so, the carrier may leave further connections without an answer, or the network "
        "fails: ask it how many are allowed",
    ),
    "reverse": (
        "状态报告由网关反向连接 {listen} 送来，从这里无法测试；请确认防火墙已放行并已告知运营商",
        "Reports come by connections of the gateway to {listen}, which cannot be tested from here: see that the "
        "firewall lets them in and that the carrier knows the address",
    ),
}
