"""The command line. Commands are imported when they are called: `plimsoll fetch` starts in every model pod.

Exit codes: 0 done; 1 the answer is no (a manifest is invalid, a source refuses); 2 the command could not do its work
(wrong arguments, a file that cannot be read). `fetch`, `preflight-job`, `controller` and `gateway` have codes of their
own, which their modules document.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from plimsoll.cli.preflight_arguments import add_arguments
from plimsoll.version import VERSION

_PROGRAM = "plimsoll"
_EPILOG = "Exit codes: 0 done, 1 the answer is no, 2 the command could not do its work. All but \
controller, gateway, fetch and preflight NAME run offline or ask the source of a model; they talk to no cluster."


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code.

    Args:
        argv: Words after the program's name; those of the process when None.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["fetch"]:
        return _fetch(words[1:])
    options = _parser().parse_args(words)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM, description="Serves models on Triton. Also callable as `kubectl plimsoll`.", epilog=_EPILOG
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_plan(commands)
    _add_validate(commands)
    _add_resolve(commands)
    _add_preflight(commands)
    _add_controller(commands)
    _add_gateway(commands)
    commands.add_parser("fetch", help="fetch and lay out a model; runs in the model pod", add_help=False)
    job = commands.add_parser("preflight-job", help="examine a candidate; runs in the preflight Job")
    job.set_defaults(run=_preflight_job)
    version = commands.add_parser("version", help="print the version, and whether the gateway is compiled")
    version.set_defaults(run=_version)
    return parser


_Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for what add_subparsers returns


def _add_plan(commands: _Commands[argparse.ArgumentParser]) -> None:
    plan = commands.add_parser(
        "plan",
        help="tell what the controller would do, and why",
        description="Tells what the controller would do about the ModelDeployments in FILE, and why. Needs no cluster.",
    )
    plan.add_argument("file", metavar="FILE", help="manifest, or a whole world file; - for standard input")
    plan.add_argument(
        "--observed",
        metavar="FILE",
        help="what the cluster holds, as `kubectl get mdep,deploy,svc,controllerrevisions,pods,jobs,"
        "configmaps -o yaml` prints it; an empty cluster when absent",
    )
    plan.add_argument("--config", metavar="FILE", help="the controller's configuration; built-in defaults when absent")
    plan.add_argument("--now", metavar="TIME", help="plan as of this time (RFC 3339) instead of now")
    plan.add_argument("--output", choices=["text", "json"], default="text", help="text (default) or json")
    plan.set_defaults(run=_plan)


def _add_validate(commands: _Commands[argparse.ArgumentParser]) -> None:
    validate = commands.add_parser(
        "validate",
        help="check manifests without a cluster",
        description="Refuses what the API server would refuse, with the line, the field and the way out. Exit code 0: "
        "all are valid; 1: some are not; 2: a file cannot be read.",
    )
    validate.add_argument("files", metavar="FILE", nargs="+", help="YAML or JSON; - for standard input")
    validate.set_defaults(run=_validate)


def _add_resolve(commands: _Commands[argparse.ArgumentParser]) -> None:
    resolve = commands.add_parser(
        "resolve",
        help="print the digest that a model URI stands for now",
        description="Asks the source of a model for its digest and prints it, for use in model.digest or model.uri.",
    )
    resolve.add_argument("uri", metavar="URI", help="oci://HOST/REPOSITORY:TAG or https://HOST/PATH")
    resolve.add_argument("--ca", metavar="FILE", help="certificates of a private authority (PEM)")
    resolve.add_argument("--username", metavar="NAME", help="user name; needs --password-stdin")
    resolve.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    resolve.add_argument(
        "--docker-config",
        metavar="FILE",
        help="docker configuration with credentials; $DOCKER_CONFIG/config.json or ~/.docker/config.json when absent",
    )
    resolve.set_defaults(run=_resolve)


def _add_preflight(commands: _Commands[argparse.ArgumentParser]) -> None:
    preflight = commands.add_parser("preflight", help="tell what a revision can carry, or prove it here")
    add_arguments(preflight)
    preflight.set_defaults(run=_preflight)


def _add_controller(commands: _Commands[argparse.ArgumentParser]) -> None:
    controller = commands.add_parser("controller", help="run the controller; runs in the cluster")
    controller.add_argument("--config", metavar="FILE", required=True, help="its configuration (YAML)")
    controller.set_defaults(run=_controller)


def _add_gateway(commands: _Commands[argparse.ArgumentParser]) -> None:
    gateway = commands.add_parser(
        "gateway",
        help="run a gateway; runs in the cluster",
        description="Forwards requests to the models of the pod's own namespace. Exit code 0: it was told to end and "
        "has drained; 1: a part of it died; 2: it cannot start; 143: a second signal cut it short.",
    )
    gateway.add_argument("--config", metavar="FILE", required=True, help="its configuration (YAML)")
    gateway.set_defaults(run=_gateway)


def _fetch(words: Sequence[str]) -> int:
    from plimsoll.fetch.main import main as fetch  # noqa: PLC0415 - see the module's first line

    return fetch(words)


def _preflight_job(_options: argparse.Namespace) -> int:
    from plimsoll.preflight.job import main as preflight_job  # noqa: PLC0415

    return preflight_job()


def _plan(options: argparse.Namespace) -> int:
    from plimsoll.cli.plan import run_plan  # noqa: PLC0415

    return run_plan(options.file, options.observed, options.config, options.now, options.output)


def _validate(options: argparse.Namespace) -> int:
    from plimsoll.cli.validate import run_validate  # noqa: PLC0415

    return run_validate(options.files)


def _resolve(options: argparse.Namespace) -> int:
    from plimsoll.cli.resolve import Access, run_resolve  # noqa: PLC0415

    return run_resolve(
        options.uri, Access(options.ca, options.username, options.docker_config), password_stdin=options.password_stdin
    )


def _preflight(options: argparse.Namespace) -> int:
    from plimsoll.cli.preflight import run  # noqa: PLC0415

    return run(options)


def _controller(options: argparse.Namespace) -> int:
    from plimsoll.cli.controller import run  # noqa: PLC0415

    return run(options.config)


def _gateway(options: argparse.Namespace) -> int:
    from plimsoll.cli.gateway import run  # noqa: PLC0415

    return run(options.config)


def _version(_options: argparse.Namespace) -> int:
    from plimsoll.gateway.hot_path import form  # noqa: PLC0415

    print(f"{VERSION}\nhot path of the gateway: {form()}")
    return 0
