# The router, and nothing that it does not need to run.  docs/container.md says how to use it.
#
# Any base will do that has Python >= 3.11, its venv module, a shell and certificate authorities.
# Give it by digest where builds must not change by themselves: --build-arg BASE=python@sha256:...
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# Two environments, so that pip and setuptools stay behind in this stage.
RUN python3 -m venv /build && python3 -m venv --without-pip /opt/inference-router
WORKDIR /src
COPY requirements/build.txt requirements/runtime.txt requirements/
# Each file must have a hash of the lock, and none is compiled.  An index of your own comes as a
# pip.conf in a secret: its password is in no layer, and in no `docker history`.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    /build/bin/pip --python /opt/inference-router/bin/python install --quiet --no-compile \
        --require-hashes --only-binary :all: --requirement requirements/runtime.txt \
    && /build/bin/pip install --quiet \
        --require-hashes --only-binary :all: --requirement requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY router/ router/
RUN /build/bin/pip wheel --quiet --no-deps --no-index --no-build-isolation --wheel-dir /wheels . \
    && /build/bin/pip --python /opt/inference-router/bin/python install --quiet --no-compile \
        --no-deps --no-index /wheels/*.whl
# What a start loads, the interpreter's own library included, is compiled here once: the end image
# keeps nothing, and each of its processes would compile all of it again.
RUN PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=/opt/inference-router/bytecode \
    /opt/inference-router/bin/python -O -c \
        "import router.app.control, router.app.worker, router.app.configuration, router.cli"
COPY --chmod=755 container/healthcheck /opt/inference-router/bin/healthcheck

FROM ${BASE}
# By hand: every base has a shell, not every one has useradd.
RUN echo 'router:x:10001:' >> /etc/group \
    && echo 'router:x:10001:10001::/var/lib/inference-router:/usr/sbin/nologin' >> /etc/passwd \
    && mkdir /etc/inference-router /var/lib/inference-router \
    && chown 10001:10001 /var/lib/inference-router
COPY --from=build /opt/inference-router /opt/inference-router
ENV PATH=/opt/inference-router/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONOPTIMIZE=1 \
    PYTHONPYCACHEPREFIX=/opt/inference-router/bytecode
USER 10001:10001
WORKDIR /var/lib/inference-router
# State, and the sockets between the router's processes: all that is ever written.  As volumes they
# can be written where the root file system cannot.
VOLUME ["/var/lib/inference-router", "/tmp"]
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["healthcheck"]
ENTRYPOINT ["inference-router"]
CMD ["serve", "-c", "/etc/inference-router/router.yaml"]

# At the end: a new revision alone makes no new layer.
ARG BASE
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="inference-router" \
      org.opencontainers.image.description="A progressive-delivery proxy for model servers" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/inference-router/inference-router" \
      org.opencontainers.image.documentation="https://github.com/inference-router/inference-router/tree/main/docs" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${BASE}"
