"""The wire, sans-IO: field tables, framing, sessions. Standard library only."""
