"""A Kubernetes for development and tests: one that is given, else kind, else one node made of plain processes.

`target` decides which; `onenode` runs the last kind, `controlplane` only its API server. What can be decided without
touching the machine is in `addresses`, `archive` and `configuration`; the rest starts processes and changes it.
"""
