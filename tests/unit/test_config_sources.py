"""One file or a folder of files; paths start at the configuration."""

from pathlib import Path

import pytest

from config_kit import load, mistakes_of, toy_registry
from defib import config
from defib.errors import ConfigError
from defib.model.settings import Settings


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def load_folder(folder: Path) -> Settings:
    return config.load(folder, toy_registry(), {})


def folder_mistakes(folder: Path) -> list[str]:
    return mistakes_of(folder, folder, lambda: load_folder(folder))


def test_the_files_of_a_folder_are_merged_in_name_order(tmp_path: Path) -> None:
    write(
        tmp_path,
        b="monitors: [{id: two, type: beat}]\nchannels: {ops: {type: mail, to: [a]}}\n",
        a="timezone: UTC\nmonitors: [{id: one, type: beat}]\nserver: {listen: '[::1]:80'}\n",
        c="server: {public_url: http://x}\nchannels: {dev: {type: mail, to: [b]}}\nmonitors:\n",
    )
    (tmp_path / "d.yml").write_text("monitors: [{id: three, type: beat}]\n", encoding="utf-8")
    (tmp_path / ".hidden.yaml").write_text("nonsense: [", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("nonsense: [", encoding="utf-8")

    settings = load_folder(tmp_path)

    assert [file.name for file in settings.files] == ["a.yaml", "b.yaml", "c.yaml", "d.yml"]
    assert [monitor.id for monitor in settings.monitors] == ["one", "two", "three"]
    assert [channel.name for channel in settings.channels] == ["ops", "dev"]
    assert (settings.server.host, settings.server.port, settings.server.public_url) == ("::1", 80, "http://x")
    assert settings.base == tmp_path
    assert settings.store == f"sqlite:///{tmp_path}/defib.db"


def test_a_value_in_two_files_is_a_mistake_that_names_both(tmp_path: Path) -> None:
    write(
        tmp_path, a="timezone: UTC\nserver: {listen: 'a:1'}\n", b="\nserver: {listen: 'b:2'}\ntimezone: UTC\n"
    )

    assert folder_mistakes(tmp_path) == [
        "b.yaml:2: server.listen: is given in two files; keep one of them (the other is a.yaml:2)",
        "b.yaml:3: timezone: is given in two files; keep one of them (the other is a.yaml:1)",
    ]


def test_a_list_and_a_mapping_do_not_merge(tmp_path: Path) -> None:
    write(tmp_path, a="monitors: []\n", b="monitors: {}\n")

    assert folder_mistakes(tmp_path) == [
        "b.yaml:1: monitors: is given in two files; keep one of them (the other is a.yaml:1)"
    ]


def test_mistakes_come_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    write(
        tmp_path,
        b="monitors:\n  - {id: one, type: beat}\n  - {id: B, type: beat}\n",
        a="monitors:\n  - {id: one, type: beat, wrong: 1}\nzone: UTC\n",
    )

    assert [mistake.split(";")[0] for mistake in folder_mistakes(tmp_path)] == [
        "a.yaml:2: monitors[0].wrong: unknown key",
        "a.yaml:3: zone: unknown key",
        "b.yaml:2: monitors[1].id: 'one' is the id of another monitor already (a.yaml:2)",
        "b.yaml:3: monitors[2].id: must consist of lower-case letters, digits, '.', '_' and '-', begin with a "
        "letter or digit, and be at most 100 characters long",
    ]


def test_every_file_that_is_not_yaml_is_told_and_nothing_else_is(tmp_path: Path) -> None:
    write(tmp_path, a="a: [\n", b="unknown: 1\n", c="- x\n")
    (tmp_path / "d.yaml").write_bytes(b"a: 1\nb: \xff\n")
    (tmp_path / "e.yaml").mkdir()

    assert folder_mistakes(tmp_path) == [
        "a.yaml:1: not YAML: a bracket, { or [, is not closed, or a value is missing",
        "c.yaml:1: a configuration is a mapping; it begins with a key, such as 'monitors:'",
        "d.yaml:2: is not UTF-8 text; save the file in that encoding",
        "e.yaml: cannot be read: Is a directory",
    ]


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the folder holds no"):
        load_folder(tmp_path)


def test_a_missing_file_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(tmp_path / "no.yaml", toy_registry(), {})

    assert str(caught.value) == f"{tmp_path}/no.yaml: cannot be read: No such file or directory"


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "monitors:\n", "\ufeffmonitors: []\n"])
def test_a_configuration_without_monitors_is_valid_but_warns(text: str, tmp_path: Path) -> None:
    settings = load(tmp_path, text)

    assert settings.monitors == ()
    (warning,) = settings.warnings
    assert warning.endswith("there is no monitor yet, so nothing is watched; add one below 'monitors:'")


def test_empty_files_in_a_folder_are_nothing(tmp_path: Path) -> None:
    write(tmp_path, a="", b="# later\n")

    assert load_folder(tmp_path).monitors == ()


def test_paths_start_at_the_configuration_wherever_it_is_loaded_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc" / "scripts").mkdir(parents=True)
    (tmp_path / "etc" / "defib.yaml").write_text(
        "store: sqlite:///data/x.db\ndefaults: {recovery_scripts: [scripts, /abs]}\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)

    settings = config.load(Path("etc/defib.yaml"), toy_registry(), {})

    assert settings.base == tmp_path / "etc"
    assert settings.files == (Path("etc/defib.yaml"),)
    assert settings.store == f"sqlite:///{tmp_path}/etc/data/x.db"
    assert settings.script_folders == (tmp_path / "etc" / "scripts", Path("/abs"))
    assert settings.warnings[1] == (
        "etc/defib.yaml:2: defaults.recovery_scripts[1]: /abs is no folder; recovery scripts in it cannot be found"
    )


def test_a_linked_configuration_keeps_the_folder_of_the_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "defib.yaml").write_text("monitors: []\n", encoding="utf-8")
    link = tmp_path / "defib.yaml"
    link.symlink_to(tmp_path / "real" / "defib.yaml")

    assert config.load(link, toy_registry(), {}).base == tmp_path
