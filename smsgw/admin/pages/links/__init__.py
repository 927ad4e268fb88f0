"""Links: what carriers have on file."""
