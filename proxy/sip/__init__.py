"""SIP without I/O: messages, their grammar, replies and forwarding. The clock and random tokens are arguments."""
