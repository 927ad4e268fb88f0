"""The fault register (故障登记): outages with the times that were promised, and what happened around them."""
