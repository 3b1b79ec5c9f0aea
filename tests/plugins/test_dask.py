"""The executor `dask`: the same answers as here, whoever comes, goes, lies or is something else."""

import ast
import asyncio
import json
import os
import signal
import socket
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from autoqec_plugins.dask import far_side
from autoqec_plugins.dask.cluster_file import write_cluster_file
from autoqec_plugins.dask.dask_executor import DaskExecutor
from autoqec_plugins.dask.dask_gateway import Gateway, _connecting_hint
from autoqec_plugins.dask.dask_options import gateway_setup
from autoqec_plugins.dask.dask_source import opened_gateway
from autoqec_plugins.dask.gateway_messages import GatewayOrder, GatewaySetup
from warm_processes import children

from autoqec.errors import AutoQECError, UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files
from autoqec.sandbox.channel import Message
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.executor_contract import ExecutorChoice, Task, run_task
from autoqec.scoring.opened_executor import opened_executor, shared_choice
from autoqec.scoring.remote.answer_identity import identity_of
from autoqec.scoring.score_stream import ScoreStream
from autoqec.scoring.shard import AGAIN, FUNCTION
from autoqec.testing import TINY_ENVIRONMENT, check_executor

PLUGIN = Path(__file__).parents[2] / "plugins" / "dask"
SECONDS = 60.0


OPTIONS = {
    "address": "",
    "scheduler_file": "",
    "tls_ca_file": "",
    "tls_cert": "",
    "tls_key": "",
    "connect_seconds": 1.0,
}


def setup_of(**given) -> GatewaySetup:
    return gateway_setup(2, **{**OPTIONS, **given})


def threads_cluster():
    """A cluster of Dask's in threads of this process: its far side is here, so that a test can change it."""
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=0,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
    )


@pytest.fixture(scope="module")
def cluster():
    """One for all tests, and one process that is its client."""
    with threads_cluster() as made, opened_gateway(setup_of(address=made.scheduler_address)):
        yield made


@pytest.fixture(scope="module")
def greeting():
    """What a worker here says of itself: finding that out takes a second."""
    return far_side.greet()


class Workers:
    """The workers of a cluster that a test has."""

    def __init__(self, cluster):
        self.cluster, self.address, self.open = cluster, cluster.scheduler_address, []

    def add(self, **options):
        from distributed import Worker

        async def begin():
            return await Worker(self.address, nthreads=options.get("threads", 1), host="127.0.0.1")

        self.open.append(self.cluster.sync(begin))
        return self.open[-1]

    def close(self, worker):
        self.open.remove(worker)
        self.cluster.sync(worker.close, timeout=0.1, executor_wait=False)


@pytest.fixture
def workers(cluster, greeting, monkeypatch):
    monkeypatch.setattr(far_side, "greet", lambda: greeting)
    made = Workers(cluster)
    yield made
    for worker in list(made.open):
        made.close(worker)


@pytest.fixture
def executor(workers):
    """A function that opens an executor on these workers and keeps its news; `check_one_in` is out of the way."""
    from contextlib import ExitStack

    with ExitStack() as opened:

        def make(**options):
            made = opened.enter_context(DaskExecutor(2, address=workers.address, **{"check_one_in": 10**9, **options}))
            made.news, made.heard = [], threading.Condition()

            def told(news):
                with made.heard:
                    made.news.append(news)
                    made.heard.notify_all()

            made.watch(told)
            return made

        yield make


def said(executor, what, count=1):
    """Wait until so many news of a kind are there; they are these."""

    def found():
        return [news for news in executor.news if news.what == what]

    with executor.heard:
        assert executor.heard.wait_for(lambda: len(found()) >= count, SECONDS), executor.news
    return found()


def task(function, **fields):
    return Task(f"autoqec.testing.example_tasks:{function}", Message(fields))


def wait_for(path):
    deadline = time.monotonic() + SECONDS
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} is not there"
        time.sleep(0.01)


def held(tmp_path, name, **more):
    began, end = tmp_path / f"{name}.began", tmp_path / f"{name}.end"
    return task("hold", began=str(began), end=str(end), **more), began, end


def test_it_conforms(workers):
    workers.add()
    check_executor(partial(DaskExecutor, address=workers.address))


