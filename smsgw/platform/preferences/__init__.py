"""What people like: how lists are shown to them, and filters that they keep under a name."""
