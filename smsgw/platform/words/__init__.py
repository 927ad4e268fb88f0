"""The list of words that a text must not have (敏感词)."""
