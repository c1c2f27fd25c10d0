"""What a request, or an answer, has to be for the model it is about: rules over values, without I/O."""
