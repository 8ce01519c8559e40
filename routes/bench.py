"""What the benchmark runs: every request is queued and answered 200, a timer drains the queue."""

from mqueue import mq_add, mq_fetch, mqk
from proxy import Request, modparam, route, timer

modparam("mqueue", "mqueue", "name=q1")


@route.request()
def accept(request: Request) -> None:
    mq_add("q1", request.call_id, f"{request.method}|{request.pv('$fU')}")
    request.reply(200, "OK")


@timer(interval=0.1)
async def drain() -> None:
    while mq_fetch("q1") == 1:
        mqk("q1")
