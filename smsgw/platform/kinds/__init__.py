"""Business kinds that the operator makes beside the fixed types: named once, renamed for people, retired."""
