"""What Triton is told about a model: pure renderers from facts about the model to the text Triton reads."""