@pytest.fixture(scope="module")
def scored():
    """Tasks of a candidate with a trained stage's shape on the tiny environment, and what each answers here."""
    environment = environment_from_files({ENVIRONMENT_FILE: TINY_ENVIRONMENT.encode()}, origin="the environment")
    stream = ScoreStream(None, environment, SealedCandidate({}, b""), bytes(32), "holdout")
    tasks = [stream.task(FUNCTION, [chunk], references=True) for chunk in range(5)] + [
        stream.task(AGAIN, [0], rates=())
    ]
    yield tasks, [identity_of(run_task(each)) for each in tasks]
    from autoqec.scoring import shard

    shard._forget_decoder_set()


def test_any_number_of_workers_and_any_that_are_lost_give_the_same_bytes(workers, executor, scored, tmp_path):
    """Counts, hashes of chunks and of answers are what `identity_of` hashes; the verdict follows from them alone."""
    tasks, expected = scored
    pool = executor()
    first = workers.add()
    assert [identity_of(pool.submit(each).result(SECONDS)) for each in tasks] == expected
    for _ in range(2):
        workers.add()
        said(pool, "joined", len(workers.open))
        futures = [pool.submit(each) for each in tasks]
        assert [identity_of(future.result(SECONDS)) for future in futures] == expected
    # One that is lost in the middle of a task, and one whose child is killed in the middle of it.
    holding, began, end = held(tmp_path, "a")
    futures = [pool.submit(holding), *(pool.submit(each) for each in tasks)]
    wait_for(began)
    workers.close(next(each for each in workers.open if busy(each)))
    assert [identity_of(future.result(SECONDS)) for future in futures[1:]] == expected
    end.touch()
    assert futures[0].result(SECONDS).fields == holding.message.fields
    assert [news.what for news in pool.news] == ["joined"] * 3 + ["lost"]
    assert first is not None


def busy(worker):
    return bool(worker.state.executing)


def test_a_child_that_is_killed_in_the_middle_of_a_task_is_replaced(workers, executor, tmp_path):
    workers.add(), workers.add()
    pool = executor()
    said(pool, "joined", 2)
    holding, began, end = held(tmp_path, "a")
    future = pool.submit(holding)
    wait_for(began)
    (running,) = far_side.HOSTS._running
    os.kill(running.host._child.pid, signal.SIGKILL)
    end.touch()
    assert future.result(SECONDS).fields == holding.message.fields
    assert pool.submit(task("echo", number=1)).result(SECONDS).fields == {"number": 1}


def test_progress_is_passed_on_and_a_worker_has_as_many_tasks_as_threads(workers, executor, tmp_path):
    workers.add(threads=2)
    pool = executor()
    joined = said(pool, "joined", 2)
    address = workers.open[0].address
    assert sorted(news.worker for news in joined) == [f"{address} thread 1", f"{address} thread 2"]
    parts, told = [], threading.Event()

    def progress(part):
        parts.append(part)
        told.set()

    holds = [held(tmp_path, name) for name in "ab"]
    futures = [pool.submit(Task(each.function, each.message, progress)) for each, _, _ in holds]
    for _, began, _ in holds:
        wait_for(began)
    assert told.wait(SECONDS)
    assert set(parts) == {0.5}
    for _, _, end in holds:
        end.touch()
    for future in futures:
        future.result(SECONDS)


def test_what_nobody_waits_for_ends_in_its_worker(workers, tmp_path):
    workers.add()
    holding, began, _ = held(tmp_path, "a")
    with DaskExecutor(1, address=workers.address) as pool:
        pool.submit(holding)
        wait_for(began)
        (running,) = far_side.HOSTS._running
        child = running.host._child.pid
    deadline = time.monotonic() + SECONDS
    while child in children(os.getpid()):
        assert time.monotonic() < deadline, "the child still works for nobody"
        time.sleep(0.02)


def test_idle_children_end_after_a_while():
    hosts = far_side.Hosts()

    class Stand:
        closed = False

        def close(self):
            self.closed = True

    fresh, old = Stand(), Stand()
    hosts._idle = [(time.monotonic() - far_side._IDLE_SECONDS - 1, old), (time.monotonic(), fresh)]
    assert hosts._look()
    assert (old.closed, fresh.closed) == (True, False)
    hosts._idle = []
    assert not hosts._look()


