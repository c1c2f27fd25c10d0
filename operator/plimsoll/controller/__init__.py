"""The shell: observe, plan, apply. Start reading at loop.py."""
