"""The statements of messages and their parts: the hot SQL."""
