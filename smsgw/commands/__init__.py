"""smsgwctl, one module a command group."""
