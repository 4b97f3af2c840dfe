# The image of a worker, and of the flow runs of a docker work pool (docs/deployments.md).
# It holds no secret: Prefect's URL and key come from the environment, the accounts from blocks.
FROM python:3.13-slim AS packages
COPY requirements/setup.txt requirements/run.txt /requirements/
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --require-hashes -r /requirements/setup.txt \
    && /opt/venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: \
        -r /requirements/run.txt

FROM python:3.13-slim
RUN useradd --create-home --uid 10001 worker \
    && install --directory --owner=worker /app/results
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY prefect.yaml LICENSE NOTICE ./
COPY blocks/ blocks/
COPY data/ data/
COPY flows/ flows/
COPY prefect_azure_batch/ prefect_azure_batch/
COPY tasks_node/ tasks_node/
# The flow finds its node program beside itself: the packages are not installed.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    DO_NOT_TRACK=1
USER 10001
# Not an ENTRYPOINT: a docker work pool gives each container a command of its own.
CMD ["prefect", "worker", "start", "--pool", "top-words", "--type", "process"]
