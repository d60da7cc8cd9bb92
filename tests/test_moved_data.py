"""Runs of omniglot and gpicl follow their files, and go on with no others; the digits say which files those are."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.tiny import GPIC, OMNI

pytestmark = pytest.mark.lengthy


def omniglot_zip(path, *, seed):
    """Write 12 characters of random strokes, as the original's archives have them."""
    rng = np.random.default_rng(seed)
    with zipfile.ZipFile(path, "w") as archive:
        for character in range(1, 13):
            for drawer in range(1, 21):
                file = io.BytesIO()
                Image.fromarray(np.uint8(255 * (rng.random((105, 105)) < 0.9))).convert("1").save(file, "PNG")
                name = f"images_background/Greek/character{character:02}/{100 + character:04}_{drawer:02}.png"
                archive.writestr(name, file.getvalue())
    return path


def idx_files(folder, *, seed):
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for name, values in (("images", rng.integers(0, 256, (60, 8, 8))), ("labels", np.arange(60) % 10)):
        header = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
        (folder / name).write_bytes(header + values.astype(np.uint8).tobytes())
    return folder


def options_of(experiment, where):
    if experiment is OMNI:
        return ["--data.zips", where]
    return ["--data.images", where / "images", "--data.labels", where / "labels"]


@pytest.mark.parametrize("experiment", [OMNI, GPIC], ids=["omniglot", "gpicl"])
def test_files_may_move_and_may_not_change(experiment, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make = omniglot_zip if experiment is OMNI else idx_files
    words = ["--data.source", experiment.name if experiment is OMNI else "idx", "--train.steps", 3, "--mode", "train"]
    if experiment is OMNI:  # whose tiny options have characters
        words = ["--data.characters", 1936, *words]
    begun, moved = make(tmp_path / "begun", seed=0), tmp_path / "moved"
    experiment.tiny(*words, *options_of(experiment, begun.relative_to(tmp_path)), "--workdir", "run")
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert len(record["data"]) == 1 and str(tmp_path / "begun") in json.dumps(record["config"]["data"])

    begun.rename(moved)
    other = make(tmp_path / "begun", seed=1)  # other data where the first ones were
    for again in (["--mode", "eval"], ["--mode", "train", "--resume", "--train.steps", 4]):
        for refused in ([], options_of(experiment, other)):
            with pytest.raises(SystemExit):
                experiment.run("run", *again, *refused)
            said = capsys.readouterr().err.splitlines()[-1]
            assert next(iter(record["data"].values())) in said and said.startswith("error: ")
        experiment.run("run", *again, *options_of(experiment, moved))
    monkeypatch.chdir("/")
    experiment.run(tmp_path / "run", "--mode", "eval")


def test_data_that_are_made_have_no_fingerprint(finished):
    assert "data" not in json.loads((finished / "config.json").read_text())
