"""What messages are made of (消息内容)."""
