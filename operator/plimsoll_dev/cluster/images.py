"""Imports image archives into a node's containerd, so that pods can name them by digest without any registry."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from plimsoll.errors import Invalid
from plimsoll_dev.cluster.archive import image_digest, repository_of
from plimsoll_dev.cluster.packages import search_path

# The namespace of containerd in which the kubelet looks.
KUBERNETES_NAMESPACE = "k8s.io"
# The label of images that containerd's Kubernetes interface knows.
MANAGED = "io.cri-containerd.image=managed"
KNOWN_TIMEOUT_S = 20.0


def import_image(ctr: Sequence[str], archive: Path, reference: str, *, snapshotter: str = "") -> str:
    """Imports an archive and gives `repository@digest`, which pods use with imagePullPolicy IfNotPresent.

    `ctr` is the command that reaches the node's containerd; the archive is its standard input. `reference` must begin
    with a host: the kubelet reads short names as docker.io's. It is tagged as well.

    Raises:
        Invalid: the archive is no OCI archive of one image, or containerd refused it.
    """
    by_digest = f"{repository_of(reference)}@{image_digest(archive)}"
    images = [*ctr, "--namespace", KUBERNETES_NAMESPACE, "images"]
    unpack = ["--snapshotter", snapshotter] if snapshotter else []
    with archive.open("rb") as content:
        options = ["--base-name", repository_of(reference), "--digests", *unpack]
        _run([*images, "import", *options, "-"], content.fileno())
    if reference != by_digest:
        _run([*images, "tag", "--force", by_digest, reference])
    _wait_until_known(images, by_digest)
    return by_digest


def _wait_until_known(images: Sequence[str], name: str) -> None:
    """The kubelet's view of images follows containerd's events; a pod that is faster would try to pull the image."""
    deadline = time.monotonic() + KNOWN_TIMEOUT_S
    while MANAGED not in _run([*images, "list", f"name=={name}"]):
        if time.monotonic() > deadline:
            message = f"containerd did not offer {name} to the kubelet within {KNOWN_TIMEOUT_S:.0f} s."
            raise Invalid("ImageUnknown", f"{message} Look into its log.")
        time.sleep(0.05)


def _run(command: Sequence[str], stdin: int = subprocess.DEVNULL) -> str:
    environment = {**os.environ, "PATH": search_path(os.environ)}
    done = subprocess.run(command, stdin=stdin, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise Invalid("ImageRefused", f"'{' '.join(command[-4:])}' ended with {done.returncode}:\n{last}")
    return done.stdout
