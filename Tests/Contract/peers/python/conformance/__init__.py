"""What Tests/Contract/PROTOCOL.md asks of a peer."""
