"""A page in a real browser: Chromium without a window, driven over its DevTools pipe by the standard library.

with Browser() as browser:
    tab = browser.open("news.html")
    tab.run("document.title")
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

__all__ = ["Browser", "Tab", "chromium"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    *("--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--remote-debugging-pipe", "--hide-scrollbars"),
    *("--disable-dev-shm-usage", "--disable-extensions", "--font-render-hinting=none"),
    "--no-sandbox",  # containers have none, and the pages are our own
)


def chromium() -> str | None:
    """Return the path of a browser; None if there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


class Browser:
    """A browser of its own profile, which ends with the `with` block."""

    def __enter__(self) -> Self:
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs_in, self._write = os.pipe()
        self._read, theirs_out = os.pipe()
        # The browser reads commands from file descriptor 3 and writes answers to 4.
        command = [str(chromium()), *_FLAGS, f"--user-data-dir={self._profile.name}"]
        shell = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", shell, "bash", *command, "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._count, self._rest, self.events = 0, b"", []
        return self

    def __exit__(self, *_: object) -> None:
        self.call("Browser.close")
        self._process.wait(30)
        os.close(self._write)
        os.close(self._read)
        self._profile.cleanup()

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol and return its result; events go into `events`."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        message |= {} if session is None else {"sessionId": session}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next(300)
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _next(self, seconds: float) -> dict[str, Any]:
        """Return the next message of the browser."""
        while b"\0" not in self._rest:
            if not select.select([self._read], [], [], seconds)[0]:
                raise TimeoutError("The browser does not answer.")
            part = os.read(self._read, 2**20)
            if not part:
                raise RuntimeError("The browser ended.")
            self._rest += part
        raw, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(raw)
        if "method" in message:
            self.events.append(message)
        return message

    def open(self, path: str | os.PathLike[str], ready: bool = True, **media: str) -> "Tab":
        """Open a page in a tab of its own, and wait until it is ready.

        Args:
          path: the page.
          ready: whether to wait.
          media: media features, as `Tab.media` takes them.
        """
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.call(f"{domain}.enable")
        if media:
            tab.media(**media)
        tab.call("Page.navigate", url=Path(path).resolve().as_uri())
        if ready:
            tab.until("document.body?.dataset.ready !== undefined")
        return tab


class Tab:
    """One page."""

    def __init__(self, browser: Browser, session: str):
        self.browser, self.session = browser, session

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol for this page."""
        return self.browser.call(method, self.session, **parameters)

    def run(self, code: str) -> Any:
        """Evaluate JavaScript in the page, await it, and return its value."""
        found = self.call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"].get("exception", {}).get("description", str(found)))
        return found["result"].get("value")

    def ask(self, function: str, *values: Any) -> Any:
        """Call a function of the page with values that JSON can hold."""
        return self.run(f"({function})({', '.join(map(json.dumps, values))})")

    def until(self, condition: str, seconds: float = 120) -> None:
        """Wait until a condition of the page holds."""
        end = time.monotonic() + seconds
        while not self.run(condition):
            if time.monotonic() > end:
                raise TimeoutError(f"{condition} does not become true; the page said {self.said()}.")
            time.sleep(0.01)

    def said(self) -> list[str]:
        """Return what the page wrote to the console, errors and violations of its policy among it."""
        texts = {
            "Runtime.consoleAPICalled": lambda event: str(event["args"]),
            "Runtime.exceptionThrown": lambda event: str(event["exceptionDetails"]),
            "Log.entryAdded": lambda event: event["entry"]["text"],
        }
        return [texts[name](event) for name, event in self._events() if name in texts]

    def requested(self) -> list[str]:
        """Return the addresses that the page asked for, itself among them."""
        return [
            event["request"]["url"] for name, event in self._events() if name == "Network.requestWillBeSent"
        ]

    def _events(self) -> list[tuple[str, dict[str, Any]]]:
        self.call("Runtime.evaluate", expression="0")  # what was on its way has come
        events = [event for event in self.browser.events if event.get("sessionId") == self.session]
        return [(event["method"], event["params"]) for event in events]

    def press(self, key: str, code: int = 0, text: str = "") -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                **({"text": text} if text and kind == "keyDown" else {}),
            )

    def type(self, text: str) -> None:
        """Put text where the cursor is, as a keyboard does."""
        self.call("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Click the middle of an element with the mouse."""
        where = (
            "(e => {e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2]})"
        )
        x, y = self.run(f"{where}(document.querySelector({json.dumps(selector)}))")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def media(self, **features: str) -> None:
        """Emulate media features: `prefers_color_scheme="dark"`."""
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=listed)

    def size(self, width: int, height: int, scale: float = 1) -> None:
        """Make the window this large."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=False,
        )

    def picture(self, clip: Sequence[float] | None = None) -> bytes:
        """Return a PNG of the window, or of the whole page within x, y, width and height."""
        extra: dict[str, Any] = {}
        if clip:
            extra = {"captureBeyondViewport": True}
            extra["clip"] = dict(zip(("x", "y", "width", "height"), clip, strict=True)) | {"scale": 1}
        return base64.b64decode(self.call("Page.captureScreenshot", format="png", **extra)["data"])
