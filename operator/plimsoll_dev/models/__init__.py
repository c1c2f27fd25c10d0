"""Makes, packages and pushes the models under `triton-models/`.

`catalogue` lists them; `dataset`, `exact`, `training`, `graphs` and `int8` make the digit classifiers, `minilm` the
text embedding; `golden` records what each answers; `artefact` and `push` turn a folder into an OCI artefact in a
registry; `manifests` writes the ModelDeployments with the artefact's digest. `samples` holds digits to send and
`images` draws them; like `artefact`, `push` and `manifests` they need no machine-learning library.
"""
