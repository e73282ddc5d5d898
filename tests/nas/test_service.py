"""What happens around a study, with a runner that does nothing but stop."""

import pytest

from nas import open_store, parse_spec, resume_study, run_study
from nas.records import StudyStatus
from search_spaces.errors import Interrupted, InvalidInput


@pytest.fixture
def spec(tmp_path):
    return parse_spec(
        {
            "name": "brief",
            "task": {"name": "spiral", "train_size": 64, "validation_size": 32, "test_size": 32},
            "space": {"family": "mlp", "depth": [1, 2], "width": 4},
            "methods": ["random"],
            "seeds": 1,
            "budget": {"trials": 1},
            "resources": {"storage": str(tmp_path / "files")},
        }
    )


@pytest.fixture
def store(tmp_path):
    with open_store(f"sqlite:///{tmp_path / 'nas.db'}") as opened:
        yield opened


@pytest.fixture
def interrupted(monkeypatch):
    """Ctrl-C arrives while Ray starts."""

    def run(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("nas.runner.run_study", run)


@pytest.mark.slow
def test_an_interruption_names_the_study_which_can_be_resumed(spec, store, interrupted):
    with pytest.raises(Interrupted, match=r"to go on: nas resume brief$"):
        run_study(spec, store)
    with pytest.raises(Interrupted, match=r"to go on: nas resume brief-2$"):
        run_study(spec, store)
    with pytest.raises(Interrupted, match=r"to go on: nas resume brief-2$"):
        resume_study("brief-2", store)
    assert [(study.name, study.status) for study in store.studies()] == [
        ("brief", StudyStatus.INTERRUPTED),
        ("brief-2", StudyStatus.INTERRUPTED),
    ]


def test_storage_that_cannot_be_a_folder_is_refused_before_anything_is_stored(spec, store, tmp_path):
    (tmp_path / "file").touch()
    broken = spec.model_copy(
        update={"resources": spec.resources.model_copy(update={"storage": tmp_path / "file" / "inside"})}
    )
    with pytest.raises(InvalidInput, match=r"resources.storage: must be a folder .* is no folder"):
        run_study(broken, store)
    assert store.studies() == ()
