"""What every HTTP edge shares: connections and their limits, whose a request is, health."""
