"""Parallel commands: each result is returned, and no process remains."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.run.groups.workers import Job, run_jobs
from tests.harness import REPOSITORY, wait_for


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_when_we_are_ended(tmp_path, number):
    child = "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid()));"
    script = (
        "import sys, pathlib; from pipeline.run.groups.workers import Job, run_jobs;"
        f"job = Job(0, [sys.executable, '-c', {child + 'time.sleep(60)'!r}], {{}},"
        " pathlib.Path('log')); list(run_jobs([job], 1, 1))"
    )
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}
    )
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    process.send_signal(number)
    assert process.wait(30) == 128 + number
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize(
    ("visible", "expected"), [("", ["", "", ""]), ("2,3", ["2", "3", "2"]), ("7", ["7"] * 3)]
)
def test_each_job_gets_a_gpu_in_turn(tmp_path, monkeypatch, visible, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    script = "import os, time; print(os.environ['CUDA_VISIBLE_DEVICES']); time.sleep(1)"
    list(run_jobs([job(n, tmp_path, script) for n in range(3)], at_once=3, threads=1))
    assert [(tmp_path / f"{n}.log").read_text().strip() for n in range(3)] == expected


def test_what_a_job_has_started_is_ended_too(tmp_path):
    script = (
        "import subprocess, pathlib, time; p = subprocess.Popen(['sleep', '60']);"
        "pathlib.Path('pid').write_text(str(p.pid)); time.sleep(60)"
    )
    jobs = [job(0, tmp_path, f"import os; os.chdir({str(tmp_path)!r}); {script}")]
    jobs.append(job(1, tmp_path, "import time; time.sleep(2)"))
    iteration = run_jobs(jobs, at_once=2, threads=1)
    next(iteration)
    iteration.close()
    wait_for(lambda: not is_alive(int((tmp_path / "pid").read_text())))


def is_alive(pid):
    try:
        state = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
