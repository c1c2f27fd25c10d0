"""The contract with users: pydantic models, and the CustomResourceDefinition made from them."""
