"""Two hosts with a relay and four torch ranks each, and a third with the central daemon: whatever fails, each report is
judged once, and alerts come back. tests/bench/three_hosts.py is the same at full length, with step times."""

import pytest
import three_hosts
import wire

WHY_NOT = wire.why_not()


@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
def test_every_fault_once(tmp_path):
    scenario = three_hosts.Scenario(tmp_path, three_hosts.SHORT).run()
    print(three_hosts.table(scenario.rows))
    assert scenario.problems == []
    assert [row["phase"] for row in scenario.rows] == [
        "quiet",
        "host a cut off",
        "200 ms each way, 5 % loss",
        "central daemon killed",
        "relay of host a killed",
        "host b gone",
    ]
    # No spool was full: nothing may be missing, and each phase had its reports.
    assert scenario.dropped == {"relay": 0, "client": 0, "late": 0}
    assert all(row["missing"] == 0 for row in scenario.rows)
    assert all(row["judged"] > 0 for row in scenario.rows)
    # All but what had no time to leave the host that is gone.
    assert all(row["gone"] == 0 for row in scenario.rows[:-1])
    assert scenario.rows[-1]["gone"] <= 2 * 4
