"""What time does to messages and tables, and what watches the node."""
