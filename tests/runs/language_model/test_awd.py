"""All parts of AWD-LSTM at once, through the command line."""

import pytest
import torch

from tests.configs import part, small_config, write_config
from tests.harness import command, error_of, fit, history, scores

KEYS = ("train/loss", "val/perplexity", "learning_rate", "best/val_perplexity", "tokens_seen")


def awd_config(corpus, **changes):
    encoder = part("LSTM", input_size=8, hidden_size=12, last_size=8, num_layers=3)
    encoder["init_args"] |= {"dropout": 0.2, "variational": True, "weight_dropout": 0.4}
    dropouts = part("pipeline.regularization.Dropouts", words=0.1, inputs=0.2, outputs=0.2)
    everything = {
        "trainer.max_epochs": 3,
        "trainer.val_check_interval": 2,
        "trainer.gradient_clip_val": 0.25,
        "trainer.enable_progress_bar": False,
        "trainer.callbacks": [part("pipeline.callbacks.TriggeredAveraging", interval=1)],
        "data.init_args.bptt": 100,
        "data.init_args.random_bptt": True,
        "model.init_args.encoder": encoder,
        "model.init_args.dropout": dropouts,
        "model.init_args.tie_weights": True,
        "model.init_args.penalty": part("pipeline.regularization.ActivationPenalty"),
        # So high that a validation gets worse early, and the average is the best in the end.
        "model.init_args.optimizer": part("torch.optim.SGD", lr=30.0, weight_decay=1.2e-6),
    }
    return small_config(corpus, **{**everything, **changes})


def best_checkpoint(folder, run):
    return folder / "outputs" / run / "checkpoints" / "best.ckpt"


def test_resumed_is_uninterrupted(project, corpus, monkeypatch, capsys):
    """Resumed after the trigger, within an epoch whose windows are cut at random."""
    config = write_config(project, awd_config(corpus))
    whole = fit(project / "whole", monkeypatch, "--config", config)
    expected = {key: history(project / "whole", whole, key) for key in KEYS}
    told = capsys.readouterr().err
    trigger = int(told.partition("weights are averaged from step ")[2].partition(":")[0])
    assert 6 < trigger < len(expected["train/loss"]) - 6
    best = torch.load(best_checkpoint(project / "whole", whole), weights_only=True)
    folder = project / "broken"
    flags = [f"--trainer.max_steps={trigger + 3}", "--checkpoint_every=1"]
    run = fit(folder, monkeypatch, "--config", config, *flags)
    fit(folder, monkeypatch, "--resume", run, "--trainer.max_steps=-1")
    assert {key: history(folder, run, key) for key in KEYS} == expected
    ours = torch.load(best_checkpoint(folder, run), weights_only=True)
    for key in ("state_dict", "last_weights"):
        torch.testing.assert_close(ours[key], best[key], rtol=0, atol=0)
    capsys.readouterr()
    assert command("validate", "--checkpoint", best_checkpoint(folder, run)) == 0
    scored = scores(capsys.readouterr().out)["val/perplexity"]
    assert scored == pytest.approx(expected["best/val_perplexity"][-1][1], rel=1e-5)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        (
            "--model.encoder.weight_dropout=1",
            "weight_dropout must be at least 0 and below 1, got 1.0",
        ),
        ("--model.dropout.words=1.5", "words of Dropouts must be at least 0 and below 1, got 1.5"),
        ("--model.penalty.alpha=-2", "alpha of ActivationPenalty must be at least 0, got -2.0"),
        ("--data.bptt=4", "bptt must be at least 5 with random_bptt, got 4"),
        ("--trainer.callbacks.interval=0", "interval must be at least 1 validation, got 0"),
        ("--model.dropout=1.5", "dropout must be at least 0 and below 1, got 1.5"),
    ],
)
def test_bad_settings_are_one_sentence(project, corpus, capsys, flag, message):
    config = write_config(project, awd_config(corpus))
    assert message in error_of(capsys, "fit", "--config", config, flag)
    assert not (project / "outputs").exists()
