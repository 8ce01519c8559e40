#!/usr/bin/env python3
"""CPU seconds per 10,000 requests of a SIP server beside Kamailio 5.6, in turn on one machine.

    beside.py [-n REQUESTS] [-w WINDOW] [-r ROUNDS] [--method MESSAGE] -- COMMAND ...

COMMAND starts the server under test in the foreground on udp:127.0.0.12:5072 (its children are counted too). It must answer
every request with 200. Kamailio runs twice: a KEMI Python route doing mq_add + 200 with an rtimer that drains, and the native
script doing the same. Needs Debian's kamailio, kamailio-python3-modules, gcc. Prints one JSON object; ratio < 1: cheaper than Kamailio.
"""

import argparse, json, os, pathlib, shutil, statistics, subprocess, tempfile, time

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


def tree(pid):
    pids = [pid]
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        pids += tree(int(child))
    return pids


def cpu(pid):
    total = 0
    for p in tree(pid):
        for task in os.listdir(f"/proc/{p}/task"):
            total += int(pathlib.Path(f"/proc/{p}/task/{task}/schedstat").read_text().split()[0])
    return total / 1e9


def measure(command, host, port, opts, blast, cwd):
    server = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            time.sleep(0.1)
            probe = subprocess.run([blast, host, str(port), opts.method, "1", "1"], capture_output=True, text=True).stdout.split()
            if probe and probe[0] == "1":
                break
        else:
            raise SystemExit(f"no answer from {host}:{port}: {command}")
        subprocess.run([blast, host, str(port), opts.method, "5000", str(opts.window)], capture_output=True)
        before = cpu(server.pid)
        got, bad, lost, _, rate, _ = subprocess.run(
            [blast, host, str(port), opts.method, str(opts.n), str(opts.window)], capture_output=True, text=True, check=True
        ).stdout.split()
        time.sleep(0.5)
        used = cpu(server.pid) - before
        return {"cpu_s_per_10k": used / int(got) * 1e4, "requests_per_s": float(rate), "not_200": int(bad), "lost": int(lost)}
    finally:
        server.terminate()
        server.wait()


def main():
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
    kam = lambda cfg: ["kamailio", "-f", str(work / cfg), "-DD", "-E", "-Y", str(work), "-P", str(work / "k.pid"), "-m", "512", "-M", "64"]
    runs = {"ours": [], "kamailio_kemi_python": [], "kamailio_native": []}
    for _ in range(opts.rounds):
        runs["ours"].append(measure(opts.command, "127.0.0.12", 5072, opts, blast, None))
        runs["kamailio_kemi_python"].append(measure(kam("kemi.cfg"), "127.0.0.13", 5073, opts, blast, work))
        runs["kamailio_native"].append(measure(kam("native.cfg"), "127.0.0.13", 5073, opts, blast, work))
    shutil.rmtree(work, ignore_errors=True)
    middle = {k: {f: round(statistics.median(r[f] for r in v), 4) for f in v[0]} for k, v in runs.items()}
    own = middle["ours"]["cpu_s_per_10k"]
    middle["ratio_to_kemi_python"] = round(own / middle["kamailio_kemi_python"]["cpu_s_per_10k"], 3)
    middle["ratio_to_native"] = round(own / middle["kamailio_native"]["cpu_s_per_10k"], 3)
    print(json.dumps(middle, indent=2))


if __name__ == "__main__":
    main()
