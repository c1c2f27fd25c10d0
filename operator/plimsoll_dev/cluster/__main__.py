"""`python -m plimsoll_dev.cluster COMMAND`: the cluster, and what tests need beside it, from the command line."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from plimsoll.errors import PlimsollError
from plimsoll_dev.cluster import components, packages, target, unpacked
from plimsoll_dev.cluster.folders import cache_folder
from plimsoll_dev.cluster.helm import helm_program
from plimsoll_dev.cluster.progress import Progress


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m plimsoll_dev.cluster", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start the cluster, or repair it; print its kubeconfig's path")
    commands.add_parser("down", help="remove the cluster and everything it left on this machine")
    commands.add_parser("status", help="say which processes of the one-node cluster run; exit 1 if one does not")
    commands.add_parser("kubeconfig", help="print the path of the kubeconfig")
    commands.add_parser("build", help="build every program into the cache, the oldest supported API server included")
    commands.add_parser("prerequisites", help="install and build whatever the tests use and this machine lacks")
    helm = commands.add_parser("helm", help="run helm: $HELM, the installed one, or one built into the cache")
    helm.add_argument("arguments", nargs=argparse.REMAINDER)
    load = commands.add_parser("load", help="import an OCI image archive; print the reference for pods")
    load.add_argument("file", type=Path)
    load.add_argument("reference")
    gpus = commands.add_parser("gpus", help="make the one node claim so many GPUs (nothing can use them)")
    gpus.add_argument("count", type=int)
    return top


def main(arguments: Sequence[str]) -> int:
    """Runs one command; the exit status."""
    try:
        return run(parser().parse_args(arguments), Progress())
    except PlimsollError as error:
        print(error.message, file=sys.stderr)
        return 1


def run(given: argparse.Namespace, progress: Progress) -> int:
    """Runs the parsed command."""
    match given.command:
        case "up":
            print(target.up(os.environ, progress).kubeconfig)
        case "down":
            target.down(os.environ, progress)
        case "status":
            return status(progress)
        case "kubeconfig":
            print(target.one_node(os.environ, progress).layout.kubeconfig)
        case "build":
            build_everything(progress)
        case "prerequisites":
            packages.install(packages.TESTS, progress)
            unpacked.programs(unpacked.TESTS, progress)
            build_everything(progress)
        case "helm":
            return subprocess.run([helm_program(os.environ, progress), *given.arguments], check=False).returncode
        case "load":
            print(target.up(os.environ, progress).load_image(given.file, given.reference))
        case "gpus":
            target.one_node(os.environ, progress).set_gpus(given.count)
        case _:  # argparse refuses unknown commands
            raise AssertionError(given.command)
    return 0


def build_everything(progress: Progress) -> None:
    """Builds what is not in the cache, and prints where each program lies."""
    for component in components.EVERYTHING:
        print(components.build(component, cache_folder(os.environ), progress))


def status(progress: Progress) -> int:
    """Prints one line per process; 0 when all of them run and the API server is ready."""
    node = target.one_node(os.environ, progress)
    states = node.status()
    for name, state in states.items():
        print(f"{name}: {state}")
    running = node.running()
    print("The cluster runs." if running else "The cluster does not run. Start it with 'up'.")
    return 0 if running else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
