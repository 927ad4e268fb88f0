"""A running node: its parts built, started, watched and stopped."""
