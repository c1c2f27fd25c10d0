"""Requests per second and CPU per request of the gateway's HTTP path beside nginx, one core each, interleaved.

Usage: python -m tests.scale.bench_gateway.http1 --nginx PROGRAM --wrk PROGRAM [--seconds 5] [--rounds 3]

The last line is one JSON object. Server and load generator share one core, the proxy has the other for itself. CPU per
request is the steadier figure where the machine is shared.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

SERVER, PROXY, GATEWAY = 18090, 18091, 18092
PROXY_CORE, LOAD_CORE = 0, 1
PATH = "/v2/models/digits/infer"
HEADERS = 'wrk.method="POST"\nwrk.headers["Content-Type"]="application/json"\n'
LOADS = {
    "small": HEADERS + 'wrk.body=string.rep("x",150)\n',
    "varying": HEADERS
    + "local n=0\nrequest=function()\nn=n+1\n"
    + 'return wrk.format(nil,nil,nil,string.rep("x",100+n%97))\nend\n',
    "64k": HEADERS + 'wrk.body=string.rep("x",65536)\n',
}
NGINX = """
daemon off; worker_processes 1; pid {folder}/{name}.pid; error_log {folder}/{name}.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder}; client_body_buffer_size 128k; client_max_body_size 64m;
  keepalive_requests 100000000; {http}
}}
"""
ANSWER = '{{"model_name":"digits","outputs":[{{"name":"y","datatype":"FP32","shape":[1,3],"data":[0.1,0.2,0.7]}}]}}'
SERVER_HTTP = (
    "server {{ listen {addresses} {options}; location / {{ default_type application/json; return 200 '{answer}'; }} }}"
)
PROXY_HTTP = """
upstream pods {{ least_conn; server 127.0.0.1:{server}; server 127.0.0.2:{server}; server 127.0.0.3:{server};
  keepalive 64; keepalive_requests 100000000; }}
server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://pods; proxy_http_version 1.1;
  proxy_set_header Connection ""; proxy_set_header Host $host; }} }}
"""


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--nginx", default="nginx")
    parser.add_argument("--wrk", default="wrk")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--profile", default="")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plimsoll-bench-")))
        proxies = {name: stack.enter_context(proxy) for name, proxy in start(options, folder).items()}
        figures = {load: measure(options, folder, load, proxies) for load in LOADS}
    sys.stdout.write(json.dumps(figures) + "\n")


def start(options: argparse.Namespace, folder: Path) -> dict[str, AbstractContextManager[tuple[int, int]]]:
    """Returns what is measured, by name; the server is among them, asked directly."""
    answer = ANSWER.replace("{{", "{").replace("}}", "}")
    listens = "".join(
        SERVER_HTTP.format(addresses=f"127.0.0.{n}:{SERVER}", options="", answer=answer) for n in (1, 2, 3)
    )
    configurations = {"server": listens, "nginx": PROXY_HTTP.format(server=SERVER, port=PROXY)}
    for name, http in configurations.items():
        (folder / f"{name}.conf").write_text(NGINX.format(folder=folder, name=name, http=http))
    command = [options.nginx, "-p", str(folder), "-e", str(folder / "early.log"), "-c"]
    gateway = [sys.executable, "-m", "tests.scale.bench_gateway.proxied", str(GATEWAY), str(SERVER)]
    return {
        "direct": running([*command, str(folder / "server.conf")], SERVER, LOAD_CORE),
        "nginx": running([*command, str(folder / "nginx.conf")], PROXY, PROXY_CORE),
        "gateway": running([*gateway, *([options.profile] if options.profile else [])], GATEWAY, PROXY_CORE),
    }


@contextmanager
def running(command: list[str], port: int, core: int) -> Iterator[tuple[int, int]]:
    """Runs a program on one core; yields its process and port once it answers."""
    process = subprocess.Popen(["taskset", "-c", str(core), *command])
    try:
        deadline = time.monotonic() + 10
        while not answers(port):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{command[0]} does not listen")
            time.sleep(0.05)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait()


def answers(port: int) -> bool:
    """Tells whether something listens there."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}{PATH}", data=b"{}", timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and its direct children so far."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    ticks = 0
    for one in (str(pid), *children):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(
    options: argparse.Namespace, folder: Path, load: str, proxies: dict[str, tuple[int, int]]
) -> dict[str, object]:
    """Loads all in turn, several times, and returns medians and ratios."""
    (folder / f"{load}.lua").write_text(LOADS[load])
    rates: dict[str, list[float]] = {name: [] for name in proxies}
    costs: dict[str, list[float]] = {name: [] for name in proxies}
    for _ in range(options.rounds):
        for name, (pid, port) in proxies.items():
            before = cpu_s(pid)
            command = [options.wrk, "-t1", f"-c{options.connections}", f"-d{options.seconds}s", "-s"]
            pinned = ["taskset", "-c", str(LOAD_CORE), *command, str(folder / f"{load}.lua")]
            said = subprocess.run(
                [*pinned, f"http://127.0.0.1:{port}{PATH}"], capture_output=True, text=True, check=True
            ).stdout
            if "Non-2xx" in said or "Socket errors" in said:
                raise RuntimeError(said)
            done = int(re.search(r"(\d+) requests in", said)[1])  # type: ignore[index] - wrk says it
            rates[name].append(float(re.search(r"Requests/sec: +([\d.]+)", said)[1]))  # type: ignore[index]
            costs[name].append((cpu_s(pid) - before) / done * 1e6)
    result: dict[str, object] = {name: round(statistics.median(rates[name])) for name in proxies}
    result |= {f"{name}_cpu_us": round(statistics.median(costs[name]), 1) for name in proxies}
    pairs = [ours / theirs for ours, theirs in zip(rates["gateway"], rates["nginx"], strict=True)]
    result["rps_ratio"] = round(statistics.median(pairs), 3)
    result["rps_ratio_spread"] = [round(min(pairs), 3), round(max(pairs), 3)]
    pairs = [ours / theirs for ours, theirs in zip(costs["gateway"], costs["nginx"], strict=True)]
    result["cpu_ratio"] = round(statistics.median(pairs), 3)
    sys.stdout.write(f"{load}: {result}\n")
    return result


if __name__ == "__main__":
    main()
