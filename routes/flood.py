"""Flood alert: every source is counted away from the SIP path, and one that sends too much is logged and refused for a while."""

import logging
import time
from collections import Counter

from mqueue import mq_add, mq_fetch, mqk
from proxy import Request, modparam, route, timer

LIMIT = 100  # requests of one source in a second
BAN = 30.0  # seconds that a flooder is refused

modparam("mqueue", "mqueue", "name=seen;size=50000")  # a flood cannot fill the memory: the oldest go

banned: dict[str, float] = {}  # source → when its ban ends


@route.request()
def accept(request: Request) -> None:
    source = request.source[0]
    if banned.get(source, 0.0) > time.monotonic():
        request.drop()
        return
    mq_add("seen", source, request.method)
    request.reply(200)


@timer(interval=1.0)
async def count() -> None:
    sources: Counter[str] = Counter()
    while mq_fetch("seen") == 1:
        sources[mqk("seen") or ""] += 1
    now = time.monotonic()
    for source in [source for source, end in banned.items() if end <= now]:
        del banned[source]
    for source, requests in sources.items():
        if requests > LIMIT:
            banned[source] = now + BAN
            logging.getLogger("flood").warning("%s sent %d requests in a second: refused for %g s", source, requests, BAN)
