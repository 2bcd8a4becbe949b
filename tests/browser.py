"""A page in Chromium without a window, and ways to ask it by the DevTools protocol."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.service import PATIENCE_S, eventually

CHROMIUM = shutil.which("chromium")


def need_chromium(what: str) -> None:
    """Skip where there is none, and say what was not tested."""
    if CHROMIUM is None:
        pytest.skip(f"not tested: {what}, as there is no chromium here")


class Page:
    """One page."""

    def __init__(self, line: ClientConnection) -> None:
        self._line, self._numbers = line, itertools.count(1)
        self.errors: list[str] = []
        """Exceptions that nobody caught, and what the page's policy has blocked."""

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One call of the protocol."""
        number = next(self._numbers)
        self._line.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (answer := json.loads(self._line.recv(PATIENCE_S))).get("id") != number:
            if answer["method"] == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(answer["params"]["exceptionDetails"]))
            elif answer["method"] == "Log.entryAdded":
                self.errors.append(answer["params"]["entry"]["text"])
        assert "error" not in answer, answer
        return answer["result"]

    def evaluate(self, script: str) -> Any:
        """What an expression is, a promise's result too."""
        answer = self.ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Until an expression is true."""
        eventually(lambda: bool(self.evaluate(f"!!({condition})")))

    def click(self, selector: str) -> None:
        """As a person does who finds it at once."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def choose_file(self, selector: str, path: Path) -> None:
        """In a field for files."""
        root = self.ask("DOM.getDocument")["root"]["nodeId"]
        node = self.ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.ask("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def resize(self, width: int, height: int) -> None:
        """To pixels of the screen."""
        size = {"width": width, "height": height}
        self.ask("Emulation.setDeviceMetricsOverride", deviceScaleFactor=1, mobile=False, **size)

    def picture(self) -> np.ndarray:
        """What is seen of the page [H, W, 4]: BGRA, straight alpha."""
        shot = base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])
        seen = cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_UNCHANGED)
        assert seen is not None, "Chromium writes PNG"
        return seen


@contextmanager
def browsing(folder: Path, url: str, *options: str) -> Iterator[Page]:
    """A page at an address, in a browser of its own with its profile in a folder."""
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--window-size=64,64",
        f"--user-data-dir={folder}", "--remote-debugging-port=0", *options, "about:blank",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
        try:
            told = folder / "DevToolsActivePort"
            eventually(lambda: told.exists() and len(told.read_text().split()) == 2)
            port = told.read_text().split()[0]
            with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=PATIENCE_S) as answer:
                pages = [p for p in json.load(answer) if p["type"] == "page"]
            address = pages[0]["webSocketDebuggerUrl"]
            with connect(address, max_size=None, proxy=None) as line:
                page = Page(line)
                for domain in ("Runtime", "Log", "Page"):
                    page.ask(f"{domain}.enable")
                page.ask("Page.navigate", url=url)
                yield page
        finally:
            browser.terminate()
