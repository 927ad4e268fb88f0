"""Signatures and templates of accounts: applied for, reviewed, and registered with the carriers (报备)."""
