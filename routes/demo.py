"""Queues what comes in and drains the queue in a timer; what is queued at the end is in demo.db for the next start.

mqproxy run routes/demo.py                     in one terminal
sipsak -vv -s sip:somebody@127.0.0.1:5060      in another, or: mqproxy load message
"""

import logging

from mqueue import mq_add, mq_fetch, mq_size, mqv
from proxy import Request, modparam, route, timer

modparam("mqueue", "db_url", "sqlite:///demo.db")
modparam("mqueue", "mqueue", "name=events;size=10000;dbmode=1")

AT_ONCE = 500  # items that one tick takes: a faster sender makes the queue grow, and at 10,000 the oldest go
log = logging.getLogger("demo")


@route.request("MESSAGE", "OPTIONS", "REGISTER")
def accept(request: Request) -> None:
    mq_add("events", request.call_id, f"{request.method} {request.pv('$fu')}")
    request.reply(200, "OK")


@route.request("INVITE", "BYE", "CANCEL")
def call(request: Request) -> None:
    contact = request.expand("<sip:$Ri:$Rp;transport=$proto>")
    request.reply(200, "OK", headers={"Contact": contact} if request.method == "INVITE" else {})


@timer(interval=0.5)
async def drain() -> None:
    taken, last = 0, None
    while taken < AT_ONCE and mq_fetch("events") == 1:
        taken, last = taken + 1, mqv("events")
    if taken:
        log.info("%d events taken, %d left; the last was %s", taken, mq_size("events"), last)
