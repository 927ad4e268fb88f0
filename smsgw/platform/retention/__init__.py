"""When numbers and texts go from records (数据保留与脱敏): the rules, by two persons, and what they come to."""
