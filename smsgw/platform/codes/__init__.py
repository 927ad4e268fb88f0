"""Numbers that phones see: the plan of them, and what a move of one will touch."""
