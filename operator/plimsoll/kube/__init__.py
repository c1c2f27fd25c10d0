"""The only package that talks to the Kubernetes API server.

Raw JSON in and out, one mapping of errors (`errors.py`), and the parts every controller needs: a client, reflectors
with their stores, a work queue, an own-writes tracker, leader election and Events. It decides nothing about models.
"""
