"""Exclusions (剔除规则): which failures do not count against a channel, in versions that hold from a day on."""
