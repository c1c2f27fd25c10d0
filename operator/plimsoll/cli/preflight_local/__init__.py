"""`plimsoll preflight --local`: the phases of a preflight on this machine."""
