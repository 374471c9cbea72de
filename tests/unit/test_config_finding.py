"""Where the configuration is looked for."""

from pathlib import Path

import pytest

from defib import config
from defib.errors import UsageError


def written(path: Path) -> Path:
    path.write_text("monitors: []\n", encoding="utf-8")
    return path


def test_the_command_line_wins_over_the_environment(tmp_path: Path) -> None:
    asked, other = written(tmp_path / "asked.yaml"), written(tmp_path / "other.yaml")

    assert config.find(str(asked), {"DEFIB_CONFIG": str(other)}) == asked


def test_the_environment_wins_over_the_usual_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "defib.yaml")
    other = written(tmp_path / "other.yaml")

    assert config.find(None, {"DEFIB_CONFIG": str(other)}) == other


def test_the_working_directory_comes_first_of_the_usual_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "defib.yaml")

    assert config.find(None, {"DEFIB_CONFIG": ""}) == Path("defib.yaml")


def test_the_last_place_is_taken_when_the_others_are_missing(tmp_path: Path) -> None:
    last = written(tmp_path / "etc.yaml")

    assert config.find(None, {}, places=(tmp_path / "defib.yaml", last)) == last


def test_a_folder_can_be_named(tmp_path: Path) -> None:
    assert config.find(str(tmp_path), {}) == tmp_path


@pytest.mark.parametrize(
    ("explicit", "environ", "origin"),
    [("no.yaml", {}, "-c"), (None, {"DEFIB_CONFIG": "no.yaml"}, "DEFIB_CONFIG")],
)
def test_a_named_configuration_that_is_missing_is_not_replaced_by_another(
    explicit: str | None,
    environ: dict[str, str],
    origin: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "defib.yaml")

    with pytest.raises(UsageError) as caught:
        config.find(explicit, environ)

    assert str(caught.value) == (
        f"no configuration at no.yaml, which {origin} names; write one with 'defib init -o no.yaml'"
    )


def test_nothing_anywhere_names_the_places_tried(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        config.find(None, {}, places=(Path("no-such.yaml"), tmp_path / "neither.yaml"))

    assert str(caught.value) == (
        f"no configuration found (tried -c, DEFIB_CONFIG, ./no-such.yaml, {tmp_path}/neither.yaml); "
        "write one with 'defib init' or name one with -c"
    )
