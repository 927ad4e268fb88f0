"""Alarms for people: what stands, what was, and who looks after it."""
