"""The first page of who has logged in."""
