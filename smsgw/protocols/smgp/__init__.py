"""Short Message Gateway Protocol 1.3 and 3.0 (China Telecom)."""
