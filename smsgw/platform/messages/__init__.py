"""Messages as people and customers look them up."""
