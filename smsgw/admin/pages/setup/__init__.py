"""The first run after the first administrator: channel, account and signature, a test."""
