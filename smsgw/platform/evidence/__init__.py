"""Evidence of results: carriers' PDUs, the daily roots over them, and their verification."""
