"""The server of the demo: no telemetry, bounded requests, and a folder of uploads that is removed at the end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

from geocell.demo.uploads import MOST_BYTES, MOST_PHOTOGRAPHS
from geocell.files.workspace import workspace

if TYPE_CHECKING:
    from geocell.demo.app import Demo

LOCAL = "127.0.0.1"
MOST_REQUEST_BYTES = MOST_PHOTOGRAPHS * MOST_BYTES + (1 << 20)
"""Of one request: the largest is an upload of all photographs."""
_WAITING = 32  # requests that may wait for the head

Message = MutableMapping[str, Any]


def require_gradio() -> None:
    """Refuse to go on without Gradio.

    Raises:
        ModuleNotFoundError: when the extra `demo` is not installed.
    """
    if find_spec("gradio") is None:
        raise ModuleNotFoundError(
            'the demo needs gradio, which is not installed: run pip install "geocell-heads[demo]".', name="gradio"
        )


@dataclass(frozen=True)
class Served:
    """A demo that runs.

    Attributes:
        address: where it is.
        public: where everybody on the net finds it, "" when it is not shared.
    """

    address: str
    public: str = ""


@contextmanager
def serving(
    demo: Demo, title: str, about: str, *, host: str | None = LOCAL, port: int | None = None, share: bool = False
) -> Iterator[Served]:
    """Run the demo in threads of this process until the block ends; its uploads lie in a folder that is then removed.

    Args:
        demo: what the widgets do.
        title: heading of the page.
        about: a line below it.
        host: address to listen on; that of Gradio's own environment when None, as a Space needs it.
        port: port to listen on, the first free one from 7860 on when None.
        share: also make it public by Gradio's tunnel.

    Raises:
        ModuleNotFoundError: when the extra `demo` is not installed.
        OSError: when the port is taken.
    """
    require_gradio()
    uploads = Path(gettempdir()).resolve() / "geocell-demo"
    with _ending_well(), workspace(uploads) as folder, _environment(_settings(folder)):
        from starlette.middleware import Middleware

        from geocell.demo.app import build

        blocks = build(replace(demo, folder=folder), title, about)
        blocks.queue(max_size=_WAITING)
        try:
            _, local, public = blocks.launch(
                server_name=host,
                server_port=port,
                share=share,
                prevent_thread_lock=True,
                quiet=True,
                inbrowser=False,
                show_error=False,
                footer_links=[],
                run_history=False,
                enable_monitoring=False,
                ssr_mode=False,
                pwa=False,
                mcp_server=False,
                max_file_size=MOST_BYTES,
                theme=_theme(),
                css=files("geocell.demo").joinpath("demo.css").read_text(encoding="utf-8"),
                app_kwargs={"middleware": [Middleware(BoundedRequests)], "docs_url": None, "redoc_url": None},
            )
            yield Served(local.rstrip("/"), (public or "").rstrip("/"))
        finally:
            blocks.close(verbose=False)


def wait() -> None:
    """Wait until Ctrl-C, or until the process is asked to end."""
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return


@contextmanager
def _ending_well() -> Iterator[None]:
    """Let SIGTERM end the block as the end of the program would, so that the folder of uploads is removed."""
    if threading.current_thread() is not threading.main_thread():  # where no handler can be set
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _settings(folder: Path) -> dict[str, str]:
    return {
        "GRADIO_TEMP_DIR": str(folder),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _theme() -> Any:  # noqa: ANN401 - a theme of Gradio
    """Return a theme whose fonts are those of the machine: Gradio's own would be asked for on the net."""
    import gradio as gr

    fonts = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif"]
    return gr.themes.Default(
        primary_hue="blue", font=fonts, font_mono=["ui-monospace", "DejaVu Sans Mono", "monospace"]
    )


Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class BoundedRequests:
    """Refuses requests with a larger body than any of the demo has, by what they claim and by what arrives.

    Gradio bounds each uploaded file, and not how many one request brings.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], most_bytes: int = MOST_REQUEST_BYTES) -> None:
        """Wrap an ASGI application."""
        self._app, self._most = app, most_bytes

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer 413 to a request that is too large, and let all others through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        claimed = next((value for name, value in scope["headers"] if name.lower() == b"content-length"), b"0")
        if not claimed.isdigit() or int(claimed) > self._most:
            await send({"type": "http.response.start", "status": 413, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"The upload is too large."})
            return
        arrived = 0

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            # a body without a length goes on for as long as its sender likes: to the application, the sender is gone
            return {"type": "http.disconnect"} if arrived > self._most else message

        await self._app(scope, counted, send)
