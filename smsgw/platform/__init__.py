"""The business domains: one folder each, no HTTP in them."""
