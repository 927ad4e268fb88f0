"""The database that a node stands on: its schema, what it promises, and what our role may do in it."""
