"""What a peer did wrong: one error for its whole connection, one for a single stream (RFC 9113, section 5.4)."""

from __future__ import annotations

from enum import IntEnum


class ErrorCode(IntEnum):
    """Codes of RST_STREAM and GOAWAY (RFC 9113, section 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class ConnectionFailure(Exception):  # noqa: N818 - the protocol's own word is "connection error"; this is its bearer
    """The connection ends with GOAWAY: its state can no longer be trusted.

    Attributes:
        code: Goes into the GOAWAY frame.
        message: Goes into its debug data.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class StreamFailure(Exception):  # noqa: N818 - as above
    """One stream ends with RST_STREAM; the others go on.

    Attributes:
        stream: Its id.
        code: Goes into the frame.
    """

    def __init__(self, stream: int, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.stream = stream
        self.code = code
