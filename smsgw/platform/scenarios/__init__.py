"""Scenarios (业务场景): what a kind of sending always has; who sends picks one, on a page or by its id."""
