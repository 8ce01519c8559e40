"""Load for a SIP proxy: scenarios that SIPp plays (or, where it is missing, a small sender of our own), and what came of them."""
