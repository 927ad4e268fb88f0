"""Backups (备份): made and tried by command, entered, shown on their page, and missed by an alarm."""
