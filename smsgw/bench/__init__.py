"""What ``smsgwctl bench`` runs: the product as separate processes on one machine, under load, counted and timed.

``profiles`` are loads by name. ``stage`` brings up daemon, database and simulated carriers; ``load`` posts messages
and pulls their reports, ``partner`` submits them over binds, and ``faults`` kills something meanwhile; ``processes``
says who used how much CPU; ``result`` holds everybody's counts against each other, ``report`` prints it for people.
"""
