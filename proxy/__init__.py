"""A SIP proxy for prototyping routing logic. Here are the names that a route file needs.

from proxy import Request, modparam, route, timer
"""

from proxy.declare import modparam, route, timer
from proxy.request import Request

__all__ = ["Request", "modparam", "route", "timer"]
