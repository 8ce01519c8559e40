"""Sends every request on to where its Request-URI or Route says, and answers OPTIONS that mean the proxy itself.

    mqproxy run routes/relay.py        in one terminal
    mqproxy load invite                in another: calls through the proxy to a callee of SIPp

The proxy forwards statelessly and adds no Record-Route: it sees ACK and BYE of a call when the caller has it as outbound proxy.
"""

from proxy import Request, route


@route.request("OPTIONS")
def options(request: Request) -> None:
    if request.is_myself() and request.pv("$rU") is None:
        request.reply(200, "OK", headers={"Accept": "*/*"})
    else:
        request.forward()


@route.request()
def relay(request: Request) -> None:
    request.forward()
