"""What every HTTP edge shares: connections and their limits, bodies, uploads, whose a request is, headers, health."""
