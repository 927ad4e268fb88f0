"""What ``smsgwctl bench`` runs: the product as separate processes on one machine, under load, counted and timed.

``stage`` brings up daemon, database and simulated carriers; ``load`` posts messages and pulls their reports;
``processes`` says who used how much CPU; ``result`` holds everybody's counts against each other.
"""
