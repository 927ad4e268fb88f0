// smsgw HTTP API 客户端示例(Node.js ≥ 18,仅标准库)。
//
// SMSGW_URL=https://sms.example.org SMSGW_KEY=… SMSGW_SECRET=… node smsgw_client.mjs send 13800138000 您好
// node smsgw_client.mjs pull
// node smsgw_client.mjs verify whsec_… WEBHOOK_ID WEBHOOK_TIMESTAMP WEBHOOK_SIGNATURE < 请求体
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const BASE = "/api/v1";
const TRIES = 5;

/** 平台拒绝了请求;code 见接口文档的结果码表。 */
export class ApiError extends Error {
  constructor(status, answer) {
    super(`${answer.code}: ${answer.message} (request_id ${answer.request_id})`);
    Object.assign(this, { status, code: answer.code, data: answer.data });
  }
}

export class Client {
  constructor(url, key, secret) {
    Object.assign(this, { url: url.replace(/\/$/, ""), key, secret });
  }

  /** 签名请求头;每次发送(包括重试)都重新签名。 */
  sign(method, path, body, idempotencyKey) {
    const timestamp = String(Math.floor(Date.now() / 1000));
    const nonce = randomBytes(16).toString("hex");
    const digest = createHash("sha256").update(body).digest("hex");
    const text = ["v2", method, path, "", timestamp, nonce, digest, idempotencyKey].join("\n");
    const signature = createHmac("sha256", this.secret).update(text).digest("hex");
    return { "X-Sms-Key": this.key, "X-Sms-Timestamp": timestamp, "X-Sms-Nonce": nonce,
             "X-Sms-Signature": `v2=${signature}` };
  }

  /** 超时、502、503、504 与 429 时以相同的幂等键重试,不会重复发送。 */
  async post(path, data, idempotencyKey = "") {
    const body = JSON.stringify(data);
    for (let attempt = 1; ; attempt++) {
      const headers = { "Content-Type": "application/json", ...this.sign("POST", BASE + path, body, idempotencyKey) };
      if (idempotencyKey) headers["Idempotency-Key"] = idempotencyKey;
      let wait = 2 ** (attempt - 1);
      try {
        const response = await fetch(this.url + BASE + path,
          { method: "POST", headers, body, signal: AbortSignal.timeout(30_000) });
        const answer = await response.json().catch(() => ({ code: `HTTP ${response.status}` }));
        if (response.ok) return answer.data;
        if (![429, 502, 503, 504].includes(response.status) || attempt === TRIES)
          throw new ApiError(response.status, answer);
        wait = Number(response.headers.get("retry-after")) || wait;
      } catch (error) {
        if (error instanceof ApiError || attempt === TRIES) throw error;
      }
      await sleep(Math.min(wait, 30) * 1000);
    }
  }

  send(to, content, type = "notice") {
    const key = randomBytes(16).toString("hex"); // 一次业务操作一个键,重试时不变
    return this.post("/messages", { to: [to], content, type }, key);
  }

  pull(waitSeconds = 20) {
    return this.post("/reports/pull", { limit: 500, wait_s: waitSeconds });
  }

  ack(batch) {
    return this.post("/reports/ack", { batch });
  }
}

/** 推送验签:时间相差 5 分钟以内,且任一签名相符。 */
export function verify(secret, id, timestamp, signature, body) {
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) return false;
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  const mac = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64");
  const expected = Buffer.from(`v1,${mac}`);
  return signature.split(" ").some((one) => {
    const given = Buffer.from(one);
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
}

async function main(command, ...rest) {
  if (command === "verify") {
    const chunks = [];
    for await (const chunk of process.stdin) chunks.push(chunk);
    const good = verify(...rest, Buffer.concat(chunks));
    console.log(good ? "valid" : "invalid");
    return good ? 0 : 1;
  }
  const client = new Client(process.env.SMSGW_URL, process.env.SMSGW_KEY, process.env.SMSGW_SECRET);
  if (command === "send") {
    console.log((await client.send(...rest)).items[0].message_id);
  } else {
    const pulled = await client.pull();
    for (const item of pulled.items) console.log(JSON.stringify(item)); // 先处理并落库,再确认;按 event_id 去重
    if (pulled.batch) await client.ack(pulled.batch);
  }
  return 0;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    process.exitCode = await main(...process.argv.slice(2));
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
