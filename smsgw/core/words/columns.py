"""Names of columns in customers' tables, as they write them: to be recognised, never translated."""

from __future__ import annotations

PHONE = r"手机|电话|号码|phone|mobile|msisdn|tel\b|cell|^number$|^to$"
"""A pattern of what a column with numbers is called …"""
BEST_PHONE = r"手机|phone|mobile|msisdn"
"""… and of what is believed first."""
NAME = ("姓名", "name")
"""What stands for a contact's name."""
