"""What the operator says about itself in numbers."""
