"""A real Kamailio with mqueue and db_sqlite: started with some queues, runs statements of its native script once, and is stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.programs import need

_CONFIGURATION = """#!KAMAILIO
children=1
auto_aliases=no
dns=no
rev_dns=no
log_stderror=yes
listen=udp:127.0.0.1:{port}
mpath="{modules}/"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "cfgutils.so"
loadmodule "db_sqlite.so"
loadmodule "mqueue.so"
loadmodule "rtimer.so"
modparam("mqueue", "db_url", "sqlite:///{database}")
{queues}
modparam("rtimer", "timer", "name=once;interval=20000u;mode=1;")
modparam("rtimer", "exec", "timer=once;route=ONCE")
request_route {{ exit; }}
route[ONCE] {{
    {statements}
    xlog("L_ERR", "ALL DONE\\n");
    sleep("3600");  # a process that is killed with mqueue's lock in its hand hangs the shutdown
}}
"""
_PATIENCE = 30.0  # seconds until a Kamailio that does not get ready, or does not stop, is a failure
_TRIES = 3  # a Kamailio that hangs in its shutdown is killed, and another one started on what was there before


def run(directory: Path, database: Path, queues: list[str], statements: str = "") -> str:
    """What Kamailio logged while it loaded `queues` from `database`, executed `statements` and stopped, saving."""
    kamailio = need("kamailio")
    modules = [*Path("/usr/lib").glob("*/kamailio/modules/db_sqlite.so")] or [Path(need("kamailio-sqlite-modules"))]
    configuration, log = directory / "kamailio.cfg", directory / "kamailio.log"
    defined = "\n".join(f'modparam("mqueue", "mqueue", "{queue}")' for queue in queues)
    configuration.write_text(
        _CONFIGURATION.format(port=_free_port(), modules=modules[0].parent, database=database, queues=defined, statements=statements)
    )
    command = [kamailio, "-f", str(configuration), "-DD", "-E", "-Y", str(directory), "-P", str(directory / "kamailio.pid"), "-m", "64"]
    before = database.read_bytes() if database.exists() else None
    for _ in range(_TRIES):
        with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out, cwd=directory, start_new_session=True) as process:
            try:
                _wait_for("ALL DONE", log, process)
                if _stopped(process):
                    return log.read_text(errors="replace")
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        database.with_name(f"{database.name}-journal").unlink(missing_ok=True)  # as if that Kamailio had not been
        database.unlink(missing_ok=True) if before is None else database.write_bytes(before)
    pytest.fail(f"Kamailio did not stop, {_TRIES} times")


def _stopped(process: subprocess.Popen[bytes]) -> bool:
    """SIGTERM, and again to all its processes: now and then one misses the first, and now and then Kamailio hangs in its shutdown."""
    process.send_signal(signal.SIGTERM)
    for _ in range(int(_PATIENCE / _TRIES)):
        try:
            process.wait(1)
            return True
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
    return False


def _wait_for(text: str, log: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while text not in log.read_text(errors="replace"):
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"Kamailio did not get as far as {text!r}:\n{log.read_text(errors='replace')}")
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
