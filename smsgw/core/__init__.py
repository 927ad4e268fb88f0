"""The domain, pure: no asyncio, no IO, no clock."""
