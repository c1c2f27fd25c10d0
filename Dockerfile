# Two images: `operator` (controller and fetch) and `triton-cpu` (Triton on machines without a GPU or NVIDIA's registry).
# A production build pins the base: --build-arg BASE=python:3.11-slim-bookworm@sha256:...
# Builds with Docker (BuildKit) and with buildah; `python -m plimsoll_dev.images build` chooses and passes the arguments.
ARG BASE=python:3.11-slim-bookworm

# ---- what both build stages share -----------------------------------------------------------------------------------
FROM ${BASE} AS tools
# Of the machine that builds. As arguments of build stages they reach no image.
ARG PIP_INDEX_URL
ARG PIP_CERT
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python3 -m venv tools

# ---- operator -------------------------------------------------------------------------------------------------------
# Apart from the source, which changes far more often. The C compiler is the base's own; it reaches no image.
FROM tools AS operator-packages
ARG PIP_INDEX_URL
ARG PIP_CERT
RUN apt-get update --quiet \
    && headers="$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')" \
    && apt-get install --yes --quiet --no-install-recommends \
        gcc libc6-dev $(test -e "$headers/Python.h" || echo libpython3-dev) \
    && rm -rf /var/lib/apt/lists/*
COPY requirements.lock requirements-compile.lock ./
RUN --mount=type=secret,id=ca-bundle,target=/run/ca-bundle.pem --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv --without-pip /opt/plimsoll \
    && tools/bin/pip --python /opt/plimsoll/bin/python install --no-deps --require-hashes --only-binary :all: -r requirements.lock \
    && tools/bin/pip install --no-deps --require-hashes --only-binary :all: -r requirements-compile.lock

FROM operator-packages AS operator-build
COPY operator/plimsoll package/plimsoll
COPY operator/plimsoll_dev/images/compile_hot_path.py ./
# Where packages are is the base's to say: its path holds the version of Python.
# The root file system is read-only in a pod: bytecode that is not here is compiled again at every start.
RUN --mount=type=cache,target=/root/.cache/hot-path \
    packages="$(/opt/plimsoll/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
    && tools/bin/python compile_hot_path.py package /root/.cache/hot-path /opt/plimsoll/bin/python \
    && cp -r package/. "$packages/" \
    && /opt/plimsoll/bin/python -m compileall -q "$packages/plimsoll" \
    && printf '#!/opt/plimsoll/bin/python\nfrom plimsoll.__main__ import main\n\nraise SystemExit(main())\n' > /opt/plimsoll/bin/plimsoll \
    && chmod 755 /opt/plimsoll/bin/plimsoll

FROM ${BASE} AS operator
ARG VERSION=unknown
LABEL org.opencontainers.image.title="plimsoll operator" \
      org.opencontainers.image.description="Controller and model fetcher of the Plimsoll operator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
ENV PATH=/opt/plimsoll/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=operator-build /opt/plimsoll /opt/plimsoll
USER 10001:10001
ENTRYPOINT ["plimsoll"]

# ---- triton-cpu -----------------------------------------------------------------------------------------------------
FROM tools AS triton-server
ARG PIP_INDEX_URL
ARG PIP_CERT
COPY requirements-triton.lock operator/plimsoll_dev/images/triton_cpu.py ./
RUN --mount=type=secret,id=ca-bundle,target=/run/ca-bundle.pem --mount=type=cache,target=/root/.cache/pip \
    tools/bin/pip install --no-deps --require-hashes --only-binary :all: -r requirements-triton.lock --target site \
    && python3 triton_cpu.py site /opt/tritonserver \
    && rm -r site

FROM ${BASE} AS triton-cpu
ARG VERSION=unknown
LABEL org.opencontainers.image.title="plimsoll triton-cpu" \
      org.opencontainers.image.description="Triton Inference Server on the CPU, laid out like the official image" \
      org.opencontainers.image.licenses="Apache-2.0 AND BSD-3-Clause AND MIT" \
      org.opencontainers.image.version="${VERSION}"
# The order of the official image: `tritonserver` is found, and no entry point stands before the pod's arguments.
ENV PATH=/opt/tritonserver/bin:$PATH
COPY --from=triton-server /opt/tritonserver /opt/tritonserver
USER 10001:10001
CMD ["tritonserver", "--help"]
# Last, so that editing a backend rebuilds nothing else.
COPY operator/triton-cpu/onnxruntime /opt/tritonserver/backends/onnxruntime
