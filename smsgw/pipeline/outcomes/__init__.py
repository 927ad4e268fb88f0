"""What becomes of parts: answers, reports, replies and decisions, made durable in the order they came."""
