"""Acceptance: a call is checked, routed, split into parts and committed before it is answered."""
