"""Engines: where the items of a queue live."""
