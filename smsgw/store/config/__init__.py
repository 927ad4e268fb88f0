"""What operators configure, as it is stored and loaded."""
