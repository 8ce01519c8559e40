"""Transports carry bytes between sockets and the receiver; they know nothing of transactions."""
