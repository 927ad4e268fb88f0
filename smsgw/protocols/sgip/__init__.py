"""Short Message Gateway Interface Protocol 1.2 (China Unicom)."""
