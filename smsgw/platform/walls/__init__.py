"""Screens on walls that show the board without a person."""
