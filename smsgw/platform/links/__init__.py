"""Short links and clicks on them."""
