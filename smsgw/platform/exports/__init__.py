"""Exports: a list taken away as a file, by a durable job, behind a link that opens once."""
