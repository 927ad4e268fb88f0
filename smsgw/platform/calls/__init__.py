"""How calls of the API have ended: counts, and the refused ones with what was sent, masked."""
