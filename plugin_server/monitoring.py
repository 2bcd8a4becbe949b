"""What an operator's tools ask over HTTP: /healthz, /readyz and Prometheus' /metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from plugin_server.background import Watch
from plugin_server.creation import Creations
from plugin_server.frameloop import FrameLoop
from plugin_server.http_server import Page
from plugin_server.publisher import Publisher
from plugin_server.session import LastFrame
from plugin_server.sessions import Sessions
from plugin_server.shutdown import Shutdown

FRAME_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.033, 0.05, 0.1, 0.2, 0.5, 1.0)
CREATE_SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)


class Monitoring:
    """Looks at the server's parts when it is asked; only durations are noted as they happen."""

    def __init__(
        self,
        sessions: Sessions,
        creations: Creations,
        frame_loop: FrameLoop,
        publisher: Publisher,
        watch: Watch,
        shutdown: Shutdown,
    ) -> None:
        self._sessions, self._creations, self._frame_loop = sessions, creations, frame_loop
        self._publisher, self._watch, self._shutdown = publisher, watch, shutdown
        self._registry = CollectorRegistry()
        self._registry.register(self)
        frame_s = self._histogram("frame_seconds", "Work of the render thread on one frame")
        delay_s = self._histogram("drive_to_frame_seconds", "From a signal's arrival to its frame")

        def on_frame(frame: LastFrame) -> None:
            frame_s.observe(frame.frame_ms / 1e3)
            if frame.delay_s is not None:
                delay_s.observe(frame.delay_s)

        frame_loop.on_frame = on_frame
        create_s = Histogram(
            "flexavatar_create_seconds", "Making of one avatar", buckets=CREATE_SECONDS,
            registry=self._registry,
        )  # fmt: skip
        creations.on_created = create_s.observe

    def _histogram(self, name: str, what: str) -> Histogram:
        return Histogram(f"flexavatar_{name}", what, buckets=FRAME_SECONDS, registry=self._registry)

    def describe(self) -> Iterable[Metric]:
        """Nothing: asking for names must not look at a server that starts."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """What holds now."""
        running = self._sessions.running()
        yield _gauge("sessions", "Sessions that run", len(running))
        yield _gauge("session_limit", "Sessions that may run", self._sessions.limit)
        yield _gauge("creations", "Avatars being made, uploaded or waiting", len(self._creations))
        yield _gauge("worker_load", "Busy share of the render thread", self._frame_loop.load)
        skews = [skew for s in running if (skew := s.av_skew_s) is not None]
        yield _gauge(
            "av_skew_seconds", "Largest lag of a face behind its sound", max(skews, default=0)
        )
        yield _gauge("problems", "What has failed in the last seconds", len(self.problems))
        dropped = CounterMetricFamily("flexavatar_frames_dropped", "Signals gone undrawn")
        dropped.add_metric([], self._sessions.replaced())
        yield dropped

    @property
    def problems(self) -> list[str]:
        """What does not run as it should."""
        dead = [] if self._frame_loop.alive else ["the render thread has ended"]
        return [*dead, *self._watch.problems, *self._publisher.problems]

    @property
    def pages(self) -> Mapping[str, Page]:
        """By path."""
        return {"/healthz": self._health, "/readyz": self._readiness, "/metrics": self._metrics}

    def _health(self) -> tuple[int, str]:
        """Whether the process should live on: its render thread does."""
        if self._frame_loop.alive and not self._publisher.problems:
            return HTTPStatus.OK, "alive"
        return HTTPStatus.SERVICE_UNAVAILABLE, "\n".join(self.problems)

    def _readiness(self) -> tuple[int, str]:
        """Whether new work should come here."""
        if self._shutdown.begun:
            return HTTPStatus.SERVICE_UNAVAILABLE, "stopping"
        if self.problems:
            return HTTPStatus.SERVICE_UNAVAILABLE, "\n".join(self.problems)
        return HTTPStatus.OK, "ready"

    def _metrics(self) -> tuple[int, str]:
        return HTTPStatus.OK, generate_latest(self._registry).decode()


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"flexavatar_{name}", what, value=value)
