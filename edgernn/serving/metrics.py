"""What Prometheus reads."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)


class Metrics:
    """The figures of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.streams = Gauge("edgernn_streams", "Connections that have a stream", registry=r)
        self.parked = Gauge("edgernn_parked_states", "States of clients that have gone", registry=r)
        self.frames = Counter("edgernn_frames", "Frames computed", registry=r)
        self.closed = Counter("edgernn_closed", "Connections ended by the server", ["reason"], registry=r)
        self.slowed = Counter("edgernn_slowed", "Times that a client was slowed down", registry=r)
        self.batch = Histogram("edgernn_batch_streams", "Streams computed together", registry=r, buckets=BATCHES)
        self.latency = Histogram("edgernn_answer_seconds", "From a message to its answer", registry=r, buckets=SECONDS)

    def batched(self, streams: int, frames: int) -> None:
        """A batch has been computed."""
        self.batch.observe(streams)
        self.frames.inc(frames)

    def text(self) -> bytes:
        """Prometheus's exposition format."""
        return generate_latest(self.registry)