def test_a_worker_that_cannot_be_used_is_refused_with_the_reason(workers, executor, monkeypatch, greeting):
    def no_module():
        raise ModuleNotFoundError("No module named 'autoqec'")

    other = Message.from_bytes(greeting)
    other = Message({**other.fields, "code": "f" * 64})
    pool = executor()
    for place, (does, reason) in enumerate(
        [
            (other.to_bytes, "the code of AutoQEC is ffffffffffff there"),
            (lambda: b"SSH-2.0-OpenSSH", "is not a frame"),
            (no_module, "AutoQEC cannot be imported there: No module named 'autoqec'"),
            (lambda: 7, "it answers with int, not with bytes"),
        ]
    ):
        monkeypatch.setattr(far_side, "greet", does)
        worker = workers.add()
        news = said(pool, "refused", place + 1)[-1]
        assert news.worker == worker.address
        assert reason in news.reason
    monkeypatch.setattr(far_side, "greet", lambda: greeting)
    workers.add()
    assert pool.submit(task("echo", number=1)).result(SECONDS).fields == {"number": 1}


def test_a_scheduler_that_ends_is_an_error_of_what_waits():
    with threads_cluster() as brief, DaskExecutor(1, address=brief.scheduler_address) as pool:
        future = pool.submit(task("echo", number=1))
        brief.close()
        error = future.exception(SECONDS)
    assert error.code == "no_workers"
    assert "no longer answers" in error.problem


def test_a_client_that_leaves_takes_its_subscriptions_back():
    """Else the scheduler tries to tell it that it has left, and logs a traceback for each command that ends."""
    topics = []
    client = SimpleNamespace(
        subscribe_topic=lambda topic, _: topics.append(topic), unsubscribe_topic=topics.remove, scheduler=None
    )

    async def identity(**_):
        return {"workers": {}}

    client.scheduler = SimpleNamespace(identity=identity, address="tcp://a:1")
    asyncio.run(Gateway(client, SimpleNamespace(receive=lambda: GatewayOrder(what="close").to_message())).run())
    assert topics == []


@pytest.mark.parametrize(
    ("address", "secure", "said"),
    [
        ("10.0.0.5", False, "10.0.0.5:8786"),
        ("tls://a:1", False, "set tls_ca_file, tls_cert and tls_key"),
        ("tcp://a:1", False, "begins with tls://"),
        ("tls://a:1", True, "the same tls_ca_file"),
    ],
)
def test_where_no_scheduler_answers_the_hint_is_about_what_is_wrong(address, secure, said):
    assert said in _connecting_hint(address, secure=secure)


def test_what_is_no_scheduler_is_told_apart(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"

        def web():
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=web, daemon=True).start()
        with (
            pytest.raises(AutoQECError, match=address) as caught,
            DaskExecutor(1, address=address, connect_seconds=2.0),
        ):
            pass
    assert (caught.value.code, caught.value.about) == ("scheduler_unreachable", {"address": address})
    # Nobody listens there any more.
    with pytest.raises(AutoQECError) as caught, DaskExecutor(1, address=address, connect_seconds=0.5):
        pass
    assert caught.value.code == "scheduler_unreachable"


def test_options_name_a_cluster_or_start_one(monkeypatch, tmp_path):
    assert (setup_of().address, setup_of().processes) == ("", 2)
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://a:1")
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__RETRY__COUNT", "3")
    found = setup_of()
    assert (found.address, found.processes) == ("tcp://a:1", 0)
    assert found.variables["DASK_DISTRIBUTED__COMM__RETRY__COUNT"] == "3", "the gateway reads Dask's own settings"
    assert setup_of(address="tcp://b:2").address == "tcp://b:2"
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": "tcp://c:3", "workers": {}}))
    assert setup_of(scheduler_file=str(file)).address == "tcp://c:3"
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text(f"-----BEGIN {name}-----\n")
    tls = {"tls_ca_file": str(tmp_path / "ca"), "tls_cert": str(tmp_path / "cert"), "tls_key": str(tmp_path / "key")}
    found = setup_of(**tls)
    assert (found.tls_ca, found.tls_key) == ("-----BEGIN ca-----\n", "-----BEGIN key-----\n")
    assert setup_of(**tls | {"tls_key": "\n-----BEGIN key-----\n"}).tls_key.strip() == "-----BEGIN key-----", "no path"
    assert "BEGIN" not in repr(found).partition("tls_cert")[2].partition("connect")[2], "a key is not shown"


