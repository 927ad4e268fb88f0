"""Policies: how often, when and with which signatures is sent; for all, an account or a type."""
