"""Demo data: a believable history of weeks, made by a seed, for a database in which nothing has been sent.

One module a domain, in the order of ``fill.DOMAINS``; a new domain adds its module there. What has a service is made by
it, at the time at which it is said to have happened; rows of messages are those that a node would have left behind.
"""
