"""Machines as their /proc and /sys describe them, cut to what is read: a dictionary of files each, and a folder of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

Tree = Mapping[str, str]
CPU = "sys/devices/system/cpu"


def intel_flags(*more: str) -> str:
    return " ".join(["fpu", "vme", "sse4_2", "avx2", *more])


def cpuinfo(model: str, flags: str) -> str:
    core = "processor\t: {}\nvendor_id\t: GenuineIntel\nmodel\t\t: 154\nmodel name\t: {}\nflags\t\t: {}\n"
    return "\n".join(core.format(number, model, flags) for number in (0, 1))


INTEL_LAPTOP: Tree = {
    "proc/cpuinfo": cpuinfo("12th Gen Intel(R) Core(TM) i7-1260P", intel_flags("hwp")),
    f"{CPU}/intel_pstate/no_turbo": "0\n",
    f"{CPU}/smt/active": "1\n",
    f"{CPU}/cpu0/cpufreq/scaling_governor": "powersave\n",
    f"{CPU}/cpu1/cpufreq/scaling_governor": "performance\n",
    f"{CPU}/cpu0/cpufreq/scaling_cur_freq": "2100000\n",
    f"{CPU}/cpu1/cpufreq/scaling_cur_freq": "800000\n",
    f"{CPU}/cpu0/cpufreq/cpuinfo_max_freq": "4700000\n",
    f"{CPU}/cpu1/cpufreq/cpuinfo_max_freq": "3400000\n",
    f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "12\n",
    f"{CPU}/cpu0/thermal_throttle/package_throttle_count": "20\n",
    f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "3\n",
    f"{CPU}/cpu1/thermal_throttle/package_throttle_count": "20\n",
    "sys/class/thermal/thermal_zone0/type": "acpitz\n",
    "sys/class/thermal/thermal_zone0/temp": "99000\n",
    "sys/class/thermal/thermal_zone1/type": "x86_pkg_temp\n",
    "sys/class/thermal/thermal_zone1/temp": "83000\n",
    "sys/class/power_supply/AC/type": "Mains\n",
    "sys/class/power_supply/AC/online": "0\n",
    "sys/class/power_supply/BAT0/type": "Battery\n",
    "sys/class/power_supply/BAT0/status": "Discharging\n",
    "sys/class/power_supply/hidpp_battery_0/type": "Battery\n",
    "sys/class/power_supply/hidpp_battery_0/scope": "Device\n",
    "sys/class/power_supply/hidpp_battery_0/status": "Discharging\n",
    "sys/class/dmi/id/product_name": "XPS 13 9320\n",
    "proc/1/cgroup": "0::/init.scope\n",
}

AMD_DESKTOP: Tree = {
    "proc/cpuinfo": cpuinfo("AMD Ryzen 9 5950X 16-Core Processor", intel_flags("svm")),
    f"{CPU}/cpufreq/boost": "0\n",
    f"{CPU}/smt/active": "0\n",
    f"{CPU}/cpu0/cpufreq/scaling_governor": "performance\n",
    f"{CPU}/cpu1/cpufreq/scaling_governor": "performance\n",
    f"{CPU}/cpu0/cpufreq/cpuinfo_max_freq": "5083398\n",
    f"{CPU}/cpu1/cpufreq/cpuinfo_max_freq": "4917968\n",
    "sys/class/dmi/id/product_name": "System Product Name\n",
}

RASPBERRY_PI: Tree = {
    "proc/cpuinfo": "".join(
        f"processor\t: {number}\nBogoMIPS\t: 108.00\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n\n"
        for number in range(4)
    )
    + "Revision\t: c03115\nModel\t\t: Raspberry Pi 4 Model B Rev 1.5\n",
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0",
    f"{CPU}/cpu0/cpufreq/scaling_governor": "ondemand\n",
    f"{CPU}/cpu1/cpufreq/scaling_governor": "ondemand\n",
    f"{CPU}/cpu0/cpu_capacity": "1024\n",
    f"{CPU}/cpu1/cpu_capacity": "1024\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "50000\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "61835\n",
}

PHONE: Tree = {
    "proc/cpuinfo": "".join(
        f"processor\t: {number}\nCPU implementer\t: 0x41\nCPU part\t: {part}\n\n"
        for number, part in enumerate(["0xd05"] * 4 + ["0xd0b"] * 4)
    )
    + "Hardware\t: Qualcomm Technologies, Inc SM8150\n",
    f"{CPU}/cpu0/cpu_capacity": "261\n",
    f"{CPU}/cpu1/cpu_capacity": "1024\n",
}

# A container of Docker on a host with version 2: its own group is the root of what it sees.
DOCKER: Tree = {
    "proc/cpuinfo": cpuinfo("Intel(R) Xeon(R) Platinum 8488C", intel_flags("hypervisor")),
    "proc/self/cgroup": "0::/\n",
    ".dockerenv": "",
    "sys/fs/cgroup/cpu.max": "150000 100000\n",
    "sys/fs/cgroup/cpu.stat": "usage_usec 81\nuser_usec 60\nnr_periods 900\nnr_throttled 40\nthrottled_usec 2500000\n",
}

# A systemd service of version 2, limited by the slice above it.
SERVICE: Tree = {
    "proc/self/cgroup": "0::/bench.slice/bench.service\n",
    "sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n",
    "sys/fs/cgroup/bench.slice/cpu.max": "300000 100000\n",
    "sys/fs/cgroup/bench.slice/cpu.stat": "usage_usec 9\nnr_throttled 2\nthrottled_usec 100\n",
    "sys/fs/cgroup/bench.slice/bench.service/cpu.max": "max 100000\n",
    "sys/fs/cgroup/bench.slice/bench.service/cpu.stat": "usage_usec 9\nnr_throttled 0\nthrottled_usec 0\n",
}

# Version 1, whose container is told the path that its group has on the host.
KUBERNETES_V1: Tree = {
    "proc/self/cgroup": "5:memory:/kubepods/pod7/c1\n4:cpu,cpuacct:/kubepods/pod7/c1\n1:name=systemd:/kubepods/pod7/c1\n",
    "proc/1/cgroup": "4:cpu,cpuacct:/kubepods/pod7/c1\n",
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/cpu,cpuacct/cpu.stat": "nr_periods 10\nnr_throttled 7\nthrottled_time 3000000000\n",
}


def plant(tree: Tree, root: Path) -> Path:
    """The files of the tree under ``root``."""
    for name, content in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root
