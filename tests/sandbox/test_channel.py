"""Frames: what is sent arrives, and nothing that is not a frame is believed."""

import json
import os
import random
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoqec.sandbox.channel import Channel, ChannelClosed, ChannelTimeout, Message


@pytest.fixture
def pipe():
    """A channel that reads what is written to a raw descriptor."""
    read, write = os.pipe()
    yield Channel(read, -1), write
    for fd in (read, write):
        try:
            os.close(fd)
        except OSError:
            continue


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=9), lambda x: st.lists(x, max_size=3)
)


@given(
    st.dictionaries(st.text(max_size=9).filter(lambda s: s != "blobs"), JSON, max_size=4),
    st.dictionaries(st.text(max_size=9), st.binary(max_size=99), max_size=3),
)
def test_what_is_sent_arrives(fields, blobs):
    read, write = os.pipe()
    try:
        Channel(-1, write).send(Message(fields, blobs))
        got = Channel(read, -1).receive(timeout=60)
        assert (got.fields, got.blobs) == (fields, blobs)
    finally:
        os.close(read)
        os.close(write)


def test_a_frame_larger_than_the_pipe_arrives():
    read, write = os.pipe()
    data = random.Random(1).randbytes(3_000_000)
    sender = threading.Thread(target=Channel(-1, write).send, args=(Message({}, {"x": data}),))
    sender.start()
    assert Channel(read, -1).receive(timeout=60).blobs["x"] == data
    sender.join()
    os.close(read)
    os.close(write)


def frame(header, rest=b""):
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<4sI", b"AQF1", len(encoded)) + encoded + rest


@pytest.mark.parametrize(
    "data",
    [
        b"hello world, I am not a frame",
        struct.pack("<4sI", b"AQF1", 2**32 - 1),
        frame(b"not json"),
        frame([1, 2]),
        frame({"no": "blobs"}),
        frame({"blobs": [["x", -1]]}),
        frame({"blobs": [["x", 2**40]]}),
        frame({"blobs": [["x", "many"]]}),
        frame({"blobs": "x"}),
        frame(b'{"blobs": [["x", 1e999]]}'),
        frame(b'{"blobs": [], "loss": NaN}'),
        frame(b'{"blobs": [], "loss": 1e999}'),
        frame(b'{"blobs": [], "deep": ' + 50_000 * b"[" + b"}"),
    ],
)
def test_what_is_not_a_frame_is_refused(pipe, data):
    channel, write = pipe
    os.write(write, data)
    with pytest.raises(ChannelClosed):
        channel.receive(timeout=60)


def test_an_end_in_the_middle_of_a_frame_is_told(pipe):
    channel, write = pipe
    os.write(write, frame({"blobs": [["x", 10]]}, b"12345"))
    os.close(write)
    with pytest.raises(ChannelClosed, match="ended before"):
        channel.receive(timeout=60)


def test_a_slow_drip_does_not_hold_the_reader(pipe):
    channel, write = pipe
    data = frame({"blobs": [["x", 1000]]})
    stop = threading.Event()

    def drip():
        for byte in data + b"x" * 1000:
            if stop.wait(0.02):
                return
            os.write(write, bytes([byte]))

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        with pytest.raises(ChannelTimeout):
            channel.receive(timeout=0.3)
    finally:
        stop.set()
        thread.join()


def test_a_reader_that_is_gone_is_told():
    read, write = os.pipe()
    os.close(read)
    with pytest.raises(ChannelClosed, match="gone"):
        Channel(-1, write).send(Message({}))
    os.close(write)


def test_a_message_as_bytes_comes_back():
    message = Message({"a": [1, 2.5, None]}, {"one": b"\x00\xff", "two": b""})
    assert Message.from_bytes(message.to_bytes()) == message


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"AQF1",
        Message({}, {"a": b"12"}).to_bytes()[:-1],
        Message({}, {"a": b"12"}).to_bytes() + b"x",
        b"PICK" + Message({}).to_bytes()[4:],
        Message({"blobs": 3}).to_bytes().replace(b'"blobs": []', b'"blobs": 12'),
        Message({}, {"a": b"12"}).to_bytes().replace(b'["a", 2]', b'["a",-2]'),
    ],
)
def test_bytes_that_are_no_frame_are_refused(frame):
    with pytest.raises(ChannelClosed, match="frame"):
        Message.from_bytes(frame)
