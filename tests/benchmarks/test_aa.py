"""``make aa`` on one pair: real children, a simulated clock; and a claim that does not hold is called broken."""

from __future__ import annotations

from pathlib import Path

from runtimes.measuring.cases import Plan
from tests.benchmarks import aa
from tests.benchmarks.aa import Claim


def test_the_claims_hold_on_one_pair(tmp_path: Path) -> None:
    plan = Plan(seconds=4.0, rounds=10)
    claims = aa.pair_claims(tmp_path, "one", plan, 0.1, 1, seed=1) + aa.flag_claims(tmp_path, plan, 1, seed=5)
    misses = {claim.text: claim.misses for claim in claims}
    assert set(misses.values()) == {0}
    assert {claim.text: claim.n for claim in claims}["one: p99 outside its interval"] == 2


def test_a_claim_is_broken_by_what_chance_does_not_do() -> None:
    assert not Claim("", 0, 100, 0.0).broken
    assert not Claim("", 9, 100, 0.05).broken
    assert Claim("", 14, 100, 0.05).broken
    assert Claim("", 1, 100, 0.0).broken
    assert "BROKEN" in aa.table([Claim("p50 outside its interval", 14, 100, 0.05)])
