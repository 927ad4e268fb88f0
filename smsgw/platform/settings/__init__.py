"""Settings that operators change while the system runs."""
