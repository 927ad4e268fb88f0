"""The first run, after the first administrator: what is there to send with."""