def test_a_cluster_says_how_it_is_joined_in_a_file_that_is_yours_alone(tmp_path):
    security = SimpleNamespace(
        tls_ca_file="-----BEGIN CA\n", tls_client_cert="-----BEGIN C\n", tls_client_key="-----BEGIN K\n"
    )
    made = SimpleNamespace(scheduler_address="tls://a:1", security=security)
    file = write_cluster_file(made, tmp_path / "cluster.json")
    assert file.stat().st_mode & 0o777 == 0o600
    found = setup_of(scheduler_file=str(file))
    assert (found.address, found.tls_ca, found.tls_cert, found.tls_key) == (
        "tls://a:1", "-----BEGIN CA\n", "-----BEGIN C\n", "-----BEGIN K\n",
    )  # fmt: skip
    write_cluster_file(SimpleNamespace(scheduler_address="tcp://a:2"), file)
    assert (setup_of(scheduler_file=str(file)).address, setup_of(scheduler_file=str(file)).tls_key) == ("tcp://a:2", "")
    assert [path.name for path in tmp_path.iterdir()] == ["cluster.json"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"address": "tcp://a:1", "scheduler_file": "b"}, "both `address` and `scheduler_file`"),
        ({"scheduler_file": "{}/none"}, "scheduler_file of [executors.dask] names {}/none: No such file"),
        ({"scheduler_file": "{}/text"}, "it is not a scheduler's file"),
        ({"scheduler_file": "{}/list"}, "it is not a scheduler's file"),
        ({"scheduler_file": "{}/number"}, "it has no address"),
        ({"tls_cert": "{}/text"}, "no `tls_ca_file` and no `tls_key`"),
        ({"tls_ca_file": "{}/text", "tls_cert": "{}/text", "tls_key": "{}/text"}, "it is not a PEM file"),
        ({"address": 3}, "address must be text, not 3"),
        ({"tls_ca_file": True}, "tls_ca_file must be text, not True"),
    ],
)
def test_options_that_cannot_be_used_are_named(tmp_path, given, problem):
    (tmp_path / "text").write_text("hello")
    (tmp_path / "list").write_text("[1]")
    (tmp_path / "number").write_text('{"address": 7}')
    told = {
        name: value.replace("{}", str(tmp_path)) if isinstance(value, str) else value for name, value in given.items()
    }
    with pytest.raises(UsageError) as caught:
        setup_of(**told)
    assert problem.replace("{}", str(tmp_path)) in caught.value.problem


@pytest.mark.fresh_processes
def test_a_command_has_one_cluster_of_its_own_which_nobody_else_can_use_and_which_ends_with_it():
    from distributed import Client

    registry, before = load_plugins(), set(children(os.getpid()))
    with shared_choice(registry, ExecutorChoice("dask", 1)) as choice:
        address = choice.options["address"]
        assert address.startswith("tls://127.0.0.1:"), "another user of this machine has no certificate"
        with pytest.raises((OSError, TypeError)):
            Client(address.replace("tls", "tcp"), timeout=1, set_as_default=False)
        (gateway,) = set(children(os.getpid())) - before
        with opened_executor(registry, choice, lambda news: None) as executor:
            assert executor.submit(task("echo", number=1)).result(SECONDS).fields == {"number": 1}
            assert set(children(os.getpid())) - before == {gateway}, "a step uses what the command began"
        left = [gateway, *below(gateway)]
        assert len(left) > 3
    for pid in left:
        wait_until_gone(pid)


def below(pid):
    found = [
        int(each)
        for thread in Path(f"/proc/{pid}/task").iterdir()
        for each in (thread / "children").read_text().split()
    ]
    return [*found, *(each for child in found for each in below(child))]


def wait_until_gone(pid):
    deadline = time.monotonic() + SECONDS
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, f"process {pid} is left"
        time.sleep(0.02)


def test_only_the_gateway_and_the_far_side_know_dask():
    """Dask unpickles what it is sent, so no process with a key, a seed or a lab may load it."""
    loading = set()
    for path in PLUGIN.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            if any(name.split(".")[0] in ("dask", "distributed") for name in names):
                loading.add(path.stem)
    assert loading == {"dask_gateway", "far_side"}
