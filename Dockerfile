# syntax=docker/dockerfile:1
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
# The second constraint is that of the build backend, which pip installs apart.
ENV PIP_CONSTRAINT=/src/constraints.txt PIP_BUILD_CONSTRAINT=/src/constraints.txt \
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/aura
COPY constraints.txt pyproject.toml README.md LICENSE ./
# Dependencies make a layer of their own, which a change of the code leaves as it is.
RUN mkdir aura_py && printf '__version__ = "0"\n' > aura_py/__init__.py \
    && /opt/aura/bin/python -m pip install --only-binary :all: --no-binary aura_py '.[all]' \
    && /opt/aura/bin/python -m pip uninstall --yes aura_py
COPY aura_py ./aura_py
RUN /opt/aura/bin/python -m pip install --no-deps . \
    && /opt/aura/bin/python -m pip uninstall --yes setuptools pip \
    && /opt/aura/bin/python -m compileall -q -j 0 /opt/aura/lib

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Aura" \
      org.opencontainers.image.description="Agents from TOML files behind an OpenAI-compatible API" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN python -m pip uninstall --yes setuptools wheel pip \
    && rm -rf /usr/local/lib/python3*/ensurepip /root/.cache \
    && groupadd --gid 1000 appuser \
    && useradd --uid 1000 --gid 1000 --no-create-home --home-dir /app --shell /usr/sbin/nologin appuser
WORKDIR /app
COPY --from=build /opt/aura /opt/aura
COPY deployment/image/aura deployment/image/aura-web-server ./
RUN mkdir config skills && chown appuser:appuser config skills
ENV PATH=/opt/aura/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=3030 \
    CONFIG_PATH=/app/config/config.toml
USER 1000:1000
EXPOSE 3030
HEALTHCHECK --interval=30s --timeout=10s --start-period=5s --retries=3 CMD ["./aura", "health"]
CMD ["./aura-web-server"]
