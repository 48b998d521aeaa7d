"""Messages for wrong flags; Lightning's parser refuses each of these flags as well."""

import pytest

from pipeline.preflight import check
from tests.unit.pipeline.preflight.kit import OPTIONS, PACKAGES, accepted, complaint, split

MISTAKES = {
    "--model.encodr.hidden_size=3": (
        "unknown flag --model.encodr.hidden_size: kit.tasks.Model has no parameter 'encodr'; "
        "did you mean 'encoder'?"
    ),
    "--model.encoder.hiden_size 3": (
        "unknown flag --model.encoder.hiden_size: kit.encoders.LSTM has no parameter "
        "'hiden_size'; did you mean 'hidden_size'?"
    ),
    "--model.init_args.encoder.init_args.hiden_size=3": (
        "unknown flag --model.init_args.encoder.init_args.hiden_size: kit.encoders.LSTM has "
        "no parameter 'hiden_size'; did you mean 'hidden_size'?"
    ),
    "--model.encoder=GRU --model.encoder.dropout=0.5": (
        "unknown flag --model.encoder.dropout: kit.encoders.GRU has no parameter 'dropout'; "
        "known are hidden_size, input_size, reset"
    ),
    "--model.encoder=TwinGRU --model.encoder.rest=after": (
        "unknown flag --model.encoder.rest: kit.encoders.TwinGRU has no parameter 'rest'; "
        "did you mean 'reset'?"
    ),
    "--model.encoder={class_path: GRU, init_args: {rest: 1}}": (
        "unknown key model.encoder.init_args.rest in --model.encoder: kit.encoders.GRU has "
        "no parameter 'rest'; did you mean 'reset'?"
    ),
    "--model.encoder={class_path: GRU, init_arg: {}}": (
        "unknown key model.encoder.init_arg in --model.encoder: next to class_path only "
        "init_args and dict_kwargs can stand, not 'init_arg'; did you mean 'init_args'?"
    ),
    "--model.encoder=LSTN": ("flag --model.encoder: unknown class LSTN; did you mean LSTM?"),
    "--model.encoder=Wavelet": (
        "flag --model.encoder: unknown class Wavelet; known are Free, GRU, LSTM, TwinGRU"
    ),
    "--model.encoder=kit.encoders.nets.LSTN": (
        "flag --model.encoder: unknown class kit.encoders.nets.LSTN: module "
        "kit.encoders.nets has no 'LSTN'; did you mean kit.encoders.nets.LSTM?"
    ),
    "--model.encoder=kit.encodrs.LSTM": (
        "flag --model.encoder: unknown class kit.encodrs.LSTM: module kit has no 'encodrs'; "
        "did you mean kit.encoders.LSTM?"
    ),
    "--model.encoder=kits.LSTM": (
        "flag --model.encoder: unknown class kits.LSTM: there is no module 'kits'"
    ),
    "--model=Modle": ("flag --model: unknown class Modle; did you mean Model?"),
    "--model.optimizer=SDG": ("flag --model.optimizer: unknown class SDG; did you mean SGD?"),
    "--model.optimizer=torch.optim.SDG": (
        "flag --model.optimizer: unknown class torch.optim.SDG: module torch.optim has no "
        "'SDG'; did you mean torch.optim.SGD?"
    ),
    "--model.optimizer.momentun=0.9": (
        "unknown flag --model.optimizer.momentun: torch.optim.SGD has no parameter "
        "'momentun'; did you mean 'momentum'?"
    ),
    "--model.lr_scheduler.gama=2": (
        "unknown flag --model.lr_scheduler.gama: torch.optim.lr_scheduler.StepLR has no "
        "parameter 'gama'; did you mean 'gamma'?"
    ),
    "--model.head.bais=true": (
        "unknown flag --model.head.bais: kit.tasks.Head has no parameter 'bais'; did you "
        "mean 'bias'?"
    ),
    "--trainer.max_epoks=3": (
        "unknown flag --trainer.max_epoks: lightning.Trainer has no parameter 'max_epoks'; "
        "did you mean 'max_epochs'?"
    ),
    "--trainer.callbacks=[{class_path: EarlyStopping, init_args: {monitr: x}}]": (
        "unknown key trainer.callbacks.init_args.monitr in --trainer.callbacks: "
        "lightning.pytorch.callbacks.EarlyStopping has no parameter 'monitr'; did you mean "
        "'monitor'?"
    ),
    "--trainer.callbacks+=EarlyStoping": (
        "flag --trainer.callbacks: unknown class EarlyStoping; did you mean EarlyStopping?"
    ),
    "--modle.rate=3": (
        "unknown flag --modle.rate: there is no field 'modle'; did you mean 'model'?"
    ),
    "--checkpoint.every_m=3": (
        "unknown flag --checkpoint.every_m: there is no field "
        "'checkpoint.every_m'; did you mean 'checkpoint.every_n'?"
    ),
    "--checkpoint.every_n=often": (
        "flag --checkpoint.every_n: expected a whole number or null, got 'often'"
    ),
    "--model.noise=Noize": ("flag --model.noise: unknown class Noize; did you mean Noise?"),
    "--model.noise=loud": (
        "flag --model.noise: expected a number or the name of a class (Noise), got 'loud'"
    ),
    "--model.noise=true": (
        "flag --model.noise: expected a number or the name of a class (Noise), got 'true'"
    ),
    "--model.encoder=3": ("flag --model.encoder: expected the name of a class (Encoder), got '3'"),
    "--model.start=Stert --model.start.rate=2": (
        "flag --model.start: unknown class Stert; did you mean Start?"
    ),
    "--model.start=begin --model.start.rate=2": (
        "flag --model.start: unknown class begin; known are Start"
    ),
    "--data.bptt": ("flag --data.bptt has no value; write --data.bptt=VALUE"),
    "--data.shuffle --data.bptt=3": (
        "flag --data.shuffle has no value; write --data.shuffle=VALUE"
    ),
    "--data.bptt=3.5": ("flag --data.bptt: expected a whole number, got '3.5'"),
    "--data.bptt=[3]": ("flag --data.bptt: expected a whole number, got [3]"),
    "--data.bptt.x=3": ("unknown flag --data.bptt.x: 'bptt' is a value without keys"),
    "--data.shuffle=1": ("flag --data.shuffle: expected true or false, got '1'"),
    "--model.rate=fast": ("flag --model.rate: expected a number, got 'fast'"),
    "--model.rate=true": ("flag --model.rate: expected a number, got 'true'"),
    "--model.encoder.kind=fnacy": (
        "flag --model.encoder.kind: expected one of plain, fancy, 3, got 'fnacy'"
    ),
    "--trainer.max_epochs=many": (
        "flag --trainer.max_epochs: expected a whole number or null, got 'many'"
    ),
    "ptb": ("unexpected argument 'ptb'; a flag is written --name=value"),
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_wrong_flag_is_reported(words, parser):
    arguments = ["--config", "run.yaml", *split(words)]
    assert complaint(*arguments) == MISTAKES[words]
    assert not accepted(parser, arguments)


def test_later_arguments_override_earlier_ones():
    gru = "--model.encoder=GRU"
    reset = "--model.encoder.reset=before"
    check(["-c", "run.yaml", gru, reset], OPTIONS, packages=PACKAGES)
    assert "kit.encoders.LSTM has no parameter 'reset'" in complaint("-c", "run.yaml", reset, gru)
    # A file after the flag sets the class again.
    assert "kit.encoders.LSTM has no" in complaint("-c", "run.yaml", gru, "-c", "run.yaml", reset)


def test_defaults_name_the_classes_that_nothing_else_names():
    check(["--data.bpt=3"], OPTIONS, packages=PACKAGES)
    assert complaint("--data.bpt=3", defaults={"data": "kit.tasks.Data"}) == (
        "unknown flag --data.bpt: kit.tasks.Data has no parameter 'bpt'; did you mean 'bptt'?"
    )


def test_a_string_that_is_nearly_the_name_of_a_class():
    near = "flag --model.start: unknown class Startt; did you mean Start?"
    assert complaint("-c", "run.yaml", "--model.start=Startt") == near
    inline = "--config={model: {class_path: kit.tasks.Model, init_args: {start: Startt}}}"
    assert complaint(inline) == (
        "flag --config (model.init_args.start): unknown class Startt; did you mean Start?"
    )
