"""The image of an OCI registry for tests and the demo: Debian's `docker-registry` on the base.

It runs as 10001 with a read-only root; blobs are under /data. TLS and logins are set with the registry's own
environment variables (`REGISTRY_HTTP_TLS_CERTIFICATE`, `REGISTRY_AUTH_HTPASSWD_PATH`, ...).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from plimsoll.errors import Invalid
from plimsoll_dev.images.commands import run

CONTAINERFILE = """\
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}
LABEL org.opencontainers.image.title="plimsoll test registry" org.opencontainers.image.licenses="Apache-2.0"
COPY docker-registry /usr/bin/docker-registry
COPY config.yml /etc/docker/registry/config.yml
USER 10001:10001
VOLUME ["/data"]
ENTRYPOINT ["docker-registry"]
CMD ["serve", "/etc/docker/registry/config.yml"]
"""
CONFIGURATION = """\
version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: /data
  delete:
    enabled: true
http:
  addr: :5000
"""


def add_program(folder: Path) -> None:
    """Put the registry's program, out of Debian's package, into a build context.

    Raises:
        Invalid: This machine has no apt, or apt cannot download the package.
    """
    if shutil.which("apt-get") is None:
        raise Invalid("AptMissing", "The registry's program comes out of a Debian package: build it on Debian.")
    download = folder / "download"
    download.mkdir()
    run(["apt-get", "-o", "APT::Sandbox::User=root", "download", "docker-registry"], folder=download)
    run(["dpkg", "--extract", next(download.glob("*.deb")), download])
    (download / "usr/bin/docker-registry").rename(folder / "docker-registry")
    shutil.rmtree(download)
