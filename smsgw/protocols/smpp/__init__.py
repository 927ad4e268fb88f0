"""Short Message Peer to Peer, versions 3.4 and 5.0."""
