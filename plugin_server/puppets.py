"""Avatars that are loaded, each once for all the sessions that show it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from weakref import WeakValueDictionary

from plugin_server.engine import Engine, Puppet
from plugin_server.store import Store


class Puppets:
    """Loads avatars, one after the other: it takes a core from the frames. For the event loop.

    Sessions are drawn by one thread, so that they may share a puppet; it goes with the last.
    """

    def __init__(self, engine: Engine, store: Store) -> None:
        self._engine, self._store = engine, store
        self._loaded: WeakValueDictionary[object, Puppet] = WeakValueDictionary()
        self._turn = asyncio.Lock()

    async def get(self, names: Sequence[str]) -> Puppet:
        """The avatar of a name, or of two, one of which becomes the other.

        Raises AvatarNotFoundError, AssetError, InputError.
        """
        async with self._turn:
            return await self._store.in_thread(self._get, tuple(names))

    def _get(self, names: Sequence[str]) -> Puppet:
        key = tuple((name, self._store.identity(name)) for name in names)  # not of a replaced one
        puppet = self._loaded.get(key)
        if puppet is None:
            avatars = [self._store.read(name, self._engine.load) for name in names]
            puppet = self._loaded[key] = self._engine.puppet(*avatars)
        return puppet
