FROM python:3.12-slim
RUN apt-get update && apt-get install -y --no-install-recommends make bubblewrap fonts-noto-core && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home sutradhar && install -d -o sutradhar /opt/sutradhar \
    && install -d -o sutradhar /home/sutradhar/.sutradhar /home/sutradhar/.cache/sutradhar
WORKDIR /opt/sutradhar
USER sutradhar
COPY --chown=sutradhar . .
RUN make setup
CMD [".venv/bin/sutradhar", "up"]
