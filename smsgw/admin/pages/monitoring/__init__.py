"""What is wrong and who looks after it."""
