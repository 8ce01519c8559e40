#!/usr/bin/env python3
"""CPU seconds per 10,000 requests of a SIP server beside Kamailio 5.6, in turn on one machine.

    beside.py [-n REQUESTS] [-w WINDOW] [-r ROUNDS] [--method MESSAGE] -- COMMAND ...

COMMAND starts the server under test in the foreground on udp:127.0.0.12:5072 (its children are counted too). It must answer
every request with 200. Kamailio runs twice: a KEMI Python route doing mq_add + 200 with an rtimer that drains, and the native
script doing the same. Needs Debian's kamailio, kamailio-python3-modules, gcc. Prints one JSON object; ratio < 1: cheaper than Kamailio.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
COMMON = """#!KAMAILIO
debug=0
log_stderror=yes
fork=yes
children=1
disable_tcp=yes
auto_aliases=no
dns=no
rev_dns=no
listen=udp:127.0.0.13:5073
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "mqueue.so"
loadmodule "rtimer.so"
modparam("mqueue", "mqueue", "name=q1")
modparam("rtimer", "timer", "name=drain;interval=100000u;mode=1;")
modparam("rtimer", "exec", "timer=drain;route={route}")
"""
NATIVE = (
    COMMON.format(route="DRAIN")
    + """
max_while_loops=10000000
request_route { mq_add("q1", "$ci", "$rm|$fU"); sl_send_reply("200", "OK"); exit; }
route[DRAIN] { while (mq_fetch("q1")) { $var(k) = $mqk(q1); } }
"""
)
KEMI = (
    COMMON.format(route="mq_drain")
    + """
loadmodule "app_python3.so"
modparam("app_python3", "load", "{script}")
cfgengine "python"
"""
)
SCRIPT = """import KSR as KSR
def mod_init():
    return kamailio()
class kamailio:
    def child_init(self, rank):
        return 0
    def ksr_request_route(self, msg):
        KSR.mqueue.mq_add("q1", KSR.pv.get("$ci"), KSR.pv.gete("$rm") + "|" + KSR.pv.gete("$fU"))
        KSR.sl.sl_send_reply(200, "OK")
        return 1
    def mq_drain(self, msg, evname):
        while KSR.mqueue.mq_fetch("q1") > 0:
            KSR.mqueue.mqk_get("q1")
        return 1
"""


def tree(pid: int) -> list[int]:
    """A process and its children."""
    pids = [pid]
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        pids += tree(int(child))
    return pids


def cpu(pid: int) -> float:
    """CPU seconds that a process and its children have used."""
    tasks = [task for p in tree(pid) for task in pathlib.Path(f"/proc/{p}/task").iterdir()]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def blasted(blast: str, address: tuple[str, int], opts: argparse.Namespace, requests: int, window: int) -> list[float]:
    """What sipblast prints after so many requests: got, not 200, lost, seconds, requests/s, its own CPU seconds."""
    command = [blast, address[0], str(address[1]), opts.method, str(requests), str(window)]
    return [float(word) for word in subprocess.run(command, capture_output=True, text=True).stdout.split()]


def measure(
    command: list[str], address: tuple[str, int], opts: argparse.Namespace, blast: str, cwd: pathlib.Path | None
) -> dict[str, float]:
    """Start a server, load it, and stop it."""
    server = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            time.sleep(0.1)
            if blasted(blast, address, opts, 1, 1)[:1] == [1.0]:
                break
        else:
            raise SystemExit(f"no answer from {address}: {command}")
        blasted(blast, address, opts, 5000, opts.window)
        before = cpu(server.pid)
        got, bad, lost, _, rate, _ = blasted(blast, address, opts, opts.n, opts.window)
        time.sleep(0.5)
        used = cpu(server.pid) - before
        return {"cpu_s_per_10k": used / got * 1e4, "requests_per_s": rate, "not_200": bad, "lost": lost}
    finally:
        server.terminate()
        server.wait()


def kamailio(cfg: str, work: pathlib.Path) -> list[str]:
    """The command that runs Kamailio in the foreground."""
    return ["kamailio", "-f", str(work / cfg), "-DD", "-E", "-Y", str(work), "-P", str(work / "k.pid"), "-m", "512", "-M", "64"]


def main() -> None:
    """Measure the three servers in turn, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=100_000)
    parser.add_argument("-w", dest="window", type=int, default=60)
    parser.add_argument("-r", dest="rounds", type=int, default=3)
    parser.add_argument("--method", default="MESSAGE")
    parser.add_argument("command", nargs="+")
    opts = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="beside"))
    blast = str(work / "sipblast")
    subprocess.run(["gcc", "-O2", "-w", "-o", blast, str(HERE / "sipblast.c")], check=True)
    (work / "script.py").write_text(SCRIPT)
    (work / "native.cfg").write_text(NATIVE)
    (work / "kemi.cfg").write_text(KEMI.replace("{script}", str(work / "script.py")))
    ours, theirs = ("127.0.0.12", 5072), ("127.0.0.13", 5073)
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "kamailio_kemi_python": [], "kamailio_native": []}
    for _ in range(opts.rounds):
        runs["ours"].append(measure(opts.command, ours, opts, blast, None))
        runs["kamailio_kemi_python"].append(measure(kamailio("kemi.cfg", work), theirs, opts, blast, work))
        runs["kamailio_native"].append(measure(kamailio("native.cfg", work), theirs, opts, blast, work))
    shutil.rmtree(work, ignore_errors=True)
    middle = {name: {key: round(statistics.median(run[key] for run in rounds), 4) for key in rounds[0]} for name, rounds in runs.items()}
    own = middle["ours"]["cpu_s_per_10k"]
    ratios = {f"ratio_to_{name}": round(own / middle[f"kamailio_{name}"]["cpu_s_per_10k"], 3) for name in ("kemi_python", "native")}
    print(json.dumps({**middle, **ratios}, indent=2))


if __name__ == "__main__":
    main()
