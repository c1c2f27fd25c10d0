"""The preflight Job and `plimsoll preflight --local`: measures a candidate, reports, and exits."""
