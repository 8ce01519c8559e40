"""What can keep a load from running.

LoadError      the load could not be run: a program, an address or a scenario is missing; the message holds the remedy
"""

from __future__ import annotations

from proxy.errors import ProxyError


class LoadError(ProxyError):
    """The load could not be run. Calls that failed are no error: they are in the Result."""
