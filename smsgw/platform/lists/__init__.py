"""Numbers that get nothing, that are treated apart, and whose owners have complained."""
