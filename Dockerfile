# Flux as a container. It brings no PostgreSQL: DATABASE_URL names one (see compose.yaml).
FROM python:3.11-slim

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FLUX_HOST=0.0.0.0 \
    FLUX_DATA_DIR=/data

WORKDIR /app

COPY requirements.txt ./
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements.txt

COPY . .
RUN useradd --system --no-create-home --shell /usr/sbin/nologin flux \
    && install -d -o flux -g flux -m 0700 /data \
    && python -m compileall -q flux_project namespaces events state connectors

USER flux
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM

HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('PORT', '3000') + '/api/health', timeout=4)"]

CMD ["python", "manage.py", "flux"]
