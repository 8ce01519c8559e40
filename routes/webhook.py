"""Registrations and calls to a webhook: each is POSTed as JSON, tried again with back-off, and put aside after MAX_ATTEMPTS."""

import json
import os
import time

import httpx

from mqueue import mq_add, mq_fetch, mq_size, mqk, mqv
from proxy import Request, modparam, route, timer

URL, MAX_ATTEMPTS = os.environ.get("WEBHOOK_URL", "http://127.0.0.1:8080/sip"), 5
modparam("mqueue", "db_url", "sqlite:///webhook.db")
for queue in ("hooks", "hooks.dead"):
    modparam("mqueue", "mqueue", f"name={queue};dbmode=1")


@route.request()
def note(request: Request) -> None:
    if request.method in ("REGISTER", "INVITE"):
        event = {"method": request.method, "from": request.from_.uri, "to": request.to.uri, "attempt": 0, "due": 0}
        mq_add("hooks", request.call_id, json.dumps(event))
    request.reply(200) if request.method == "REGISTER" else request.forward()


@timer(interval=0.2)
async def post() -> None:
    async with httpx.AsyncClient(timeout=5) as client:
        for _ in range(mq_size("hooks")):  # once round: what fails goes to the tail
            mq_fetch("hooks")
            key, event, delivered = mqk("hooks"), json.loads(mqv("hooks")), False
            try:
                if event["due"] <= time.time():
                    event.update(attempt=event["attempt"] + 1, due=time.time() + 0.5 * 2 ** event["attempt"])
                    delivered = (await client.post(URL, json={"call_id": key, **event})).is_success
            except httpx.HTTPError as error:
                event["error"] = repr(error)
            finally:  # also when the proxy is stopped meanwhile: the item is not lost
                if not delivered:
                    mq_add("hooks.dead" if event["attempt"] >= MAX_ATTEMPTS else "hooks", key, json.dumps(event))
