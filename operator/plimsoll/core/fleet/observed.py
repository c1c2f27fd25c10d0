"""Everything that a decision about a namespace's gateways may look at, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from plimsoll.core.actions import ChildKind
from plimsoll.core.fleet.replicas import Load
from plimsoll.core.world import Child, Deployment


@dataclass(frozen=True, slots=True)
class Guarding:
    """How gateways guard themselves: names of Secrets that each namespace has, empty where it is not wanted.

    Attributes:
        tls_secret: With the certificate, of type kubernetes.io/tls.
        client_ca_secret: With the authorities of clients' certificates.
        plain_text: Connections without TLS are served beside those with it.
        key_secret: With the keys that requests must show.
    """

    tls_secret: str = ""
    client_ca_secret: str = ""
    plain_text: bool = False
    key_secret: str = ""

    @property
    def wanted(self) -> bool:
        """Whether there is any: then no request may pass them by."""
        return bool(self.tls_secret or self.key_secret)


@dataclass(frozen=True, slots=True)
class SharedCache:
    """A store in which gateways keep answers for one another.

    Attributes:
        url: Where it is; empty where there is none.
        secret: Name of the Secret with its credentials, which each namespace has; empty where it wants none.
        ca_secret: Name of the Secret with the authority of its certificate; empty: one that the system trusts.
    """

    url: str = ""
    secret: str = ""
    ca_secret: str = ""


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """What the chart says about gateways.

    Attributes:
        enabled: Namespaces with a ModelDeployment get a fleet; fleets go where it is false.
        image: The operator's image.
        role: Name of the ClusterRole that each fleet is bound to.
        controller_namespace: Where the controller runs.
        controller_key: Public key by which gateways know the controller, base64url.
        replicas, max_replicas: Bounds of a fleet's size.
        max_upgrades: Fleets that get a new pod template at the same time.
        requests, limits: Resources of a gateway.
        metrics_namespaces: From where metrics may be read; empty: from the whole cluster.
        image_pull_secrets: Names of Secrets in each namespace.
        log_level: Of gateways.
        access_log: Share of the successful requests that they log; nothing is logged of requests where it is 0.
        guarding: How they guard themselves.
        cache: Where they keep answers for one another.
    """

    enabled: bool
    image: str
    role: str
    controller_namespace: str
    controller_key: str = ""
    replicas: int = 2
    max_replicas: int = 10
    max_upgrades: int = 3
    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    metrics_namespaces: tuple[str, ...] = ()
    image_pull_secrets: tuple[str, ...] = ()
    log_level: str = "info"
    access_log: float = 0.0
    guarding: Guarding = Guarding()
    cache: SharedCache = SharedCache()


@dataclass(frozen=True, slots=True)
class ModelHere:
    """A ModelDeployment of the namespace that is not being deleted.

    Attributes:
        name: Its name.
        rolling_out: A candidate gets requests.
        direct: Its users are meant to reach its pods without the gateway.
    """

    name: str
    rolling_out: bool = False
    direct: bool = False


@dataclass(frozen=True, slots=True)
class FleetDeployment(Deployment):
    """The Deployment of a namespace's gateways; `retired_at` is since when nobody needs them.

    Attributes:
        template: Digest of its pod template as it was applied, empty when that is not known.
        outdated: Pods of an older template.
    """

    template: str = ""
    outdated: int = 0

    @property
    def upgrading(self) -> bool:
        """Pods are being replaced. One that the API server refuses to go on with takes no other fleet's turn."""
        return not self.failure and (self.outdated > 0 or (not self.observed and self.pods > 0))


@dataclass(frozen=True, slots=True)
class Companion(Child):
    """An object beside the Deployment; `ours` when it carries a fleet's labels."""

    kind: ChildKind = field(kw_only=True)
    ours: bool = True


@dataclass(frozen=True, slots=True)
class Upgrades:
    """Other namespaces whose gateways get a new pod template (`running`), or will (`waiting`)."""

    running: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ObservedFleet:
    """One namespace.

    Attributes:
        namespace: Its name.
        settings: What the chart says.
        models: Its ModelDeployments; unknown, and so empty, where gateways are switched off.
        behind: Its ModelDeployments whose Service selects the gateways, with the time since when that is known.
        deployment: The fleet's Deployment, None when there is none.
        companions: Objects under the names that a fleet uses, whoever made them, by kind and name.
        upgrades: What the fleets of other namespaces are at.
        load: CPU that the gateways use, None when it is not known.
    """

    namespace: str
    settings: FleetSettings
    models: tuple[ModelHere, ...] = ()
    behind: Mapping[str, datetime] = field(default_factory=dict)
    deployment: FleetDeployment | None = None
    companions: Mapping[tuple[ChildKind, str], Companion] = field(default_factory=dict)
    upgrades: Upgrades = Upgrades()
    load: Load | None = None

    @property
    def wanted(self) -> bool:
        """The namespace is to have gateways."""
        return self.settings.enabled and bool(self.models)

    @property
    def rolling_out(self) -> bool:
        """A candidate of one of the ModelDeployments gets requests."""
        return any(model.rolling_out for model in self.models)
