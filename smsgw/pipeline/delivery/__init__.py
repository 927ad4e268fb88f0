"""Events on their way to customers: reports, replies and notices, pushed or pulled."""
