"""What is read of a processor, from the files of machines of several kinds."""

from __future__ import annotations

from pathlib import Path

import pytest
import trees

from runtimes.environment import cpu

BOTH = (0, 1)


@pytest.mark.parametrize(
    ("tree", "name"),
    [
        (trees.INTEL_LAPTOP, "12th Gen Intel(R) Core(TM) i7-1260P"),
        (trees.AMD_DESKTOP, "AMD Ryzen 9 5950X 16-Core Processor"),
        (trees.RASPBERRY_PI, "Raspberry Pi 4 Model B Rev 1.5 (4 Cortex-A72)"),
        (trees.PHONE, "Qualcomm Technologies, Inc SM8150 (4 Cortex-A55 + 4 Cortex-A76)"),
    ],
)
def test_a_processor_has_a_name_on_every_kind_of_machine(tree: trees.Tree, name: str, tmp_path: Path) -> None:
    assert cpu.model(trees.plant(tree, tmp_path)) == name


def test_governors_turbo_and_clocks_are_those_of_all_allowed_cores(tmp_path: Path) -> None:
    laptop = trees.plant(trees.INTEL_LAPTOP, tmp_path / "laptop")
    assert cpu.governors(BOTH, laptop) == ("powersave", "performance")
    assert cpu.governors((1,), laptop) == ("performance",)
    assert cpu.turbo(laptop) is True
    assert cpu.smt(laptop) is True
    assert cpu.clocks_mhz(BOTH, laptop) == (800.0, 4700.0)
    assert cpu.speeds(BOTH, laptop) == (4700000, 3400000)
    desktop = trees.plant(trees.AMD_DESKTOP, tmp_path / "desktop")
    assert cpu.governors(BOTH, desktop) == ("performance",)
    assert cpu.turbo(desktop) is False
    assert cpu.smt(desktop) is False
    assert cpu.clocks_mhz(BOTH, desktop) is None


def test_heat_is_the_processors_and_not_the_boards(tmp_path: Path) -> None:
    laptop = trees.plant(trees.INTEL_LAPTOP, tmp_path / "laptop")
    assert cpu.hottest_c(laptop) == 83.0
    assert cpu.throttle_count(laptop) == 12 + 3 + 20
    board = trees.plant(trees.RASPBERRY_PI, tmp_path / "board")
    assert cpu.hottest_c(board) == pytest.approx(61.835)
    assert cpu.raspberry_flags(board) == 0x50000
    assert cpu.throttle_count(board) is None
    fifth = trees.plant(
        {"sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled": "50005\n"},
        tmp_path / "fifth",
    )
    assert cpu.raspberry_flags(fifth) == 0x50005


def test_a_mouse_on_its_battery_is_not_the_machine_on_its(tmp_path: Path) -> None:
    plugged = {**trees.INTEL_LAPTOP, "sys/class/power_supply/AC/online": "1\n"}
    mouse = {name: text for name, text in trees.INTEL_LAPTOP.items() if "BAT0" not in name}
    assert cpu.on_battery(trees.plant(trees.INTEL_LAPTOP, tmp_path / "laptop")) is True
    assert cpu.on_battery(trees.plant(plugged, tmp_path / "plugged")) is False
    assert cpu.on_battery(trees.plant(mouse, tmp_path / "desktop")) is None


@pytest.mark.parametrize(
    ("tree", "around"),
    [
        (trees.INTEL_LAPTOP, ()),
        (trees.DOCKER, ("virtual machine", "container")),
        (trees.KUBERNETES_V1, ("container",)),
        ({"sys/class/dmi/id/product_name": "Google Compute Engine\n"}, ("virtual machine",)),
    ],
)
def test_what_lies_around_the_process_is_said(
    tree: trees.Tree, around: tuple[str, ...], tmp_path: Path
) -> None:
    assert cpu.inside(trees.plant(tree, tmp_path)) == around


def test_a_system_without_proc_and_sys_tells_nothing_and_breaks_nothing(tmp_path: Path) -> None:
    assert cpu.model(tmp_path)
    assert cpu.governors(BOTH, tmp_path) == ()
    assert cpu.speeds(BOTH, tmp_path) == ()
    assert cpu.inside(tmp_path) == ()
    nothing = [cpu.turbo(tmp_path), cpu.smt(tmp_path), cpu.hottest_c(tmp_path), cpu.throttle_count(tmp_path)]
    nothing += [cpu.raspberry_flags(tmp_path), cpu.clocks_mhz(BOTH, tmp_path)]
    assert nothing == [None] * 6


def test_a_file_that_holds_something_else_counts_as_absent(tmp_path: Path) -> None:
    root = trees.plant(
        {
            f"{trees.CPU}/cpufreq/boost": "on\n",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "?\n",
        },
        tmp_path,
    )
    assert cpu.turbo(root) is None
    assert cpu.hottest_c(root) is None
    assert cpu.raspberry_flags(root) is None
