// smsgw HTTP API 客户端示例(Java ≥ 17,仅标准库)。
//
// SMSGW_URL=https://sms.example.org SMSGW_KEY=… SMSGW_SECRET=… java SmsgwClient.java send 13800138000 您好
// java SmsgwClient.java pull
// java SmsgwClient.java verify whsec_… WEBHOOK_ID WEBHOOK_TIMESTAMP WEBHOOK_SIGNATURE < 请求体
//
// 标准库没有 JSON 解析器,本例用正则表达式取所需字段;实际项目请改用 Jackson 或 Gson。
import java.io.IOException;
import java.io.PrintStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public final class SmsgwClient {
    private static final String BASE = "/api/v1";
    private static final int TRIES = 5;
    private static final Set<Integer> AGAIN = Set.of(429, 502, 503, 504);
    private static final SecureRandom RANDOM = new SecureRandom();

    private final HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(10)).build();
    private final String url;
    private final String key;
    private final String secret;

    public SmsgwClient(String url, String key, String secret) {
        this.url = url.replaceAll("/$", "");
        this.key = key;
        this.secret = secret;
    }

    /** 平台拒绝了请求;code 见接口文档的结果码表。 */
    public static final class ApiException extends IOException {
        public final int status;
        public final String code;

        ApiException(int status, String answer) {
            super("%s: %s (request_id %s)".formatted(text(answer, "code"), text(answer, "message"), text(answer, "request_id")));
            this.status = status;
            this.code = text(answer, "code");
        }
    }

    private static String token() {
        byte[] raw = new byte[16];
        RANDOM.nextBytes(raw);
        return HexFormat.of().formatHex(raw);
    }

    private static byte[] hmac(byte[] key, byte[] data) throws GeneralSecurityException {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return mac.doFinal(data);
    }

    /** 签名请求头;每次发送(包括重试)都重新签名。 */
    private HttpRequest.Builder signed(String path, byte[] body, String idempotencyKey) throws GeneralSecurityException {
        String timestamp = String.valueOf(Instant.now().getEpochSecond());
        String nonce = token();
        String digest = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(body));
        String text = String.join("\n", "v2", "POST", path, "", timestamp, nonce, digest,
                idempotencyKey == null ? "" : idempotencyKey);
        byte[] mac = hmac(secret.getBytes(StandardCharsets.UTF_8), text.getBytes(StandardCharsets.UTF_8));
        return HttpRequest.newBuilder(URI.create(url + path)).timeout(Duration.ofSeconds(30))
                .header("Content-Type", "application/json").header("X-Sms-Key", key)
                .header("X-Sms-Timestamp", timestamp).header("X-Sms-Nonce", nonce)
                .header("X-Sms-Signature", "v2=" + HexFormat.of().formatHex(mac))
                .POST(HttpRequest.BodyPublishers.ofByteArray(body));
    }

    /** 超时、502、503、504 与 429 时以相同的幂等键重试,不会重复发送。返回 JSON 文本。 */
    private String post(String path, String json, String idempotencyKey)
            throws IOException, GeneralSecurityException, InterruptedException {
        byte[] body = json.getBytes(StandardCharsets.UTF_8);
        for (int attempt = 1; ; attempt++) {
            HttpRequest.Builder request = signed(BASE + path, body, idempotencyKey);
            if (idempotencyKey != null) {
                request.header("Idempotency-Key", idempotencyKey);
            }
            long wait = 1L << (attempt - 1);
            try {
                HttpResponse<String> response =
                        http.send(request.build(), HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
                if (response.statusCode() < 300) {
                    return response.body();
                }
                if (!AGAIN.contains(response.statusCode()) || attempt == TRIES) {
                    throw new ApiException(response.statusCode(), response.body());
                }
                wait = response.headers().firstValueAsLong("Retry-After").orElse(wait);
            } catch (ApiException refused) {
                throw refused;
            } catch (IOException lost) {
                if (attempt == TRIES) {
                    throw lost;
                }
            }
            Thread.sleep(Math.min(wait, 30) * 1000);
        }
    }

    /** 发送一条短信,返回消息编号。 */
    public String send(String to, String content) throws IOException, GeneralSecurityException, InterruptedException {
        String body = "{\"to\": [%s], \"content\": %s, \"type\": \"notice\"}".formatted(quote(to), quote(content));
        return text(post("/messages", body, token()), "message_id"); // 一次业务操作一个键,重试时不变
    }

    /** 取一批状态报告;返回 JSON 文本,其中 batch 用于确认。 */
    public String pull(int waitSeconds) throws IOException, GeneralSecurityException, InterruptedException {
        return post("/reports/pull", "{\"limit\": 500, \"wait_s\": %d}".formatted(waitSeconds), null);
    }

    /** 确认一批状态报告。 */
    public void ack(String batch) throws IOException, GeneralSecurityException, InterruptedException {
        post("/reports/ack", "{\"batch\": %s}".formatted(quote(batch)), null);
    }

    /** 推送验签:时间相差 5 分钟以内,且任一签名相符。 */
    public static boolean verify(String secret, String id, String timestamp, String signature, byte[] body)
            throws GeneralSecurityException {
        if (Math.abs(Instant.now().getEpochSecond() - Long.parseLong(timestamp)) > 300) {
            return false;
        }
        byte[] head = (id + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8);
        byte[] data = new byte[head.length + body.length];
        System.arraycopy(head, 0, data, 0, head.length);
        System.arraycopy(body, 0, data, head.length, body.length);
        byte[] key = Base64.getDecoder().decode(secret.substring("whsec_".length()));
        byte[] expected = ("v1," + Base64.getEncoder().encodeToString(hmac(key, data))).getBytes(StandardCharsets.UTF_8);
        for (String one : signature.split(" ")) {
            if (MessageDigest.isEqual(expected, one.getBytes(StandardCharsets.UTF_8))) {
                return true;
            }
        }
        return false;
    }

    private static String quote(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < 0x20) {
                out.append("\\u%04x".formatted((int) c));
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }

    private static String text(String json, String field) {
        Matcher found = Pattern.compile("\"" + field + "\"\\s*:\\s*\"((?:[^\"\\\\]|\\\\.)*)\"").matcher(json);
        return found.find() ? found.group(1) : "";
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        if (arguments.length == 5 && arguments[0].equals("verify")) {
            boolean good = verify(arguments[1], arguments[2], arguments[3], arguments[4], System.in.readAllBytes());
            out.println(good ? "valid" : "invalid");
            System.exit(good ? 0 : 1);
        }
        SmsgwClient client = new SmsgwClient(
                System.getenv("SMSGW_URL"), System.getenv("SMSGW_KEY"), System.getenv("SMSGW_SECRET"));
        try {
            if (arguments.length == 3 && arguments[0].equals("send")) {
                out.println(client.send(arguments[1], arguments[2]));
            } else {
                String pulled = client.pull(20);
                out.println(pulled); // 先处理并落库,再确认;按 event_id 去重
                String batch = text(pulled, "batch");
                if (!batch.isEmpty()) {
                    client.ack(batch);
                }
            }
        } catch (ApiException refused) {
            System.err.println(refused.getMessage());
            System.exit(1);
        }
    }
}
