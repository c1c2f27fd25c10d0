"""Runs in a pod: sends requests, each on a new connection, until /tmp/stop exists; prints one JSON object."""

import json
import sys
import threading
import time
from collections import Counter
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

WORKERS = 2
PAUSE_S = 0.04
STOP = Path("/tmp/stop")  # noqa: S108 - in a pod of its own


def main() -> None:
    """Sends and counts."""
    urls, body = [urlsplit(url) for url in sys.argv[2:]], sys.argv[1].encode()
    versions: Counter[str] = Counter()
    failures: list[str] = []
    sent = Counter[str]()
    started = time.monotonic()

    def send() -> None:
        while not STOP.exists():
            url = urls[sent["requests"] % len(urls)]
            sent["requests"] += 1
            try:
                connection = HTTPConnection(url.hostname or "", url.port or 80, timeout=10)
                connection.request("POST", url.path, body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                content = response.read()
                connection.close()
                if response.status == 200:
                    versions[json.loads(content)["model_version"]] += 1
                else:
                    failures.append(f"{time.monotonic() - started:.1f} s: {response.status} {content[:200]!r}")
            except OSError as error:
                failures.append(f"{time.monotonic() - started:.1f} s: {error!r}")
            time.sleep(PAUSE_S)

    threads = [threading.Thread(target=send) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.write(json.dumps({"sent": sent["requests"], "failures": failures, "versions": versions}) + "\n")


main()
