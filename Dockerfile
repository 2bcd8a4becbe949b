# A server of FlexAvatar: docker build -t flexavatar . ; see docs/operation.md and compose.yaml.
FROM python:3.11-slim-bookworm

RUN apt-get update \
    && apt-get install -y --no-install-recommends libegl1 libgles2 libgl1 libglib2.0-0 g++ \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY constraints.txt pyproject.toml setup.py README.md LICENSE ./
COPY flexavatar flexavatar
COPY plugin_server plugin_server
# torch is asked for first and exactly: a looser range would also match much larger builds of it.
RUN pip install --no-cache-dir -c constraints.txt setuptools torch==2.13.0 \
    && pip install --no-cache-dir -c constraints.txt --no-build-isolation . \
    && useradd --system --uid 10001 --create-home --home-dir /data flexavatar

USER flexavatar
WORKDIR /data
VOLUME /data
ENV FLEXAVATAR_STORE=/data/avatars \
    XDG_CACHE_HOME=/data/cache \
    FLEXAVATAR_LOG_JSON=true
EXPOSE 50051 50052 5556 5557
STOPSIGNAL SIGTERM
# The page is the same with TLS and without; whose certificate it is does not matter from inside.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", "\
import os, ssl, urllib.request; \
scheme = 'https' if os.environ.get('FLEXAVATAR_TLS_CERTIFICATE') else 'http'; \
port = os.environ.get('FLEXAVATAR_HTTP_PORT', '50052'); \
context = ssl._create_unverified_context(); \
urllib.request.urlopen(f'{scheme}://127.0.0.1:{port}/healthz', timeout=4, context=context)"]
ENTRYPOINT ["flexavatar"]
CMD ["serve"]
