"""How the table of addresses names places, and what those are called that are none of China's provinces."""

from __future__ import annotations

CHINA = "中国"
PROVINCE, CITY = "省", "市"
"""End the names of provinces and cities there, but not of what numbers' home areas are called."""
ABROAD = "境外"
