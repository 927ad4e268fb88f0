"""Sending accounts: their tree, their limits and extensions, their money."""
