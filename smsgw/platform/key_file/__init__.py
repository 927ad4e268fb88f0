"""The key file: which key seals stored secrets and signs the audit log, and its replacement while nodes run."""
