"""Writes the ModelDeployment of a model, pinned to the digest of its artefact."""

from plimsoll_dev.models.catalogue import CataloguedModel

PLACEHOLDER = "REGISTRY"


def model_uri(model: CataloguedModel, digest: str, registry: str = PLACEHOLDER) -> str:
    """The URI of the artefact in a registry given as `host[:port]`."""
    return f"oci://{registry}/{model.repository}@{digest}"


def deployment(model: CataloguedModel, digest: str, registry: str = PLACEHOLDER) -> str:
    """The manifest as YAML; without a registry it keeps the word REGISTRY, which `manifest` replaces."""
    lines = [
        "apiVersion: plimsoll.dev/v1alpha1",
        "kind: ModelDeployment",
        "metadata:",
        f"  name: {model.deployment}",
        "spec:",
        "  model:",
        f"    uri: {model_uri(model, digest, registry)}",
    ]
    if model.memory is not None:
        lines += [
            "  runtime:",
            "    resources:",
            f'      requests: {{cpu: "1", memory: {model.memory}}}',
            f"      limits: {{memory: {model.memory}}}",
        ]
    return "\n".join(lines) + "\n"
