"""Message fallback (消息回落): another form of a message, once it is known that the one before has not arrived."""
