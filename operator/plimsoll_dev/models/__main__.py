"""Builds, packages and pushes the models: `python -m plimsoll_dev.models --help`."""

import argparse
import sys
from pathlib import Path

import httpx

from plimsoll_dev.models.artefact import Artefact, package_model
from plimsoll_dev.models.catalogue import CLASSIFIERS, DEPLOYMENT_FILE, MODELS, CataloguedModel
from plimsoll_dev.models.manifests import PLACEHOLDER, model_uri
from plimsoll_dev.models.push import PushError, Registry, push


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it succeeded, 1 when the registry did not take a model."""
    asked = _parser().parse_args(arguments)
    models = [MODELS[folder] for folder in asked.models or (model.folder for model in CLASSIFIERS)]
    try:
        for model in models:
            print(asked.run(model, asked), flush=True)
    except (PushError, httpx.TransportError) as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m plimsoll_dev.models", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    build = commands.add_parser("build", help="train, record golden cases and write the manifests")
    build.set_defaults(run=_build)
    package = commands.add_parser("package", help="print the URI each model will have")
    package.set_defaults(run=_package)
    upload = commands.add_parser("push", help="push the models and print their URIs")
    upload.set_defaults(run=_push)
    upload.add_argument("registry", metavar="REGISTRY", help="host[:port], without a scheme")
    upload.add_argument("--ca", type=Path, metavar="FILE", help="trust the certificates in FILE, not the system's")
    upload.add_argument("--user", metavar="NAME", help="log in; the password is read with --password-stdin")
    upload.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    upload.add_argument("--plain-http", action="store_true", help="no TLS; for a registry on this machine")
    manifest = commands.add_parser("manifest", help="print the ModelDeployments for a registry")
    manifest.set_defaults(run=_manifest)
    manifest.add_argument("registry", metavar="REGISTRY", help="host[:port], without a scheme")
    for command in (build, package, upload, manifest):
        command.add_argument(
            "--model", action="append", dest="models", choices=MODELS, help="may be repeated; default: all digits"
        )
    return parser


def _build(model: CataloguedModel, _asked: argparse.Namespace) -> str:
    from plimsoll_dev.models.build import build  # noqa: PLC0415 - pushing needs no machine-learning library

    return model_uri(model, build(model))


def _package(model: CataloguedModel, _asked: argparse.Namespace) -> str:
    return model_uri(model, _artefact(model).digest)


def _push(model: CataloguedModel, asked: argparse.Namespace) -> str:
    digest = push(_artefact(model), _registry(asked), model.repository, model.tag)
    return model_uri(model, digest, asked.registry)


def _manifest(model: CataloguedModel, asked: argparse.Namespace) -> str:
    return "---\n" + (model.path / DEPLOYMENT_FILE).read_text().replace(PLACEHOLDER, asked.registry).rstrip()


def _artefact(model: CataloguedModel) -> Artefact:
    if model.committed:
        return package_model(model)
    from plimsoll_dev.models.minilm import built_folder  # noqa: PLC0415 - as in _build

    return package_model(model, built_folder())


def _registry(asked: argparse.Namespace) -> Registry:
    if asked.user is not None and not hasattr(asked, "password"):
        asked.password = sys.stdin.readline().rstrip("\n") if asked.password_stdin else ""
    login = None if asked.user is None else (asked.user, asked.password)
    return Registry(asked.registry, asked.ca, login, asked.plain_http)


if __name__ == "__main__":
    sys.exit(main())
