# The image: Python, the adapter and the libraries that both load, in a root that is empty otherwise.
# docs/image.md says what is in it and why; deploy/image/build.sh builds it for both architectures with the base pinned.

# 3.11: the Python that every test runs on and that the lock is resolved for. Slim and trixie: Debian 13 has security support.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-trixie
# "sha256:..." of the index of that image. build.sh asks the registry for it, pins it and records it; empty follows the tag.
ARG PYTHON_DIGEST=

FROM ${PYTHON_IMAGE}${PYTHON_DIGEST:+@${PYTHON_DIGEST}} AS build
# Seconds since 1970 that files are dated with; 1980-01-01, where the calendar of wheels begins, unless build.sh gives the commit's.
ARG SOURCE_DATE_EPOCH=315532800
# Hashes with a fixed seed, so that sets are written into bytecode in one order.
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} \
    PYTHONHASHSEED=0 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# Locked packages first: a change of ours leaves them in the builder's cache. Wheels alone: nothing is compiled.
COPY requirements.txt ./
RUN ["python3", "-m", "venv", "--without-pip", "/opt/tidegauge"]
RUN ["python3", "-m", "pip", "--python", "/opt/tidegauge", "install", "--require-hashes", "--only-binary=:all:", "--no-compile", "-r", "requirements.txt"]

# What builds our wheel, apart from what runs.
COPY deploy/image/requirements-build.txt ./
RUN ["python3", "-m", "venv", "--without-pip", "/opt/builder"]
RUN ["python3", "-m", "pip", "--python", "/opt/builder", "install", "--require-hashes", "--only-binary=:all:", "-r", "requirements-build.txt"]

COPY pyproject.toml README.md LICENSE ./
COPY config config
COPY adapter adapter
RUN ["/opt/builder/bin/python", "-m", "hatchling", "build", "--target", "wheel", "--directory", "/build/dist"]
RUN ["python3", "-m", "pip", "--python", "/opt/tidegauge", "install", "--no-index", "--no-deps", "--no-compile", "--find-links=/build/dist", "tidegauge"]

COPY deploy/image/rootfs.py ./
RUN ["python3", "rootfs.py", "/opt/tidegauge", "/rootfs"]


FROM scratch
ARG PYTHON_IMAGE
ARG PYTHON_DIGEST
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="tidegauge" \
      org.opencontainers.image.description="A Kubernetes custom-metrics adapter for Prometheus that can explain each answer" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/tidegauge/tidegauge" \
      org.opencontainers.image.documentation="https://github.com/tidegauge/tidegauge/tree/main/docs" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}" \
      org.opencontainers.image.base.digest="${PYTHON_DIGEST}"
COPY --from=build /rootfs/ /
# The authorities of Debian, for Prometheus behind a public certificate; a file mounted there replaces them.
ENV PATH=/opt/tidegauge/bin \
    LANG=C.UTF-8 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# The folder that may be written, so that --cert-dir, whose default is a relative path, works as it is.
WORKDIR /tmp
USER 10001:10001
EXPOSE 6443
STOPSIGNAL SIGTERM
# No HEALTHCHECK: Kubernetes ignores it and has probes, which ask /livez and /readyz over HTTPS.
ENTRYPOINT ["/adapter"]
