"""Pure decisions. No I/O, clock, randomness, asyncio or kopf. Start reading at plan.py."""
