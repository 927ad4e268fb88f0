"""The doors: login, first password."""
