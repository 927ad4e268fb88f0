"""The nodes of the platform, as people see them."""
