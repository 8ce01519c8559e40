"""MESSAGE to an outside gateway: accepted at once (202), handed over by HTTP in the background, some at a time."""

import asyncio
import json
import logging
import os

import httpx

from mqueue import mq_add, mq_fetch, mqk, mqv
from proxy import Request, modparam, route, timer

URL = os.environ.get("GATEWAY_URL", "http://127.0.0.1:8080/sms")
AT_ONCE = 20  # requests to the gateway that are open together
log = logging.getLogger("gateway")
modparam("mqueue", "db_url", "sqlite:///gateway.db")
modparam("mqueue", "mqueue", "name=sms;size=100000;dbmode=1")


@route.request("MESSAGE")
def accept(request: Request) -> None:
    message = {"from": request.pv("$fU"), "to": request.pv("$rU"), "text": request.body.decode("utf-8", "replace")}
    mq_add("sms", request.call_id, json.dumps(message))
    request.reply(202)


@timer(interval=0.2)
async def hand_over() -> None:
    async with httpx.AsyncClient(timeout=5) as client:
        while batch := [(mqk("sms"), mqv("sms")) for _ in range(AT_ONCE) if mq_fetch("sms") == 1]:
            refused = batch
            try:
                answers = await asyncio.gather(*(client.post(URL, content=text) for _, text in batch), return_exceptions=True)
                refused = [item for item, answer in zip(batch, answers, strict=True) if not getattr(answer, "is_success", False)]
            finally:  # also when the proxy is stopped meanwhile: the items are not lost
                for key, text in refused:
                    mq_add("sms", key, text)
            if refused:
                log.warning("%d of %d not taken by %s: tried again", len(refused), len(batch), URL)
                return
