"""What is written down about the running: the audit log with its chain, and the alarms."""
