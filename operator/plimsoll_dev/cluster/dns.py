"""Asks a name server one question: whether the cluster's DNS answers is part of being ready."""

from __future__ import annotations

import socket
import struct

TIMEOUT_S = 1.0
TYPE_A, CLASS_IN, RECURSION_DESIRED = 1, 1, 0x0100
# Flags and counts of a response: bit 15 says response, the lowest four bits are the error code.
RESPONSE, ERROR_CODE = 0x8000, 0x000F


def question(name: str, identifier: int) -> bytes:
    """A DNS query for the IPv4 address of a name. Pure."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    header = struct.pack(">6H", identifier, RECURSION_DESIRED, 1, 0, 0, 0)
    return header + labels + b"\0" + struct.pack(">2H", TYPE_A, CLASS_IN)


def answers(response: bytes, identifier: int) -> bool:
    """Whether a response belongs to the question and holds at least one answer. Pure."""
    if len(response) < struct.calcsize(">6H"):
        return False
    got, flags, _, count, _, _ = struct.unpack(">6H", response[:12])
    return got == identifier and bool(flags & RESPONSE) and not flags & ERROR_CODE and count > 0


def resolves(server: str, name: str) -> bool:
    """Whether the server at port 53 knows an address for the name, within a second."""
    identifier = 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query:
        query.settimeout(TIMEOUT_S)
        try:
            query.connect((server, 53))
            query.send(question(name, identifier))
            return answers(query.recv(512), identifier)
        except OSError:
            return False
