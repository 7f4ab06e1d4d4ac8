"""The model store: models are verified byte by byte, never overwritten, and written completely or not at all."""

import errno
import io
import json

import pytest
from upath import UPath

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


def test_find_model_returns_what_write_model_wrote(folder):
    model = store.find_model("v1", str(folder.parent))
    assert model.files == FILES
    assert (model.version, model.side, model.preprocessing_version) == ("v1", 16, PREPROCESSING_VERSION)
    assert model.weights_sha256 == model.manifest["files"]["weights.npz"]["sha256"]
    assert model.manifest["created_at"].endswith("+00:00")


def test_find_model_reads_from_another_file_system():
    model = store.write_model("memory://round-trip", FACTS, FILES)
    assert store.find_model("v1", "memory://round-trip").files == model.files


@pytest.mark.parametrize("name", MODEL_FILES)
def test_read_model_rejects_one_changed_bit(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(ModelRejected, match=rf"{name} was changed: .* [0-9a-f]{{64}} .* states [0-9a-f]{{64}}"):
        read_model(UPath(folder))


def test_read_model_rejects_a_truncated_file(folder):
    (folder / "network.bin").write_bytes(b"")
    with pytest.raises(ModelRejected, match=r"network.bin was changed: .* \(0 bytes\)"):
        read_model(UPath(folder))


@pytest.mark.parametrize("name", [*MODEL_FILES, MANIFEST])
def test_read_model_rejects_a_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelRejected, match=f"{name} is missing"):
        read_model(UPath(folder))


def test_read_model_rejects_another_preprocessing(folder):
    _change_manifest(folder, preprocessing_version="grey150-v0")
    with pytest.raises(ModelRejected, match=r"trained with preprocessing 'grey150-v0'.*code revision abc123"):
        read_model(UPath(folder))


@pytest.mark.parametrize("text", ["", "{", "[]", '"a"', "{}"])
def test_read_model_rejects_a_broken_manifest(folder, text):
    (folder / MANIFEST).write_text(text)
    with pytest.raises(ModelRejected, match=MANIFEST):
        read_model(UPath(folder))


def test_read_model_rejects_a_manifest_without_all_files(folder):
    _change_manifest(folder, files={})
    with pytest.raises(ModelRejected, match=r"does not list the files network.bin, network.xml, weights.npz"):
        read_model(UPath(folder))


@pytest.mark.parametrize("outside", ["../secret", "/etc/passwd", ".hidden", "..\\secret"])
def test_read_model_rejects_files_outside_the_folder(folder, outside):
    files = json.loads((folder / MANIFEST).read_text())["files"]
    _change_manifest(folder, files=files | {outside: {"bytes": 1, "sha256": "0"}})
    with pytest.raises(ModelRejected, match="outside its folder"):
        read_model(UPath(folder))


def test_write_model_never_overwrites_a_version(folder):
    with pytest.raises(InvalidRequest, match="Model v1 already exists"):
        store.write_model(str(folder.parent), FACTS, FILES)


def test_write_model_leaves_no_partial_model_on_a_full_disk(tmp_path, monkeypatch):
    """A partial manifest would be listed as a version, could not be loaded, and would block its name."""
    path_type = type(UPath(tmp_path))
    open_file = path_type.open

    class FullDisk(io.FileIO):
        def write(self, data):
            super().write(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")

    def open_on_full_disk(path, mode="r", **options):
        full = "manifest" in path.name and mode == "wb"
        return FullDisk(path, mode) if full else open_file(path, mode, **options)

    with monkeypatch.context() as patch:
        patch.setattr(path_type, "open", open_on_full_disk)
        with pytest.raises(OSError, match="No space left"):
            store.write_model(str(tmp_path), FACTS, FILES)
    assert "v1" not in store.model_versions(str(tmp_path))
    assert store.write_model(str(tmp_path), FACTS, FILES).files == FILES
    assert not [path for path in (tmp_path / "v1").iterdir() if path.name.endswith(".part")]


def test_write_model_fills_a_folder_that_a_stopped_run_left(folder):
    (folder / MANIFEST).unlink()
    assert store.model_versions(str(folder.parent)) == store.model_versions(str(folder.parent / "nowhere"))
    store.write_model(str(folder.parent), FACTS, FILES)
    assert "v1" in store.model_versions(str(folder.parent))


def test_write_model_rejects_an_incomplete_model(tmp_path):
    with pytest.raises(ValueError, match=r"missing: network.xml"):
        store.write_model(str(tmp_path), FACTS, {k: v for k, v in FILES.items() if k != "network.xml"})
    assert not any(tmp_path.iterdir())


def test_find_model_lists_known_versions_for_an_unknown_one(folder):
    with pytest.raises(ModelRejected, match=r"no model v2 .* Known versions: .*v1"):
        store.find_model("v2", str(folder.parent))


@pytest.mark.parametrize("version", ["", "../v1", "a/b", "ü", "-v", "x" * 65, "v1\n"])
def test_find_model_rejects_invalid_version_names(version, tmp_path):
    with pytest.raises(InvalidRequest, match="model version"):
        store.find_model(version, str(tmp_path))
