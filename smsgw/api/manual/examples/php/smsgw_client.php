<?php
// smsgw HTTP API 客户端示例(PHP ≥ 8.0,仅标准库)。
//
// SMSGW_URL=https://sms.example.org SMSGW_KEY=… SMSGW_SECRET=… php smsgw_client.php send 13800138000 您好
// php smsgw_client.php pull
// php smsgw_client.php verify whsec_… WEBHOOK_ID WEBHOOK_TIMESTAMP WEBHOOK_SIGNATURE < 请求体
declare(strict_types=1);

const BASE = '/api/v1';
const TRIES = 5;

/** 平台拒绝了请求;errorCode 见接口文档的结果码表。 */
final class ApiError extends RuntimeException
{
    public function __construct(public int $status, public string $errorCode, array $answer)
    {
        parent::__construct(sprintf('%s: %s (request_id %s)', $errorCode, $answer['message'] ?? '', $answer['request_id'] ?? ''));
    }
}

final class Client
{
    public function __construct(private string $url, private string $key, private string $secret)
    {
        $this->url = rtrim($url, '/');
    }

    /** 签名请求头;每次发送(包括重试)都重新签名。 */
    private function sign(string $method, string $path, string $body, string $idempotencyKey): array
    {
        $timestamp = (string) time();
        $nonce = bin2hex(random_bytes(16));
        $text = implode("\n", ['v2', $method, $path, '', $timestamp, $nonce, hash('sha256', $body), $idempotencyKey]);
        return [
            "X-Sms-Key: {$this->key}", "X-Sms-Timestamp: $timestamp", "X-Sms-Nonce: $nonce",
            'X-Sms-Signature: v2=' . hash_hmac('sha256', $text, $this->secret),
        ];
    }

    /** 超时、502、503、504 与 429 时以相同的幂等键重试,不会重复发送。 */
    private function post(string $path, array $data, ?string $idempotencyKey = null): array
    {
        $body = json_encode($data, JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR);
        for ($attempt = 1; ; $attempt++) {
            $headers = ['Content-Type: application/json', ...$this->sign('POST', BASE . $path, $body, $idempotencyKey ?? '')];
            if ($idempotencyKey !== null) {
                $headers[] = "Idempotency-Key: $idempotencyKey";
            }
            $context = stream_context_create(['http' => [
                'method' => 'POST', 'header' => $headers, 'content' => $body, 'timeout' => 30, 'ignore_errors' => true,
            ]]);
            $raw = @file_get_contents($this->url . BASE . $path, false, $context);
            $wait = 2 ** ($attempt - 1);
            if ($raw === false) {
                if ($attempt === TRIES) {
                    throw new RuntimeException('无法连接平台');
                }
            } else {
                $status = (int) explode(' ', $http_response_header[0])[1];
                $answer = json_decode($raw, true) ?? ['code' => "HTTP $status"];
                if ($status < 300) {
                    return $answer['data'];
                }
                if (!in_array($status, [429, 502, 503, 504], true) || $attempt === TRIES) {
                    throw new ApiError($status, $answer['code'], $answer);
                }
                foreach ($http_response_header as $line) {
                    if (stripos($line, 'Retry-After:') === 0) {
                        $wait = (int) trim(substr($line, 12));
                    }
                }
            }
            sleep(min($wait, 30));
        }
    }

    public function send(string $to, string $content, string $type = 'notice'): array
    {
        $key = bin2hex(random_bytes(16)); // 一次业务操作一个键,重试时不变
        return $this->post('/messages', ['to' => [$to], 'content' => $content, 'type' => $type], $key);
    }

    public function pull(int $waitSeconds = 20): array
    {
        return $this->post('/reports/pull', ['limit' => 500, 'wait_s' => $waitSeconds]);
    }

    public function ack(string $batch): array
    {
        return $this->post('/reports/ack', ['batch' => $batch]);
    }
}

/** 推送验签:时间相差 5 分钟以内,且任一签名相符。 */
function verify(string $secret, string $id, string $timestamp, string $signature, string $body): bool
{
    if (abs(time() - (int) $timestamp) > 300) {
        return false;
    }
    $key = base64_decode(substr($secret, strlen('whsec_')));
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
    foreach (explode(' ', $signature) as $one) {
        if (hash_equals($expected, $one)) {
            return true;
        }
    }
    return false;
}

function main(string $command, string ...$rest): int
{
    if ($command === 'verify') {
        $good = verify(...[...$rest, file_get_contents('php://stdin')]);
        echo $good ? "valid\n" : "invalid\n";
        return $good ? 0 : 1;
    }
    $client = new Client(getenv('SMSGW_URL'), getenv('SMSGW_KEY'), getenv('SMSGW_SECRET'));
    if ($command === 'send') {
        echo $client->send(...$rest)['items'][0]['message_id'], "\n";
    } else {
        $pulled = $client->pull();
        foreach ($pulled['items'] as $item) { // 先处理并落库,再确认;按 event_id 去重
            echo json_encode($item, JSON_UNESCAPED_UNICODE), "\n";
        }
        if ($pulled['batch'] !== null) {
            $client->ack($pulled['batch']);
        }
    }
    return 0;
}

if (realpath($_SERVER['SCRIPT_FILENAME']) === __FILE__) {
    try {
        exit(main(...array_slice($argv, 1)));
    } catch (RuntimeException $error) {
        fwrite(STDERR, $error->getMessage() . "\n");
        exit(1);
    }
}
