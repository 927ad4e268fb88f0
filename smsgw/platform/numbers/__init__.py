"""What is known of numbers (空号、停机 …): learned from reports, or imported."""
