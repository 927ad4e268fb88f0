"""Figures for people and customers: by day of acceptance, and of the last minutes."""
