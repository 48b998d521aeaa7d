"""Lays out the page with Gradio and serves it; nothing is sent to any other server."""

import contextlib
import functools
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.checkpoints.locate import locate
from pipeline.checkpoints.read import load_trained
from pipeline.console import print_note, print_result
from pipeline.errors import InputError
from pipeline.inference.demo.answers import classified, continued, tagged
from pipeline.inference.serving import TextModel, description

_MAX_CHARACTERS = 20_000  # of a text, so that an answer takes seconds at most
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_END_SECONDS = 1  # browsers keep a connection open, for which a server would wait
_OFF = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}
_WHAT = {
    "tagger": "One sentence per line. Each span has its label and its confidence.",
    "classifier": "One text of any number of sentences.",
    "language model": "The text is continued, and its perplexity is computed.",
}


def serve_page(run: str | None, checkpoint: Path | None, host: str, port: int) -> int:
    """Serves the page of a model until Ctrl-C or SIGTERM, and returns the exit code.

    Args:
        run: Run or registered model; None if there is a checkpoint.
        checkpoint: Checkpoint file.
        host: Address of this machine where browsers can reach the page.
        port: Port; 0 chooses a free one.

    Raises:
        InputError: If Gradio is missing, the address cannot be used, or the model cannot read raw
            text.
    """
    _import_gradio()
    with _bound(host, port) as listening:
        trained = load_trained(locate(run, checkpoint))
        name = run or str(checkpoint)
        page = make_page(TextModel(trained), description(trained.model)["kind"], name)
        shown = f"[{host}]" if ":" in host else host
        print_result(f"http://{shown}:{listening.getsockname()[1]}/")
        print_note("Ctrl-C ends the page")
        _serve(make_app(page, host), listening)
    return 0


def make_page(model: TextModel, kind: str, name: str) -> Any:  # noqa: ANN401 (Gradio is optional)
    """Returns the page, a `gradio.Blocks`, of a "tagger", "classifier" or "language model"."""
    gradio = _import_gradio()
    fill: dict[str, Callable[[Any, TextModel], None]] = {
        "tagger": _fill_tagger,
        "classifier": _fill_classifier,
        "language model": _fill_language_model,
    }
    with gradio.Blocks(title=f"Unroll: {name}", analytics_enabled=False) as page:
        gradio.Markdown(f"# {kind.capitalize()} `{name.replace('`', '')}`\n{_WHAT[kind]}")
        fill[kind](gradio, model)
    return page


def make_app(page: Any, host: str) -> Any:  # noqa: ANN401 (Gradio is optional)
    """Returns the page as ASGI application.

    On an address of this machine only, it answers requests for such addresses only; otherwise a web
    page could read it through a host name of its own that resolves to 127.0.0.1.
    """
    from fastapi import FastAPI
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    app = FastAPI(openapi_url=None)
    if host in _LOOPBACK:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*_LOOPBACK, "[::1]"])
    return _import_gradio().mount_gradio_app(
        app,
        page,
        path="/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
    )


def _fill_tagger(gradio: Any, model: TextModel) -> None:  # noqa: ANN401
    text = gradio.Textbox(label="Text", lines=5, max_length=_MAX_CHARACTERS, autofocus=True)
    button = gradio.Button("Tag", variant="primary")
    shown = gradio.HighlightedText(label="Spans", show_legend=False)
    colors: dict[str, str] = {}

    @_explained
    def tag(text: str) -> Any:  # noqa: ANN401
        marked = tagged(model, text, colors)
        return gradio.HighlightedText(value=marked.value, color_map=marked.colors)

    gradio.on([button.click, text.submit], tag, text, shown, api_name="tag")


def _fill_classifier(gradio: Any, model: TextModel) -> None:  # noqa: ANN401
    text = gradio.Textbox(label="Text", lines=5, max_length=_MAX_CHARACTERS, autofocus=True)
    button = gradio.Button("Classify", variant="primary")
    shown = gradio.Label(label="Probabilities")

    @_explained
    def classify(text: str) -> dict[str, float]:
        return classified(model, text)

    gradio.on([button.click, text.submit], classify, text, shown, api_name="classify")


def _fill_language_model(gradio: Any, model: TextModel) -> None:  # noqa: ANN401
    text = gradio.Textbox(label="Text", max_length=_MAX_CHARACTERS, autofocus=True)
    with gradio.Row():
        settings = {
            "temperature": gradio.Slider(0, 2, 1, step=0.05, label="Temperature"),
            "length": gradio.Slider(1, 500, 100, step=1, precision=0, label="Length"),
            "lines": gradio.Slider(1, 20, 1, step=1, precision=0, label="Lines"),
            "seed": gradio.Number(1, minimum=0, maximum=2**32 - 1, precision=0, label="Seed"),
        }
    button = gradio.Button("Continue", variant="primary")
    shown = gradio.Textbox(label="Continuation", lines=3, interactive=False, buttons=["copy"])
    scores = gradio.Textbox(label="Perplexity of the text", interactive=False)

    @_explained
    def extend(text: str, *values: float | None) -> tuple[str, str]:
        return continued(model, text, dict(zip(settings, values, strict=True)))

    inputs = [text, *settings.values()]
    gradio.on([button.click, text.submit], extend, inputs, [shown, scores], api_name="continue")


def _explained(answer: Callable[..., Any]) -> Callable[..., Any]:
    """Shows the sentence of an `InputError` on the page."""

    @functools.wraps(answer)
    def explained(*values: Any) -> Any:  # noqa: ANN401
        try:
            return answer(*values)
        except InputError as error:
            raise _import_gradio().Error(str(error), print_exception=False) from error

    return explained


def _import_gradio() -> Any:  # noqa: ANN401 (an optional package)
    os.environ.update(_OFF)  # read when Gradio is imported
    try:
        import gradio
    except ModuleNotFoundError as error:
        raise InputError(
            f"`unroll demo-page` needs the Python package {error.name}, which is not installed; "
            'install the extra: pip install "unroll[demo]"'
        ) from error
    return gradio


def _bound(host: str, port: int) -> socket.socket:
    """Returns a socket that listens at an address; raises `InputError` if it cannot be used."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"the page cannot be served at {host}, port {port} ({reason}); choose another port "
            "with --port, or an address of this machine with --host"
        ) from error


def _serve(app: Any, listening: socket.socket) -> None:  # noqa: ANN401
    import uvicorn

    config = uvicorn.Config(
        app, log_level="warning", timeout_graceful_shutdown=_END_SECONDS, ws="none"
    )
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
