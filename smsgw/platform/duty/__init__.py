"""Who is on duty (值班), and whom people can turn to."""
