"""Carrier channels as operators have them, and what carriers say that fits nothing."""
