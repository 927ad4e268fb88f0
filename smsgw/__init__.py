"""smsgw: a self-hosted SMS gateway and platform."""

__version__ = "0.1.0"
