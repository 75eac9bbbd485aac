"""The protocol on asyncio and TLS: links, servers and channels."""
