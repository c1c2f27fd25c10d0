"""What an address of a model server looks like. Imports nothing: the words of the command line need it."""

PATTERN = r"^[^\s/]+:[0-9]{1,5}$"
"""`host:port`, an IPv6 address in brackets."""
