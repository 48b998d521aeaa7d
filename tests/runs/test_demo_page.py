"""The demo page in a real browser: Chromium, driven by Playwright, neither of which is required."""

import json
import shutil
import signal

import pytest

from tests.harness import command, fit, start, wait_for

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
LIMITS = ("--trainer.max_epochs=3", "--trainer.limit_val_batches=1")


@pytest.fixture
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def marked_words(text, spans):
    for span in sorted(spans, key=lambda span: -span["end"]):
        label = f" {span['label']} {span['confidence']:.2f} "
        text = text[: span["end"]] + label + text[span["end"] :]
    return text.split()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "text", "button"),
    [
        ("tagging/builtin-bilstm-crf", "The minister criticized the plan .", "Tag"),
        ("sentiment/builtin-dan", "A dull film .", "Classify"),
        ("lm/builtin-lstm", "the boys", "Continue"),
    ],
)
def test_a_person_tries_a_model(config, text, button, project, monkeypatch, capsys, browser):
    pytest.importorskip("gradio")
    run = fit(project, monkeypatch, "--config", config, *LIMITS)
    process = start("demo-page", "--run", run, "--port", "0", PYTHONUNBUFFERED="1")
    address = process.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:")
    page = browser.new_page()
    hosts = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.goto(address, timeout=60_000)
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_role("button", name=button, exact=True).click()
    (project / "text.txt").write_text(text + "\n")
    capsys.readouterr()
    if config.startswith("tagging"):
        assert command("predict", "--run", run, "--input", "text.txt", "--as", "jsonl") == 0
        spans = json.loads(capsys.readouterr().out)["spans"]
        page.get_by_text("criticized").first.wait_for(timeout=30_000)
        words = page.locator(".textfield").inner_text().split()  # each label is after its span
        assert words == marked_words(text, spans)
        assert spans != []
    elif config.startswith("sentiment"):
        page.get_by_test_id("label-output-value").wait_for(timeout=30_000)
        assert command("predict", "--run", run, "--input", "text.txt", "--as", "text") == 0
        label = capsys.readouterr().out.split()[0]
        assert page.get_by_test_id("label-output-value").inner_text() == label
    else:
        assert command("generate", "--run", run, "--prompt", text, "--num", 1) == 0
        expected = capsys.readouterr().out.rstrip("\n")
        shown = page.locator("textarea").nth(1)
        wait_for(lambda: page.wait_for_timeout(100) or shown.input_value(), 30)
        assert shown.input_value() == expected
    assert hosts == {address.split("/")[2]}
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
