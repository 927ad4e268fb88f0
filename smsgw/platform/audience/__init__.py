"""Whom an account writes to: contacts, and audiences made of them."""
