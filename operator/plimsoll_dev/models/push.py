"""Pushes a packaged model into a registry by the OCI distribution API's four calls.

Not through the `oras` package: it writes the manifest itself, without `artifactType` and with its own JSON, so that
the digest would follow that package's version. What is pushed here can be pulled with `oras` (a test does).
"""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import httpx

from plimsoll_dev.models.artefact import EMPTY_CONTENT, MANIFEST_TYPE, Artefact, digest_of

CHUNK_BYTES = 1 << 20
# Large blobs are checked and moved by the registry before it answers.
TIMEOUT_S = 120.0


class PushError(Exception):
    """The registry did not take the artefact; the message says what it answered."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Where to push.

    Attributes:
        host: `host[:port]`, as in a model URI.
        ca_file: certificates to trust instead of the system's.
        login: user and password for basic authentication, or a bearer token.
        plain_http: speak HTTP without TLS; for a registry on this machine only.
    """

    host: str
    ca_file: Path | None = None
    login: tuple[str, str] | str | None = None
    plain_http: bool = False

    def client(self) -> httpx.Client:
        """An HTTP client for this registry; proxies of the environment are not used."""
        context = ssl.create_default_context(cafile=self.ca_file)
        scheme = "http" if self.plain_http else "https"
        return httpx.Client(
            base_url=f"{scheme}://{self.host}",
            verify=context,
            auth=None if isinstance(self.login, str) else self.login,
            headers={"Authorization": f"Bearer {self.login}"} if isinstance(self.login, str) else {},
            timeout=TIMEOUT_S,
            trust_env=False,
        )


def push(artefact: Artefact, registry: Registry, repository: str, tag: str) -> str:
    """Push under `repository:tag` what the registry does not have yet, and return the digest.

    Raises:
        PushError: the registry refused something or stored other bytes than were sent.
        httpx.TransportError: the registry cannot be reached.
    """
    with registry.client() as client:
        _put_blob(client, repository, digest_of(EMPTY_CONTENT), EMPTY_CONTENT)
        for layer in artefact.layers:
            _put_blob(client, repository, layer.digest, layer.file)
        _put_manifest(client, repository, tag, artefact)
    return artefact.digest


def _put_blob(client: httpx.Client, repository: str, digest: str, content: bytes | Path) -> None:
    held = client.head(f"/v2/{repository}/blobs/{digest}")
    if held.status_code == httpx.codes.OK:
        return
    if held.status_code != httpx.codes.NOT_FOUND:
        raise _refused(held, "is asked for a blob")
    started = client.post(f"/v2/{repository}/blobs/uploads/")
    if started.status_code != httpx.codes.ACCEPTED:
        raise _refused(started, "begins an upload")
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    done = client.put(
        httpx.URL(urljoin(str(started.url), started.headers["Location"])).copy_merge_params({"digest": digest}),
        content=content if isinstance(content, bytes) else _chunks(content),
        headers={"Content-Type": "application/octet-stream", "Content-Length": str(size)},
    )
    if done.status_code != httpx.codes.CREATED:
        raise _refused(done, "takes a blob")


def _put_manifest(client: httpx.Client, repository: str, tag: str, artefact: Artefact) -> None:
    done = client.put(
        f"/v2/{repository}/manifests/{tag}", content=artefact.manifest, headers={"Content-Type": MANIFEST_TYPE}
    )
    if done.status_code != httpx.codes.CREATED:
        raise _refused(done, "takes the manifest")
    stored = done.headers.get("Docker-Content-Digest", artefact.digest)
    if stored != artefact.digest:
        raise PushError(f"The registry stored {repository}:{tag} as {stored}, but {artefact.digest} was sent.")


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk


def _refused(response: httpx.Response, doing: str) -> PushError:
    way_out = {
        httpx.codes.UNAUTHORIZED: " Give a login it knows.",
        httpx.codes.FORBIDDEN: " The login may not write there.",
    }.get(httpx.codes(response.status_code), "")
    return PushError(
        f"The registry {response.url.netloc.decode()} answered {response.status_code} when it {doing}.{way_out}"
    )
