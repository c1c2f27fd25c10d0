"""How a revision gets smaller behind gateways without a request being lost."""
