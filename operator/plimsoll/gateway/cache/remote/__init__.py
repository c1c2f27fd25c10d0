"""A store that several gateways share, Redis or Valkey: asked where this gateway's own memory has no answer.

request ─▶ memory ─▶ store.py ─▶ link.py (read)  ─▶ wire.py ─▶ ...
answer  ─▶ memory ─▶ store.py ─▶ link.py (write) ─▶ wire.py ─▶ ...

Nothing here is waited for but an answer to a question, and that for 20 ms at most. Whatever fails, requests go on as
they would without it. Loaded only where one is configured.
"""
