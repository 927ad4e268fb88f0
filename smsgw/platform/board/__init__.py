"""What the board shows that no other page has found out."""
