"""System and security."""
