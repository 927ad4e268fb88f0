"""Where events of accounts go, and how their delivery stands."""
