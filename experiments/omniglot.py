"""Watch in-context learning emerge on sequences of character images and labels (Chan et al. 2022).

    python experiments/omniglot.py                        glyphs: about 2 minutes on two cores, ICL about 0.95
    python experiments/omniglot.py laptop_omniglot --data.zips images_background.zip
    python experiments/omniglot.py laptop_iwl             no bursts: IWL about 0.99, ICL stays at chance, 0.5
    python experiments/omniglot.py --model.trunk lstm     an LSTM does not get there
    python experiments/omniglot.py all_exemplars --data.zips images_background.zip images_evaluation.zip
                                                          the paper's settings, for an accelerator
    python experiments/omniglot.py runs/x --resume        go on with a run
    python experiments/omniglot.py runs/x --mode eval     evaluate its latest checkpoint again

ICL is the closed accuracy on few-shot problems of held-out characters, chance 1 / ways. IWL is the accuracy on
trained characters that the context does not show.
"""

import jax
import tqdm
from jaxtyping import Array, PyTree

import command_line
import icl_eval as evaluation
import icl_train as training
from omniglot_parts import make_classes, make_evaluations, make_model, make_streams, training_loss
from omniglot_presets import PRESETS, OmniglotConfig

MAY_CHANGE = ("train.steps", "train.log_every", "train.checkpoint_every", "train.keep_checkpoints", "eval")


def main(config: OmniglotConfig) -> None:
    """Train, evaluate on the way, and report."""
    with command_line.one_line_errors():
        command_line.check_progress(config, steps=config.train.steps, saved=training.latest_step(config.workdir))
        bank, split = make_classes(config.data)
        streams = make_streams(config, bank, split)
        model = make_model(config.model, bank, split)
        evaluated = make_model(config.model, bank, split, training=False)
        evaluations = make_evaluations(config, split)

        def init(rng: Array) -> tuple[PyTree, PyTree]:
            batch = next(iter(streams["train"]))
            return model.init(rng, batch[bank.key], batch["labels"])

        optimizer = config.optimizer.build(config.train.steps)
        jax.eval_shape(init, jax.random.key(0))  # a model that cannot be built is refused before a folder is made
        workdir = training.open_run(
            config.workdir,
            command_line.to_json(config),
            resume=config.resume or config.mode == "eval",
            may_change=("eval",) if config.mode == "eval" else MAY_CHANGE,
        )

    def loss_fn(params: PyTree, state: PyTree, rng: Array, batch: PyTree) -> tuple[Array, tuple[dict, PyTree]]:
        logits, state = model.apply(params, state, rng, batch[bank.key], batch["labels"], is_training=True)
        loss, metrics = training_loss(config.model, logits, batch["labels"])
        return loss, (metrics, state)

    @jax.jit
    def logits(params: PyTree, state: PyTree, items: Array, labels: Array) -> Array:
        # Only item dropout, which is noise in the data, reads the key: the same for all batches.
        return evaluated.apply(params, state, jax.random.key(config.train.seed), items, labels)[0]

    def evaluate(params: PyTree, state: PyTree, *, step: int, count: int) -> str:
        def predict(batch: dict) -> Array:
            return logits(params, state, batch[bank.key], batch["labels"])

        shown = min(4, count) if bank.key == "images" else 0
        results = [
            evaluation.evaluate(predict, streams[kind.name], kind, count=count, examples=shown) for kind in evaluations
        ]
        evaluation.append_evaluations(workdir, step=step, results=results)
        evaluation.save_examples(workdir, results)
        few_shot, no_support = (result.metrics for result in results[:2])
        return f"ICL {few_shot['accuracy_closed']}  IWL {no_support['accuracy_open']}"

    def evaluate_on_the_way(step: int, state: training.TrainState) -> None:
        tqdm.tqdm.write(f"step {step}: {evaluate(state.params, state.model_state, step=step, count=config.eval.count)}")

    if config.mode == "eval":
        train_numbers = evaluation.read_run(workdir).summary.get("train", {})
    else:
        evaluation.drop_evaluations_after(workdir, step=training.latest_step(workdir) or 0)
        result = training.train(
            config.train,
            init=init,
            loss_fn=loss_fn,
            optimizer=optimizer,
            batches=iter(streams["train"]),
            workdir=workdir,
            actions=[training.EverySteps(config.eval.every, evaluate_on_the_way)] if config.mode == "both" else [],
            resume=config.resume,
            resume_hint=command_line.resume_command(config),
        )
        train_numbers = {name: getattr(result, name) for name in ("steps", "seconds", "steps_per_second", "final_loss")}
    if config.mode != "train":
        saved = training.restore_model(workdir, init=init)
        final = evaluate(saved.params, saved.model_state, step=saved.step, count=config.eval.final_count)
        print(f"{final}  (chance of ICL: {1 / config.data.ways:g})")
    evaluation.write_summary(workdir, train=train_numbers, seed=config.train.seed)
    print(f"report: {evaluation.write_report(workdir)}")


if __name__ == "__main__":
    command_line.run(main, PRESETS, default="laptop")
