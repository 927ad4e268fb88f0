#!/usr/bin/env python3
"""smsgw HTTP API 客户端示例(Python ≥ 3.8,仅标准库)。

SMSGW_URL=https://sms.example.org SMSGW_KEY=… SMSGW_SECRET=… python3 smsgw_client.py send 13800138000 您好
python3 smsgw_client.py pull
python3 smsgw_client.py verify whsec_… WEBHOOK_ID WEBHOOK_TIMESTAMP WEBHOOK_SIGNATURE < 请求体
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import sys
import time
import urllib.error
import urllib.request

BASE = "/api/v1"
TRIES = 5


class ApiError(Exception):
    """平台拒绝了请求;code 见接口文档的结果码表。"""

    def __init__(self, status, answer):
        super().__init__(f"{answer.get('code')}: {answer.get('message')} (request_id {answer.get('request_id')})")
        self.status, self.code, self.data = status, answer.get("code"), answer.get("data")


class Client:
    def __init__(self, url, key, secret):
        self.url, self.key, self.secret = url.rstrip("/"), key, secret

    def sign(self, method, path, body, idempotency_key):
        """签名请求头;每次发送(包括重试)都重新签名。"""
        timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
        content = hashlib.sha256(body).hexdigest()
        text = "\n".join(["v2", method, path, "", timestamp, nonce, content, idempotency_key])
        digest = hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return {
            "X-Sms-Key": self.key,
            "X-Sms-Timestamp": timestamp,
            "X-Sms-Nonce": nonce,
            "X-Sms-Signature": "v2=" + digest,
        }

    def post(self, path, data, idempotency_key=""):
        """超时、502、503、504 与 429 时以相同的幂等键重试,不会重复发送。"""
        path, body = BASE + path, json.dumps(data, ensure_ascii=False).encode()
        for attempt in range(1, TRIES + 1):
            headers = {"Content-Type": "application/json", **self.sign("POST", path, body, idempotency_key)}
            if idempotency_key:
                headers["Idempotency-Key"] = idempotency_key
            request = urllib.request.Request(self.url + path, body, headers, method="POST")
            wait = 2 ** (attempt - 1)
            try:
                with urllib.request.urlopen(request, timeout=30) as response:
                    return json.load(response)["data"]
            except urllib.error.HTTPError as error:
                raw = error.read()
                if error.code not in (429, 502, 503, 504) or attempt == TRIES:
                    try:
                        answer = json.loads(raw)
                    except ValueError:
                        answer = {"code": f"HTTP {error.code}"}
                    raise ApiError(error.code, answer) from None
                wait = int(error.headers.get("Retry-After") or wait)
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                if attempt == TRIES:
                    raise
            time.sleep(min(wait, 30))

    def send(self, to, content, type_="notice"):
        key = secrets.token_hex(16)  # 一次业务操作一个键,重试时不变
        return self.post("/messages", {"to": [to], "content": content, "type": type_}, key)

    def pull(self, wait_s=20):
        return self.post("/reports/pull", {"limit": 500, "wait_s": wait_s})

    def ack(self, batch):
        return self.post("/reports/ack", {"batch": batch})


def verify(secret, id_, timestamp, signature, body, now=None):
    """推送验签:时间相差 5 分钟以内,且任一签名相符。"""
    if abs((now or time.time()) - int(timestamp)) > 300:
        return False
    key = base64.b64decode(secret[len("whsec_") :])
    expected = base64.b64encode(hmac.new(key, f"{id_}.{timestamp}.".encode() + body, hashlib.sha256).digest())
    return any(hmac.compare_digest(b"v1," + expected, one.encode()) for one in signature.split())


def main(command, *rest):
    if command == "verify":
        good = verify(*rest, sys.stdin.buffer.read())
        print("valid" if good else "invalid")
        return 0 if good else 1
    client = Client(os.environ["SMSGW_URL"], os.environ["SMSGW_KEY"], os.environ["SMSGW_SECRET"])
    if command == "send":
        print(client.send(*rest)["items"][0]["message_id"])
    else:
        pulled = client.pull()
        for item in pulled["items"]:  # 先处理并落库,再确认;按 event_id 去重
            print(json.dumps(item, ensure_ascii=False))
        if pulled["batch"]:
            client.ack(pulled["batch"])
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except ApiError as problem:
        sys.exit(str(problem))
