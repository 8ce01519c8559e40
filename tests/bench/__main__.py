"""``make bench``: beside Kamailio, then step by step; a table, and all of it as JSON with the commit.

make bench                      both
make bench BENCH=micro          only the steps
make bench BENCH=beside         only beside Kamailio
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

HERE = Path(__file__).parent
SERVER = [str(Path(sys.executable).with_name("mqproxy")), "run", "routes/bench.py", "--listen", "udp:127.0.0.12:5072"]


def beside() -> dict[str, Any]:
    """CPU seconds for 10,000 requests, ours and Kamailio's in turn."""
    done = subprocess.run([sys.executable, str(HERE / "beside.py"), "--", *SERVER], stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def micro() -> list[dict[str, Any]]:
    """Nanoseconds for each step."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        options = ["-o", "python_functions=bench_*", "-p", "no:cacheprovider", "--benchmark-disable-gc", f"--benchmark-json={file.name}"]
        subprocess.run([sys.executable, "-m", "pytest", *options, str(HERE / "bench_micro.py")], stdout=subprocess.DEVNULL, check=True)
        steps = json.loads(Path(file.name).read_text())["benchmarks"]
    return [{"step": step["fullname"].partition("::bench_")[2], "ns": round(step["stats"]["median"] * 1e9)} for step in steps]


def show(results: dict[str, Any]) -> None:
    """Print the table."""
    console = Console()
    if "beside" in results:
        table = Table("server", "CPU s / 10,000", "requests/s", title="MESSAGE answered 200, queued, drained by a timer; one process")
        for name in ("ours", "kamailio_kemi_python", "kamailio_native"):
            row = results["beside"][name]
            table.add_row(name.replace("_", " "), f"{row['cpu_s_per_10k']:.3f}", f"{row['requests_per_s']:,.0f}")
        console.print(table)
        for other in ("kemi_python", "native"):
            console.print(f"ours / Kamailio {other.replace('_', ' ')}: {results['beside'][f'ratio_to_{other}']:.2f}")
    if "micro" in results:
        table = Table("step", "median, ns", title="steps")
        for step in results["micro"]:
            table.add_row(escape(step["step"]), f"{step['ns']:,}")
        console.print(table)


def main() -> None:
    """Run what the arguments name, or all."""
    wanted = sys.argv[1:] or ["beside", "micro"]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip() or "unknown"
    results: dict[str, Any] = {"commit": commit}
    results |= {name: {"beside": beside, "micro": micro}[name]() for name in wanted}
    show(results)
    file = Path(f"bench-{commit}.json")
    file.write_text(json.dumps(results, indent=2) + "\n")
    print(f"kept in {file}")


main()
