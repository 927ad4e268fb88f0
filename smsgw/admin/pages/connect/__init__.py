"""How the systems of others come in."""
