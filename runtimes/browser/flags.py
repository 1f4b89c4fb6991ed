"""How a browser is told to start without a window: its command line, its preferences, its environment. Pure."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from runtimes.browser.find import Browser, Family

# The port of the discard service, where nothing listens: what a browser sends to its maker ends there.
NOWHERE = "127.0.0.1:9"

# What Chromium starts by itself and a page that computes has no use for: most of it asks its maker something, and a
# spare renderer would be one process too many to measure.
_FEATURES_OFF = (
    "AutofillServerCommunication",
    "CertificateTransparencyComponentUpdater",
    "DialMediaRouteProvider",
    "HttpsUpgrades",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "SpareRendererForSitePerProcess",
    "Translate",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxPopup",
)

_CHROMIUM = (
    "--headless=new",
    # Nobody is there to answer a question.
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-search-engine-choice-screen",
    "--password-store=basic",
    "--use-mock-keychain",
    # Nothing is fetched that the page does not fetch, and no other host is looked up or reached. The two addresses are
    # those of the requests that no switch turns off: for accounts, and for components.
    "--disable-background-networking",
    "--disable-client-side-phishing-detection",
    "--disable-component-extensions-with-background-pages",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-field-trial-config",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-pings",
    "--no-proxy-server",
    f"--gaia-url=http://{NOWHERE}",
    f"--component-updater=url-source=http://{NOWHERE}",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    f"--disable-features={','.join(_FEATURES_OFF)}",
    # A crash is told here, and nowhere else.
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--enable-logging=stderr",
    # A page that computes for long is not held back, and not asked whether it hangs.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-hang-monitor",
    "--disable-renderer-backgrounding",
    # A container's /dev/shm may have 64 MB.
    "--disable-dev-shm-usage",
    # WebGPU where it is not on by itself. Where there is no GPU, SwiftShader plays one.
    "--enable-unsafe-webgpu",
    "--enable-unsafe-swiftshader",
    "--mute-audio",
    # Gives pages gc(): what only the loading of a library held is no part of its memory.
    "--js-flags=--expose-gc",
)

# For a page that computes on the machine's GPU: without a window, Chromium has SwiftShader play WebGL on every machine
# otherwise, and starts 0.15 s sooner.
ON_GPU: Mapping[Family, tuple[str, ...]] = {"chromium": ("--enable-gpu",), "firefox": ()}

# Names and addresses that Firefox asks by itself are emptied, and whatever it still asks of another host goes to a proxy
# that is not there, so that no name is looked up.
_FIREFOX: Mapping[str, bool | int | str] = {
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.no_proxies_on": "127.0.0.1",
    "network.proxy.failover_direct": False,
    "network.proxy.allow_bypass": False,
    "network.trr.mode": 5,
    "network.dns.disablePrefetch": True,
    "network.prefetch-next": False,
    "network.http.speculative-parallel-limit": 0,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "app.normandy.enabled": False,
    "app.normandy.api_url": "",
    "app.update.disabledForTesting": True,
    "browser.region.network.url": "",
    "browser.region.update.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.safebrowsing.blockedURIs.enabled": False,
    "browser.safebrowsing.downloads.enabled": False,
    "browser.safebrowsing.passwords.enabled": False,
    "browser.safebrowsing.update.enabled": False,
    "browser.search.update": False,
    "browser.topsites.contile.enabled": False,
    "browser.newtabpage.enabled": False,
    "datareporting.healthreport.uploadEnabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.push.connection.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.systemAddon.update.enabled": False,
    "extensions.update.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "media.gmp-manager.url": "",
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "toolkit.telemetry.enabled": False,
    "toolkit.telemetry.server": "data:,",
    "toolkit.telemetry.unified": False,
    # Nobody is there to be welcomed or asked.
    "browser.aboutwelcome.enabled": False,
    "browser.preonboarding.enabled": False,
    "browser.sessionstore.resume_from_crash": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.startup.page": 0,
    "termsofuse.bypassNotification": True,
    "toolkit.startup.max_resumed_crashes": -1,
    # What pages print goes to standard output.
    "browser.dom.window.dump.enabled": True,
    "devtools.console.stdout.content": True,
    # A page that computes for long is not held back, and a request may wait for its answer.
    "dom.ipc.processHangMonitor": False,
    "dom.ipc.processPriorityManager.enabled": False,
    "dom.max_script_run_time": 0,
    "dom.timeout.enable_budget_timer_throttling": False,
    "network.http.response.timeout": 0,
    # No process but the page's.
    "dom.ipc.processPrelaunch.enabled": False,
    "dom.webgpu.enabled": True,
    # Times to 20 us and less, where the page is isolated.
    "privacy.reduceTimerPrecision": False,
}

# Bytes of the path of a socket, less the zero at its end; macOS has the fewest.
LONGEST_SOCKET = 103
_SOCKET = len("/org.chromium.Chromium.123456/SingletonSocket")


def command(browser: Browser, profile: Path, url: str, *, as_root: bool | None = None) -> list[str]:
    """The command line that shows ``url`` with ``profile``. Chromium's sandbox does not start for root."""
    if browser.family == "firefox":
        return [str(browser.path), "--headless", "--no-remote", "--profile", str(profile), url]
    if as_root is None:
        as_root = os.geteuid() == 0
    sandbox = ["--no-sandbox"] if as_root else []
    return [str(browser.path), *_CHROMIUM, *sandbox, f"--user-data-dir={profile}", url]


def preferences(family: Family) -> dict[str, str]:
    """The files of an empty profile that say what the command line cannot, by name."""
    if family == "chromium":
        return {}
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in _FIREFOX.items()]
    return {"user.js": "".join(lines)}


def environment(folder: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """What a browser is told: no desktop to talk to, no reports of crashes, and a home to make folders in.

    Firefox makes Downloads there, and Chromium's reporter of crashes its database, whether it is on or not. Temporary
    files go there too, except where the path of Chromium's socket would be longer than a socket's may be.
    """
    short = len(str(folder)) + _SOCKET <= LONGEST_SOCKET
    return {
        **inherited,
        **({"TMPDIR": str(folder)} if short else {}),
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "DBUS_SESSION_BUS_ADDRESS": "disabled:",
        "MOZ_CRASHREPORTER_DISABLE": "1",
        "MOZ_DATA_REPORTING": "0",
    }
