"""Pages opened and clicked in a browser without a window: Debian's ``chromium``.

The browser is driven over a pipe, by its own protocol (Chrome DevTools Protocol: JSON, with a null
character after each message), so that no driver and no further package is needed.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run "
    "--disable-extensions --disable-background-networking --disable-sync --mute-audio "
    "--hide-scrollbars --remote-debugging-pipe"
)
_SECONDS = 30.0


class Browser:
    """A browser with one page.

    Attributes
    ----------
    events : list of dict
        What the browser told since the last `open`: requests, messages of the console, errors.
    """

    def __init__(self, profile: Path) -> None:
        read_here, write_there = os.pipe()
        read_there, write_here = os.pipe()
        # sh may know numbers of one digit alone
        shell = (
            f'exec "$0" {_FLAGS} "--user-data-dir=$1" about:blank 3<&{read_there} 4>&{write_there}'
        )
        self._process = subprocess.Popen(
            ["bash", "-c", shell, str(BROWSER), str(profile)],
            pass_fds=(read_there, write_there),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_there)
        os.close(write_there)
        self._read, self._write = read_here, write_here
        self._buffer, self._last, self._session = b"", 0, None
        self.events: list[dict[str, Any]] = []
        try:
            page = {"targetId": self.do("Target.createTarget", url="about:blank")["targetId"]}
            self._session = self.do("Target.attachToTarget", flatten=True, **page)["sessionId"]
            for domain in ("Page", "Runtime", "Network", "Log"):
                self.do(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def do(self, method: str, **params: Any) -> dict[str, Any]:
        """Give a command, and wait for its answer."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + _SECONDS
        while True:
            answer = self._next(until)
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def wait(self, event: str) -> None:
        """Wait until the browser told of an event."""
        until = time.monotonic() + _SECONDS
        while not any(one["method"] == event for one in self.events):
            self._next(until)

    def open(self, page: Path, *, width: int = 1200, dark: bool = False) -> None:
        """Open a file in a window of a width."""
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self.do("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.do("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.do("Page.navigate", url=page.absolute().as_uri())
        self.wait("Page.loadEventFired")

    def js(self, code: str) -> Any:
        """Value of an expression of JavaScript in the page."""
        found = self.do("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"])
        return found["result"].get("value")

    def place(self, selector: str, number: int = 0) -> tuple[float, float]:
        """Middle of an element, after it was brought into view."""
        x, y = self.js(
            f"(() => {{ const e = document.querySelectorAll({selector!r})[{number}];"
            "e.scrollIntoView({block: 'center', inline: 'center'});"
            "const r = e.getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        return x, y

    def click(self, selector: str, number: int = 0) -> None:
        """Click an element with the pointer."""
        x, y = self.place(selector, number)
        for kind in ("mousePressed", "mouseReleased"):
            self.do("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def hover(self, selector: str, number: int = 0) -> None:
        """Move the pointer over an element."""
        x, y = self.place(selector, number)
        self.do("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def press_enter(self) -> None:
        """Press the Enter key where the focus is."""
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
        self.do("Input.dispatchKeyEvent", type="keyDown", **key)
        self.do("Input.dispatchKeyEvent", type="keyUp", **key)

    def errors(self) -> list[str]:
        """What the console holds since the page was opened, and errors of its script."""
        kinds = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"}
        self.js("0")  # so that all events before are read
        return [json.dumps(one["params"]) for one in self.events if one["method"] in kinds]

    def requests(self) -> list[str]:
        """Addresses that the page asked for, itself apart; data inside it are no requests."""
        asked = [
            one["params"]["request"]["url"]
            for one in self.events
            if one["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in asked[1:] if not url.startswith("data:")]

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(
            self.do("Page.printToPDF", printBackground=True, generateDocumentOutline=True)["data"]
        )

    def picture(self, path: Path) -> None:
        """Keep a picture of the whole page."""
        shot = self.do("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """End the browser."""
        with contextlib.suppress(OSError, RuntimeError, TimeoutError):
            self._session = None
            self.do("Browser.close")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def _next(self, until: float) -> dict[str, Any]:
        """The next message of the browser; events are kept."""
        while b"\0" not in self._buffer:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._read], [], [], left)[0]:
                raise TimeoutError("the browser does not answer.")
            part = os.read(self._read, 1 << 20)
            if not part:
                raise RuntimeError("the browser ended.")
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(text)
        if "method" in message:
            self.events.append(message)
        return message
