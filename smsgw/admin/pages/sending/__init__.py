"""Sending (统一发送)."""
