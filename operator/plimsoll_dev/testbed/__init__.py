"""A cluster with Plimsoll, a registry and the models in it: what `make demo` shows and what ring 4 tests.

`Harness.prepare` does everything from nothing and again in seconds: cluster, images, registry, models, chart.
"""
