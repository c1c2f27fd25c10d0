"""HTTP/1.1 between clients and model servers.

A request passes these files in this order:
`listener` accepts, `client` cuts the byte stream into requests (`request_head`, `fields`, `bodies`), `addressing` says
which model is meant, `exchange` is the request's life, `pool` and `upstream` carry it to a model server and cut the
answer out of what comes back (`answer_head`), `outcomes` says what it was; `refusals` are the answers of our own.
"""
