"""Whole numbers where pages show masked ones: by right, with a reason, counted, and written down."""
