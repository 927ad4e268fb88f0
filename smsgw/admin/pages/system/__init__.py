"""System and security (系统与安全)."""
