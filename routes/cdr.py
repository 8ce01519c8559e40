"""Call records: INVITE and BYE are noted as they pass, and a timer writes the notes to SQL, a batch at a time."""

import json
import sqlite3
from contextlib import closing

from mqueue import mq_add, mq_fetch, mqk, mqv
from proxy import Request, modparam, route, timer

BATCH = 500  # rows of one transaction

modparam("mqueue", "db_url", "sqlite:///cdr-queue.db")
modparam("mqueue", "mqueue", "name=cdr;dbmode=1")


@route.request("INVITE", "BYE")
def note(request: Request) -> None:
    if request.method == "BYE" or request.to.tag is None:  # a re-INVITE is no new call
        mq_add("cdr", request.call_id, json.dumps([request.method, request.pv("$TS"), request.from_.uri, request.to.uri]))
    request.forward()


@route.request()
def other(request: Request) -> None:
    request.forward()


@timer(interval=1.0)
def write() -> None:
    rows = []
    while len(rows) < BATCH and mq_fetch("cdr") == 1:
        rows.append((mqk("cdr"), mqv("cdr")))
    try:
        with closing(sqlite3.connect("cdr.db")) as db, db:
            db.execute("CREATE TABLE IF NOT EXISTS cdr (call_id TEXT, method TEXT, time INTEGER, caller TEXT, callee TEXT)")
            db.executemany("INSERT INTO cdr VALUES (?, ?, ?, ?, ?)", [(key, *json.loads(value)) for key, value in rows])
    except sqlite3.Error:
        for key, value in rows:  # nothing was written: all of it waits for the next tick
            mq_add("cdr", key, value)
        raise
