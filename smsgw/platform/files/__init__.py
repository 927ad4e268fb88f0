"""Stored files: content-addressed on the disk, each with an owner, a kind and an end."""
