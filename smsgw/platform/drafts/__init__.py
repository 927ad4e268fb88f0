"""Drafts (草稿) of sendings: what people are about to send, step by step, until it becomes a task."""
