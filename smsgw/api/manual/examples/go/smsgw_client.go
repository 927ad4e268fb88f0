// smsgw HTTP API 客户端示例(Go ≥ 1.18,仅标准库)。
//
// SMSGW_URL=https://sms.example.org SMSGW_KEY=… SMSGW_SECRET=… go run smsgw_client.go send 13800138000 您好
// go run smsgw_client.go pull
// go run smsgw_client.go verify whsec_… WEBHOOK_ID WEBHOOK_TIMESTAMP WEBHOOK_SIGNATURE < 请求体
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	base  = "/api/v1"
	tries = 5
)

// Client 以一个密钥调用接口。
type Client struct {
	URL, Key, Secret string
	http             http.Client
}

// APIError:平台拒绝了请求;Code 见接口文档的结果码表。
type APIError struct {
	Status             int
	Code               string
	Message, RequestID string
}

func (e *APIError) Error() string {
	return fmt.Sprintf("%s: %s (request_id %s)", e.Code, e.Message, e.RequestID)
}

func token() string {
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		panic(err)
	}
	return hex.EncodeToString(raw)
}

// sign 设置签名请求头;每次发送(包括重试)都重新签名。幂等键也在签名之内,须先设置。
func (c *Client) sign(request *http.Request, path string, body []byte) {
	timestamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), token()
	digest := sha256.Sum256(body)
	text := strings.Join([]string{"v2", request.Method, path, "", timestamp, nonce, hex.EncodeToString(digest[:]),
		request.Header.Get("Idempotency-Key")}, "\n")
	mac := hmac.New(sha256.New, []byte(c.Secret))
	mac.Write([]byte(text))
	request.Header.Set("X-Sms-Key", c.Key)
	request.Header.Set("X-Sms-Timestamp", timestamp)
	request.Header.Set("X-Sms-Nonce", nonce)
	request.Header.Set("X-Sms-Signature", "v2="+hex.EncodeToString(mac.Sum(nil)))
}

// post:超时、502、503、504 与 429 时以相同的幂等键重试,不会重复发送。
func (c *Client) post(path string, data any, idempotencyKey string, result any) error {
	body, err := json.Marshal(data)
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		request, err := http.NewRequest("POST", strings.TrimSuffix(c.URL, "/")+base+path, bytes.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		if idempotencyKey != "" {
			request.Header.Set("Idempotency-Key", idempotencyKey)
		}
		c.sign(request, base+path, body)
		wait := 1 << (attempt - 1)
		response, err := c.http.Do(request)
		if err == nil {
			var answer struct {
				Code      string          `json:"code"`
				Message   string          `json:"message"`
				RequestID string          `json:"request_id"`
				Data      json.RawMessage `json:"data"`
			}
			raw, readErr := io.ReadAll(io.LimitReader(response.Body, 16<<20))
			response.Body.Close()
			if err = readErr; err == nil {
				if json.Unmarshal(raw, &answer) != nil {
					answer.Code = "HTTP " + strconv.Itoa(response.StatusCode)
				}
				if response.StatusCode < 300 {
					return json.Unmarshal(answer.Data, result)
				}
				err = &APIError{response.StatusCode, answer.Code, answer.Message, answer.RequestID}
				switch response.StatusCode {
				case 429, 502, 503, 504:
					if after, bad := strconv.Atoi(response.Header.Get("Retry-After")); bad == nil {
						wait = after
					}
				default:
					return err
				}
			}
		}
		if attempt == tries {
			return err
		}
		if wait > 30 {
			wait = 30
		}
		time.Sleep(time.Duration(wait) * time.Second)
	}
}

// Send 发送一条短信,返回消息编号。
func (c *Client) Send(to, content string) (string, error) {
	var sent struct {
		Items []struct {
			MessageID string `json:"message_id"`
		} `json:"items"`
	}
	data := map[string]any{"to": []string{to}, "content": content, "type": "notice"}
	key := token() // 一次业务操作一个键,重试时不变
	if err := c.post("/messages", data, key, &sent); err != nil {
		return "", err
	}
	return sent.Items[0].MessageID, nil
}

// Pulled 是一批状态报告;没有时 Batch 为空。
type Pulled struct {
	Batch string            `json:"batch"`
	Items []json.RawMessage `json:"items"`
}

// Pull 取一批状态报告。
func (c *Client) Pull(waitSeconds int) (pulled Pulled, err error) {
	err = c.post("/reports/pull", map[string]int{"limit": 500, "wait_s": waitSeconds}, "", &pulled)
	return pulled, err
}

// Ack 确认一批状态报告。
func (c *Client) Ack(batch string) error {
	var acknowledged json.RawMessage
	return c.post("/reports/ack", map[string]string{"batch": batch}, "", &acknowledged)
}

// Verify 推送验签:时间相差 5 分钟以内,且任一签名相符。
func Verify(secret, id, timestamp, signature string, body []byte) bool {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	expected := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	for _, one := range strings.Fields(signature) {
		if hmac.Equal(expected, []byte(one)) {
			return true
		}
	}
	return false
}

func run(arguments []string) error {
	client := &Client{URL: os.Getenv("SMSGW_URL"), Key: os.Getenv("SMSGW_KEY"), Secret: os.Getenv("SMSGW_SECRET"),
		http: http.Client{Timeout: 30 * time.Second}}
	switch {
	case len(arguments) == 5 && arguments[0] == "verify":
		body, err := io.ReadAll(os.Stdin)
		if err != nil {
			return err
		}
		if !Verify(arguments[1], arguments[2], arguments[3], arguments[4], body) {
			fmt.Println("invalid")
			os.Exit(1)
		}
		fmt.Println("valid")
	case len(arguments) == 3 && arguments[0] == "send":
		id, err := client.Send(arguments[1], arguments[2])
		if err != nil {
			return err
		}
		fmt.Println(id)
	case len(arguments) == 1 && arguments[0] == "pull":
		pulled, err := client.Pull(20)
		if err != nil {
			return err
		}
		for _, item := range pulled.Items { // 先处理并落库,再确认;按 event_id 去重
			fmt.Println(string(item))
		}
		if pulled.Batch != "" {
			return client.Ack(pulled.Batch)
		}
	default:
		return fmt.Errorf("用法:send 号码 内容 | pull | verify 密钥 编号 时间戳 签名")
	}
	return nil
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
