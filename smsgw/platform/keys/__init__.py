"""API keys of accounts: made, narrowed, rotated, stopped."""
