from __future__ import annotations

from pathlib import Path

from runtimes.browser.find import Browser
from runtimes.browser.flags import command, environment, preferences

CHROME = Browser("chrome", "chromium", Path("/opt/chrome"), "150.0")
FIREFOX = Browser("firefox", "firefox", Path("/opt/firefox"), "140.0")
URL = "http://127.0.0.1:1/t/session.html"


def test_a_chromium_has_no_window_an_empty_profile_and_no_other_host() -> None:
    line = command(CHROME, Path("/p"), URL, as_root=False)
    assert line[0] == "/opt/chrome"
    assert line[-1] == URL
    assert {"--headless=new", "--user-data-dir=/p", "--disable-background-networking"} <= set(line)
    assert "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1" in line


def test_the_sandbox_is_given_up_for_root_alone() -> None:
    assert "--no-sandbox" not in command(CHROME, Path("/p"), URL, as_root=False)
    assert "--no-sandbox" in command(CHROME, Path("/p"), URL, as_root=True)


def test_a_gpu_that_is_there_is_not_hidden() -> None:
    """SwiftShader may play a GPU, and is not made to."""
    line = command(CHROME, Path("/p"), URL)
    assert {"--enable-unsafe-webgpu", "--enable-unsafe-swiftshader"} <= set(line)
    forced = ("--use-gl", "--use-angle", "--use-webgpu-adapter", "--use-vulkan", "--disable-gpu")
    assert not [word for word in line if word.startswith(forced)]


def test_a_switch_is_given_once() -> None:
    names = [word.partition("=")[0] for word in command(CHROME, Path("/p"), URL)]
    assert len(names) == len(set(names))


def test_a_firefox_gets_its_settings_by_a_file_of_its_profile() -> None:
    assert command(FIREFOX, Path("/p"), URL) == [
        "/opt/firefox",
        "--headless",
        "--no-remote",
        "--profile",
        "/p",
        URL,
    ]
    assert preferences("chromium") == {}
    lines = preferences("firefox")["user.js"].splitlines()
    assert 'user_pref("toolkit.telemetry.enabled", false);' in lines
    assert 'user_pref("network.proxy.failover_direct", false);' in lines
    assert 'user_pref("services.settings.server", "data:,#remote-settings-dummy/v1");' in lines


def test_nothing_is_written_to_a_persons_home_or_left_in_temporary_folders() -> None:
    told = environment(Path("/f"), {"HOME": "/home/ada", "PATH": "/bin", "TMPDIR": "/tmp"})
    assert (told["HOME"], told["XDG_CONFIG_HOME"], told["PATH"]) == ("/f", "/f/config", "/bin")
    assert told["TMPDIR"] == "/f"


def test_a_path_that_is_too_long_for_a_socket_is_left_alone() -> None:
    assert environment(Path("/" + 60 * "f"), {"TMPDIR": "/tmp"})["TMPDIR"] == "/tmp"
    assert "TMPDIR" not in environment(Path("/" + 60 * "f"), {})
