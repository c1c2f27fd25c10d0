"""The words of `plimsoll preflight`. Nothing is imported here that the command needs to run."""

from __future__ import annotations

import argparse
from typing import Final

_DESCRIPTION: Final = """\
Tells what a preflight found out about a revision, or runs one here.

  plimsoll preflight NAME           the report of NAME's candidate, or of its stable revision where nothing is prepared
  plimsoll preflight --local DIR    the same phases on this machine, against a Triton that is started for it or --url
  plimsoll preflight --report FILE  a report that --json printed before
"""
_EPILOG: Final = """\
Exit codes: 0 the revision passed; 1 it was rejected, or Triton does not load it; 2 nothing is known: the preflight
ended with Error, has not ended, or could not run (wrong arguments, no Triton, no cluster). 130 and 143: interrupted.
"""
_LOCAL_ONLY: Final = (
    *("triton", "triton_option", "url", "model", "spec", "objective", "budget", "golden", "dataset", "reference"),
)
_CLUSTER_ONLY: Final = ("namespace", "revision", "context", "kubeconfig")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("name", metavar="NAME", nargs="?", help="a ModelDeployment in the cluster")
    what.add_argument("--local", metavar="DIR", help="a model: ONNX file, artefact or Triton repository in a folder")
    what.add_argument("--report", metavar="FILE", help="a report as JSON; - for standard input")
    _add_output(parser.add_argument_group("what is shown (a table and plots unless --json)"))
    _add_cluster(parser.add_argument_group("with NAME"))
    _add_local(parser.add_argument_group("with --local"))


def misfit(options: argparse.Namespace) -> str:
    """Returns the sentence about options that do not go together, empty where all do."""
    groups = ((options.local, _LOCAL_ONLY, "--local DIR"), (options.name, _CLUSTER_ONLY, "NAME"))
    for chosen, names, needed in groups:
        for name in names:
            if chosen is None and getattr(options, name):
                return f"--{name.replace('_', '-')} needs {needed}"
    if options.url and (options.triton or options.triton_option):
        return "--url uses a Triton that runs already: leave out --triton and --triton-option"
    return ""


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--json", action="store_true", help="print the report as JSON instead")
    group.add_argument("--html", metavar="FILE", help="also write a page that needs nothing else")


def _add_cluster(group: argparse._ArgumentGroup) -> None:
    group.add_argument("-n", "--namespace", metavar="NAMESPACE", help="the context's own when absent")
    group.add_argument("--revision", metavar="REVISION", help="a certain revision")
    group.add_argument("--context", metavar="CONTEXT", help="a context of the kubeconfig")
    group.add_argument("--kubeconfig", metavar="FILE", help="instead of $KUBECONFIG or ~/.kube/config")


def _add_local(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--triton", metavar="PATH", help="tritonserver to start; the one on PATH when absent")
    group.add_argument(
        "--triton-option",
        metavar="OPTION",
        action="append",
        help="passed on to tritonserver, for example --triton-option=--backend-directory=/opt/backends; repeatable",
    )
    group.add_argument("--url", metavar="HOST:PORT", help="gRPC address of a Triton that runs already")
    group.add_argument(
        "--model", metavar="NAME", help="model of the repository, or with --url of the server; DIR's name if absent"
    )
    group.add_argument(
        "--spec", metavar="FILE", help="ModelDeployment whose model, preflight and objective are used; - for stdin"
    )
    group.add_argument(
        "--objective", metavar="pN=TIME", action="append", help="a promise, for example p99=200ms; repeatable"
    )
    group.add_argument("--budget", metavar="TIME", help="time for all phases, for example 30s; 2m when absent")
    group.add_argument("--golden", metavar="FILE", help="golden cases; golden.json in DIR when absent")
    group.add_argument("--dataset", metavar="FILE", help="labelled rows; dataset.json in DIR when absent")
    group.add_argument("--reference", metavar="HOST:PORT", help="gRPC address of a Triton to compare with")
