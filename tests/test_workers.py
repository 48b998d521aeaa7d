"""Commands at the same time: nothing is lost, nothing is left behind."""

import os
import sys
import time

import pytest

from pipeline.workers import Job, run_jobs


def job(number, folder, script, **environment):
    return Job(number, [sys.executable, "-c", script], environment, folder / f"{number}.log")


def test_each_job_runs_once_with_its_environment_and_its_log(tmp_path):
    script = "import os; print('job', os.environ['N'], os.environ['OMP_NUM_THREADS'])"
    jobs = [job(n, tmp_path, script, N=str(n), OMP_NUM_THREADS="3") for n in range(5)]
    outcomes = list(run_jobs(jobs, at_once=2, threads=1))
    assert sorted(outcome.job.number for outcome in outcomes) == list(range(5))
    assert {outcome.code for outcome in outcomes} == {0}
    assert [(tmp_path / f"{n}.log").read_text() for n in range(5)] == [
        f"job {n} 3\n" for n in range(5)
    ]


def test_a_failure_does_not_stop_the_others(tmp_path):
    jobs = [job(n, tmp_path, f"raise SystemExit({n})") for n in (1, 0)]
    assert {o.job.number: o.code for o in run_jobs(jobs, 1, 1)} == {1: 1, 0: 0}


def test_never_more_at_once_than_asked_for(tmp_path):
    script = (
        "import os, time, pathlib; p = pathlib.Path(os.environ['D']) / os.environ['N'];"
        "p.touch(); n = len(list(p.parent.glob('j*'))); time.sleep(.5); p.unlink(); print(n)"
    )
    jobs = [job(n, tmp_path, script, D=str(tmp_path), N=f"j{n}") for n in range(4)]
    list(run_jobs(jobs, at_once=2, threads=1))
    assert max(int((tmp_path / f"{n}.log").read_text()) for n in range(4)) == 2


def test_what_runs_is_ended_when_the_iteration_is(tmp_path):
    script = (
        "import os, time, pathlib; pathlib.Path(os.environ['F']).write_text(str(os.getpid()));"
        "time.sleep(60)"
    )
    file = tmp_path / "pid"
    jobs = [job(0, tmp_path, script, F=str(file)), job(1, tmp_path, "import time; time.sleep(1.5)")]
    iteration = run_jobs(jobs, at_once=2, threads=1)
    assert next(iteration).job.number == 1
    start = time.monotonic()
    iteration.close()
    assert time.monotonic() - start < 10
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)
