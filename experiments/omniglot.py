"""Watch in-context learning emerge on sequences of character images and labels (Chan et al. 2022).

    python experiments/omniglot.py                        glyphs: about 2 minutes on two cores, ICL about 0.95
    python experiments/omniglot.py laptop_omniglot --data.zips images_background.zip
    python experiments/omniglot.py laptop_iwl             no bursts: IWL about 0.99, ICL stays at chance, 0.5
    python experiments/omniglot.py --model.trunk lstm     an LSTM does not get there
    python experiments/omniglot.py all_exemplars --data.zips images_background.zip images_evaluation.zip
                                                          the paper's settings, for an accelerator
    python experiments/omniglot.py --train.ensemble.members 4 --vary.p-bursty 0 0.5 0.9 1
                                                          four runs in one program, each in a folder of its own
    python experiments/omniglot.py runs/x --resume        go on with a run
    python experiments/omniglot.py runs/x --mode eval     evaluate its latest checkpoint again

ICL is the closed accuracy on few-shot problems of held-out characters, chance 1 / ways. IWL is the accuracy on
trained characters that the context does not show.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import optax
import tqdm
from jaxtyping import Array

import command_line
import icl_eval as evaluation
import icl_train as training
from omniglot_parts import SPLIT_BY, make_classes
from omniglot_presets import PRESETS, OmniglotConfig
from omniglot_run import OmniglotRun, open_folders


def main(config: OmniglotConfig) -> None:
    """Train, evaluate on the way, and report."""
    is_ensemble = config.train.ensemble.members > 1
    if is_ensemble:
        training.use_cpu_cores()
    with command_line.session(config), command_line.one_line_endings():
        with command_line.one_line_errors():
            saved = training.latest_step(config.workdir)
            command_line.check_progress(config, steps=config.train.steps, saved=saved)
            bank, split = make_classes(config.data)
            mesh = None if is_ensemble else config.train.mesh.build()
            members = config.members()
            first = OmniglotRun(members[0], bank, split, mesh)
            runs = [first, *map(first.member, members[1:])]
            config.optimizer.build(config.train.steps)
            open_folders([config, *members] if is_ensemble else members)
        result = None if config.mode == "eval" else train(config, runs, saved or 0)
        for number, run in enumerate(runs):
            member = number if is_ensemble else None
            if config.mode != "train":
                model = training.restore_model(config.workdir, init=run.init, member=member, mesh=mesh)
                icl_and_iwl = run.evaluate(model, count=config.eval.final_count)
                say(f"{icl_and_iwl}  (chance of ICL: {1 / config.data.ways:g})", member)
            say(run.report(result, number), member)


def train(config: OmniglotConfig, runs: list[OmniglotRun], saved: int) -> training.TrainResult:
    """Train the model, or all members of an ensemble together."""
    first, is_ensemble = runs[0], len(runs) > 1
    if training.is_first():
        for run in runs:
            evaluation.drop_evaluations_after(run.config.workdir, step=saved)

    def evaluate(step: int, state: training.TrainState) -> None:
        for number, run in enumerate(runs):
            # A member's arrays are taken from the device it is on, as if it were alone.
            model = jax.device_get(jax.tree.map(lambda leaf, n=number: leaf[n], state)) if is_ensemble else state
            if int(model.step) != step:  # a member that has stopped
                continue
            say(f"step {step}: {run.evaluate(model, count=config.eval.count)}", number if is_ensemble else None)

    def optimizer(hyper: Mapping[str, Array]) -> optax.GradientTransformation:
        return config.optimizer.build(config.train.steps, **hyper)

    actions = [training.EverySteps(config.eval.every, evaluate)] if config.mode == "both" else []
    common: dict[str, Any] = {
        "init": first.init,
        "loss_fn": first.loss_fn,
        "workdir": config.workdir,
        "actions": actions,
        "resume": config.resume,
        "resume_hint": command_line.resume_command(config),
    }
    if not is_ensemble:
        return training.train(
            config.train,
            optimizer=optimizer({}),
            batches=iter(first.streams["train"]),
            start_from=config.start_from,
            rules=SPLIT_BY,
            **common,
        )
    varied = [field.name for field in dataclasses.fields(config.vary) if getattr(config.vary, field.name)]
    members = [
        training.Member(
            run.config.train.seed,
            iter(run.streams["train"]),
            {name: getattr(run.config.optimizer, name) for name in varied if hasattr(run.config.optimizer, name)},
        )
        for run in runs
    ]
    return training.train_ensemble(config.train, optimizer=optimizer, members=members, **common)


def say(message: str, member: int | None) -> None:
    """Print a line, of a member of an ensemble with its number, on the first of several hosts."""
    if message and training.is_first():
        tqdm.tqdm.write(message if member is None else f"member {member}: {message}")


if __name__ == "__main__":
    command_line.run(main, PRESETS, default="laptop")
