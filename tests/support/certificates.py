"""Certificates for servers on loopback, from a private authority of one test."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from plimsoll_dev.cluster.pki import create_authority

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class LoopbackCertificate:
    """Files of a server certificate for `localhost`, 127.0.0.1 and ::1, and of the authority that signed it."""

    ca_file: Path
    certificate_file: Path
    key_file: Path

    def client_context(self) -> ssl.SSLContext:
        """A TLS context that trusts this authority and nothing else."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    def server_context(self) -> ssl.SSLContext:
        """A TLS context for a test server that presents this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate_file, self.key_file)
        return context


def issue_loopback_certificate(folder: Path, *extra_names: str) -> LoopbackCertificate:
    """Make a new authority and a server certificate under `folder`; `extra_names` are further DNS names."""
    authority = create_authority(folder, "ca")
    server = authority.issue("tls", common_name="localhost", hosts=(*_LOOPBACK, *extra_names))
    return LoopbackCertificate(authority.pair.certificate, server.certificate, server.key)
