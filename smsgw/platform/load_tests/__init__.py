"""Load tests: a gateway of their own with simulated carriers, loaded, measured and cleared away."""
