"""What the publisher knows of its readers, whatever strangers tell it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from plugin_server.config import ServerConfig
from plugin_server.publisher import Publisher
from plugin_server.subscriptions import TOPICS_EACH
from tests.service import eventually
from tests.zmtp import subscribe, subscriber

NAME, OTHER = b"a topic", b"another"


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with closing(Publisher(ServerConfig(frame_port=0))) as opened:
        yield opened


def wait_for(publisher: Publisher, *names: bytes) -> None:
    """Until all of these have come."""
    left = set(names)

    def all_came() -> bool:
        left.difference_update(publisher.new_subscriptions())
        return not left

    eventually(all_came)


def wait_until_left(publisher: Publisher, name: bytes) -> None:
    """Until nobody reads it any more."""

    def has_left() -> bool:
        publisher.new_subscriptions()
        return not publisher.has_subscriber(name)

    eventually(has_left)


@contextmanager
def reader_of(publisher: Publisher, name: bytes) -> Iterator[None]:
    """Somebody who reads it meanwhile, and leaves nothing behind."""
    with subscriber(publisher.address) as line:
        subscribe(line, name)
        wait_for(publisher, name)
        yield
        assert publisher.has_subscriber(name)
    wait_until_left(publisher, name)


def test_nobody_takes_back_what_others_read(publisher: Publisher) -> None:
    with reader_of(publisher, NAME), subscriber(publisher.address) as stranger:
        for _ in range(2):
            subscribe(stranger, NAME, joins=False)
        subscribe(stranger, OTHER)
        wait_for(publisher, OTHER)


def test_twice_is_once(publisher: Publisher) -> None:
    with subscriber(publisher.address) as stranger:
        for name in (NAME, NAME, OTHER):
            subscribe(stranger, name)
        wait_for(publisher, OTHER)
        subscribe(stranger, NAME, joins=False)
        wait_until_left(publisher, NAME)
        for name in (NAME, NAME):
            subscribe(stranger, name)
        wait_for(publisher, NAME)
    wait_until_left(publisher, NAME)


def test_who_is_refused_takes_nothing_along(publisher: Publisher) -> None:
    """Of a connection's end ZeroMQ also tells the topics that it was not given."""
    with reader_of(publisher, NAME):
        with subscriber(publisher.address) as stranger:
            own = [b"%d of its own" % number for number in range(TOPICS_EACH)]
            for name in (*own, NAME):
                subscribe(stranger, name)
            wait_for(publisher, *own)
        wait_until_left(publisher, own[-1])


def test_one_reader_leaves_room_for_others(publisher: Publisher) -> None:
    with subscriber(publisher.address) as stranger:
        for number in range(5000):
            subscribe(stranger, b"%04d" % number)
        with reader_of(publisher, NAME):
            assert not publisher.has_subscriber(b"%04d" % 4999)
