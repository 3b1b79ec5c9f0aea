"""Which processes may use a GPU, and how the memory of those is limited. No GPU is needed: the driver's folder is made up."""

import resource

import pytest

from autoqec.sandbox import child, gpus
from autoqec.sandbox.fork_server import ForkServer

MOST = resource.RLIM_INFINITY


@pytest.fixture
def one_gpu(tmp_path, monkeypatch):
    """The machine has a GPU."""
    monkeypatch.setattr(gpus, "GPUS", tmp_path)
    (tmp_path / "0000:01:00.0").mkdir()


@pytest.mark.parametrize(("chosen", "sees"), [(None, True), ("0", True), ("GPU-1", True), ("", False), ("-1", False)])
def test_a_process_sees_a_gpu_unless_its_user_hides_it(one_gpu, chosen, sees):
    assert gpus.sees_gpu({} if chosen is None else {gpus.CHOSEN: chosen}) is sees


def test_a_machine_without_the_driver_has_no_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(gpus, "GPUS", tmp_path / "none")
    assert not gpus.sees_gpu({})


def test_children_have_the_gpu_that_their_user_chose_and_locked_ones_none(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    told = child._environment(1, "/tmp")
    assert (told["CUDA_VISIBLE_DEVICES"], told["CUDA_DEVICE_ORDER"]) == ("3", "PCI_BUS_ID")
    seen = []

    class Enough(Exception):
        pass

    def begin(arguments, *, env, **more):
        seen.append(env["CUDA_VISIBLE_DEVICES"])
        raise Enough

    monkeypatch.setattr(child.subprocess, "Popen", begin)
    for apart in (False, True):
        with pytest.raises(Enough):
            child.Child("a:b", apart=apart)
    with pytest.raises(Enough):
        ForkServer("a:b", memory_bytes=1)
    assert seen == ["3", "", ""]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert "CUDA_VISIBLE_DEVICES" not in child._environment(1, "/tmp")


@pytest.mark.parametrize("sees", [False, True])
def test_where_a_gpu_is_used_the_limit_is_not_one_of_address_space(monkeypatch, sees):
    """CUDA reserves more of that than any machine has. A soft limit of the parent is lifted: it was of another kind."""
    monkeypatch.setattr(gpus, "sees_gpu", lambda: sees)
    limits = {resource.RLIMIT_AS: (8, MOST), resource.RLIMIT_DATA: (8, MOST)}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)
    monkeypatch.setattr(resource, "setrlimit", limits.__setitem__)
    limited, other = resource.RLIMIT_AS, resource.RLIMIT_DATA
    if sees:
        limited, other = other, limited
    gpus.limit_memory(100, for_good=False)
    assert (limits[limited], limits[other]) == ((100, MOST), (MOST, MOST))
    limits[limited] = (8, 50)
    gpus.limit_memory(100, for_good=False)
    assert limits[limited] == (50, 50)
    gpus.limit_memory(20)
    assert (limits[limited], limits[other]) == ((20, 20), (MOST, MOST))


def test_a_gpu_is_named_where_torch_may_use_it(tmp_path, monkeypatch):
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0/information").write_text("Model: \t\t NVIDIA H200\nIRQ: 3\n")
    monkeypatch.setattr(gpus, "GPUS", tmp_path)
    monkeypatch.setattr(gpus, "version", lambda name: "2.6.0")
    assert gpus.gpu_model() == "NVIDIA H200"
    monkeypatch.setattr(gpus, "version", lambda name: "2.6.0+cpu")
    assert gpus.gpu_model() == ""
    monkeypatch.setattr(gpus, "version", lambda name: "2.6.0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus.gpu_model() == ""
