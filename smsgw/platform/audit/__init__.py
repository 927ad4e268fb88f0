"""The audit log for people: what it says, and that somebody has looked."""
