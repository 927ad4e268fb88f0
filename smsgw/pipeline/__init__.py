"""Use cases of one message; the only code that changes message state."""
