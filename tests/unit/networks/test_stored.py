"""A stored model is used only if every byte is what its manifest states."""

import errno
import json

import pytest

from scoring.errors import InvalidRequest, ModelRejected
from scoring.imaging.preprocess import PREPROCESSING_VERSION
from scoring.model_store import store
from scoring.model_store.stored_model import MANIFEST, MODEL_FILES, read_model

FILES = {name: name.encode() * 3 for name in MODEL_FILES}
FACTS = {
    "version": "v1",
    "architecture": "erosion_cdf_network",
    "arguments": {"side": 16},
    "input_side": 16,
    "preprocessing_version": PREPROCESSING_VERSION,
    "code_revision": "abc123",
}


@pytest.fixture
def folder(tmp_path):
    store.write_model(str(tmp_path), FACTS, FILES)
    return tmp_path / "v1"


def _change_manifest(folder, **changes):
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | changes))


def test_round_trip(folder):
    model = store.find_model("v1", str(folder.parent))
    assert model.files == FILES
    assert (model.version, model.side, model.preprocessing_version) == ("v1", 16, PREPROCESSING_VERSION)
    assert model.weights_sha256 == model.manifest["files"]["weights.npz"]["sha256"]
    assert model.manifest["created_at"].endswith("+00:00")


def test_round_trip_through_another_file_system():
    model = store.write_model("memory://round-trip", FACTS, FILES)
    assert store.find_model("v1", "memory://round-trip").files == model.files


@pytest.mark.parametrize("name", MODEL_FILES)
def test_one_changed_bit_is_refused(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(ModelRejected, match=rf"{name} was changed: sha256 [0-9a-f]{{64}} .* states [0-9a-f]{{64}}"):
        read_model(str(folder), PREPROCESSING_VERSION)


def test_a_shortened_file_is_refused(folder):
    (folder / "network.bin").write_bytes(b"")
    with pytest.raises(ModelRejected, match=r"network.bin was changed: .* \(0 bytes\)"):
        read_model(str(folder), PREPROCESSING_VERSION)


@pytest.mark.parametrize("name", [*MODEL_FILES, MANIFEST])
def test_a_missing_file_is_refused(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelRejected, match=f"{name} is missing"):
        read_model(str(folder), PREPROCESSING_VERSION)


def test_another_preprocessing_is_refused(folder):
    _change_manifest(folder, preprocessing_version="grey150-v0")
    with pytest.raises(ModelRejected, match=r"trained on preprocessing 'grey150-v0'.*code revision abc123"):
        read_model(str(folder), PREPROCESSING_VERSION)


@pytest.mark.parametrize("text", ["", "{", "[]", '"a"', "{}"])
def test_a_broken_manifest_is_refused(folder, text):
    (folder / MANIFEST).write_text(text)
    with pytest.raises(ModelRejected, match=MANIFEST):
        read_model(str(folder), PREPROCESSING_VERSION)


def test_a_manifest_that_vouches_for_less_is_refused(folder):
    _change_manifest(folder, files={})
    with pytest.raises(ModelRejected, match=r"vouches for no network.bin, network.xml, weights.npz"):
        read_model(str(folder), PREPROCESSING_VERSION)


@pytest.mark.parametrize("stranger", ["../secret", "/etc/passwd", ".hidden", "..\\secret"])
def test_a_manifest_cannot_reach_outside_its_folder(folder, stranger):
    files = json.loads((folder / MANIFEST).read_text())["files"]
    _change_manifest(folder, files=files | {stranger: {"bytes": 1, "sha256": "0"}})
    with pytest.raises(ModelRejected, match="outside its folder"):
        read_model(str(folder), PREPROCESSING_VERSION)


def test_a_version_is_never_overwritten(folder):
    with pytest.raises(InvalidRequest, match="model v1 exists"):
        store.write_model(str(folder.parent), FACTS, FILES)


def test_a_disk_that_fills_while_the_manifest_is_written_leaves_no_half_model(tmp_path, monkeypatch):
    """Half a manifest would be listed as a version, could not be loaded, and would keep its name for good."""
    from upath import UPath

    write = UPath.write_bytes

    def fill(path, data):
        if "manifest" not in path.name:
            return write(path, data)
        write(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(type(UPath(tmp_path)), "write_bytes", fill)
        with pytest.raises(OSError, match="No space left"):
            store.write_model(str(tmp_path), FACTS, FILES)
    assert "v1" not in store.model_versions(str(tmp_path))
    assert store.write_model(str(tmp_path), FACTS, FILES).files == FILES
    assert not [path for path in (tmp_path / "v1").iterdir() if path.name.endswith(".part")]


def test_a_folder_left_by_a_stopped_run_is_filled_again(folder):
    (folder / MANIFEST).unlink()
    assert store.model_versions(str(folder.parent)) == store.model_versions(str(folder.parent / "nowhere"))
    store.write_model(str(folder.parent), FACTS, FILES)
    assert "v1" in store.model_versions(str(folder.parent))


def test_an_incomplete_model_is_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"missing: network.xml"):
        store.write_model(str(tmp_path), FACTS, {k: v for k, v in FILES.items() if k != "network.xml"})
    assert not any(tmp_path.iterdir())


def test_an_unknown_version_lists_the_known_ones(folder):
    with pytest.raises(ModelRejected, match=r"no model v2 .* known versions: .*v1"):
        store.find_model("v2", str(folder.parent))


@pytest.mark.parametrize("version", ["", "../v1", "a/b", "ü", "-v", "x" * 65, "v1\n"])
def test_version_names_stay_inside_the_store(version, tmp_path):
    with pytest.raises(InvalidRequest, match="model version"):
        store.find_model(version, str(tmp_path))
