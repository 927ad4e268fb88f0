"""Logins of accounts for SMPP and CMPP, and their binds."""
