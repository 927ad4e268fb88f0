"""Channels and what decides about the way of a message."""
