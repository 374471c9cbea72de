"""Workers that beat and can be asked: a real daemon tells who is gone from who merely does not report."""

from contextlib import closing
from pathlib import Path

from defib_testkit.company import Company
from defib_testkit.victim_handle import Victim

DEAD, MUTE = "3fa85f64-5717-4562-b3fc-2c963f66afa6", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
EVERY_S = 4.0
SUSPECT_S = EVERY_S + 1.0
MISSED_S = 3 * EVERY_S + 1.0  # a plain ping may miss three
SLACK_S = 1.5  #: of a busy machine


def test_a_worker_that_died_is_found_by_asking_and_one_that_lives_has_until_its_deadline(
    company: Company, victim: Victim, tmp_path: Path
) -> None:
    with closing(Victim(tmp_path)) as other:
        other.start()
        place = f"tcp://{other.host}:{other.port}"
        worker = {"type": "heartbeat", "every": "4s", "strategy": "normal"}  # looks after 0, 1 and 3 s
        company.watch({**worker, "id": "dead", "probe": victim.url, "uuid": DEAD})
        company.watch({**worker, "id": "mute", "probe": place, "uuid": MUTE})
        company.serve()
        assert company.fetch(f"/ping/{DEAD}").text == "OK"
        assert company.fetch(f"/ping/{MUTE}").text == "OK"
        victim.kill()
        company.wait_for("dead", "fault")
        company.wait_for("mute", "fault")

    [dead] = company.rows("SELECT decided_at FROM transition WHERE monitor = 'dead' AND to_state = 'fault'")
    [mute] = company.rows("SELECT decided_at FROM transition WHERE monitor = 'mute' AND to_state = 'fault'")
    beats = dict(company.rows("SELECT monitor, max(received_at) FROM beat GROUP BY monitor"))
    assert SUSPECT_S + 2.9 <= (dead[0] - beats["dead"]) / 1e6 <= SUSPECT_S + 3.0 + SLACK_S
    assert MISSED_S - 0.1 <= (mute[0] - beats["mute"]) / 1e6 <= MISSED_S + SLACK_S
    causes = dict(company.rows("SELECT monitor, cause FROM incident"))
    assert causes == {"dead": "silent-sender", "mute": "missed-beat"}
    causes_seen = [look["cause"] for look in company.looks("mute") if look["cause"]]
    assert causes_seen == ["late-beat", "answers-without-beats", "missed-beat"]
