"""What waits to be sent, as people see it."""
