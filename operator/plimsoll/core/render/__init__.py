"""Manifests of the children: values in, manifest out. One file per kind.

A revision is always rendered from its snapshot, by the rules of the snapshot's render version, so that an upgrade of
the operator restarts no model pod. What lies outside the snapshot (scheduling, labels, credentials) comes from the
live spec and rolls inside the revision.
"""
