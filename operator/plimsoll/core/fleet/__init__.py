"""The gateways of a namespace: what is there, what is wanted, and the plan that leads from one to the other."""
