"""A configuration that lacks its secret, or would store one for several trainings, is refused."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.checkpoints.folder import RunFolder
from pipeline.errors import InputError
from pipeline.run.experiment import Experiment
from pipeline.run.groups.parents import open_parent
from pipeline.run.train import _without_secrets

RUN = RunFolder(Path("outputs/abc"))


def experiment(**init_args: object) -> Experiment:
    part = SimpleNamespace(experiment="lm", name="small")
    return Experiment(part, part, {}, {"data": {"init_args": init_args}, "experiment": None})


def test_a_new_run_stores_no_secret():
    stored = _without_secrets(experiment(api_key="abc", size=3), None)
    assert stored.config["data"]["init_args"] == {"api_key": "***", "size": 3}


def test_a_resumed_run_whose_secret_was_not_stored():
    message = "outputs/abc/config.yaml has no value of data.init_args.api_key, which is a secret"
    with pytest.raises(InputError, match=re.escape(message)):
        _without_secrets(experiment(api_key="***", size=3), RUN)
    kept = experiment(size=3)
    assert _without_secrets(kept, RUN).config == kept.config


def test_a_parent_run_with_a_secret(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    secret = experiment(password="abc", address="http://ann:pw@host/x")
    message = "data.init_args.password, data.init_args.address contains a secret"
    with pytest.raises(InputError, match=re.escape(message)):
        open_parent(secret, "parent", secret.config, {})
    assert not (tmp_path / "outputs").exists()
