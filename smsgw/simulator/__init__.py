"""Scriptable carriers and the load generator."""
