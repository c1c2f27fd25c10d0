"""The gRPC data path: HTTP/2 frames in, HTTP/2 frames out, and no protobuf between.

    client -- client_connection -- exchange -- upstream_pool -- upstream_connection -- model pod
                      |               |                            |
                      '--- inbound, connection, flow, headers, frames, abuse ---'

`frames`, `flow`, `headers`, `heads`, `methods`, `model_name`, `naming`, `refusals` and `deadlines` do no I/O and know
no call. `exchange` is one call's life, `switchboard` what all connections share, and `listener` the port.
"""
