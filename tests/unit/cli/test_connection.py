"""Which server, which key: flags, then the environment, then the data folder."""

import json
from pathlib import Path

import click
import pytest

from tallybook.cli.connection import Server, find_server
from tallybook.cli.options import Options

LOCAL = "http://127.0.0.1:8080"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of a running server, where the commands look by default."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "server.json").write_text(json.dumps({"url": LOCAL, "pid": 1}))
    (folder / "admin.key").write_text("local-admin-key\n")
    return folder


@pytest.mark.usefixtures("data")
def test_the_running_server_and_its_admin_key() -> None:
    assert find_server(Options()) == Server(LOCAL, "local-admin-key", None)


@pytest.mark.usefixtures("data")
def test_the_environment_wins_over_the_folder_and_flags_over_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYBOOK_BASE_URL", "http://far")
    monkeypatch.setenv("TALLYBOOK_API_KEY", "far-key")
    assert find_server(Options()) == Server("http://far", "far-key", None)
    flags = Options(url="http://near", key="near-key", org="acme")
    assert find_server(flags) == Server("http://near", "near-key", "acme")


@pytest.mark.usefixtures("data")
def test_the_admin_key_is_not_sent_elsewhere() -> None:
    with pytest.raises(click.ClickException, match="no key for http://far"):
        find_server(Options(url="http://far"))
    assert find_server(Options(url=f"{LOCAL}/")).key == "local-admin-key"


@pytest.mark.usefixtures("data")
def test_an_empty_key_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYBOOK_API_KEY", "")
    assert find_server(Options(key="")).key == "local-admin-key"
    with pytest.raises(click.ClickException, match="no key for http://far"):
        find_server(Options(url="http://far"))


def test_a_folder_named_on_the_command_line_gives_its_key(data: Path) -> None:
    assert find_server(Options(url="http://localhost:8080", data_dir=data)).key == "local-admin-key"


def test_a_folder_in_the_environment(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYBOOK_DATA_DIR", str(data))
    assert find_server(Options()).url == LOCAL


@pytest.mark.parametrize("content", [None, "", "[]", "{}"])
def test_no_server(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "server.json").write_text(content)
    with pytest.raises(click.ClickException, match="start one with `make run`"):
        find_server(Options(data_dir=tmp_path))


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "localhost:8080", "ftp://book", "http:/book"])
def test_a_url_says_how_to_speak(url: str) -> None:
    with pytest.raises(click.ClickException, match=f"^{url} is no URL .* must begin with http:// or https://$"):
        find_server(Options(url=url, key="k"))


def test_a_url_in_capitals() -> None:
    assert find_server(Options(url="HTTPS://book", key="k")).url == "HTTPS://book"


def test_a_key_no_header_can_carry() -> None:
    with pytest.raises(click.ClickException, match="the key must be printable ASCII"):
        Server(LOCAL, "schlüssel", None).client()


def test_options_after_the_command_fill_up_from_those_before_it() -> None:
    inner, outer = Options(key="inner"), Options(url="outer", key="outer", org="outer")
    assert inner.over(outer) == Options(url="outer", key="inner", org="outer")
