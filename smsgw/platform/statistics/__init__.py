"""Figures of what was sent, as people ask for them."""
