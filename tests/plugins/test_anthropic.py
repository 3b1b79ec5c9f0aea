"""The agent `anthropic:MODEL`, through the real SDK, against a server of our own."""

import json
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from autoqec_plugins.anthropic.anthropic_agent import AnthropicAgent
from autoqec_plugins.anthropic.anthropic_options import _LOOPBACK, parsed
from autoqec_plugins.anthropic.prices import PRICES, cost_of, price_of
from autoqec_plugins.anthropic.request_errors import readable, retry_after

from autoqec.agents.agent_contract import AgentUnavailable, Context, Usage
from autoqec.agents.asking import AgentError, ask
from autoqec.agents.prompt import render
from autoqec.agents.role_messages import Hypothesis
from autoqec.errors import UsageError
from autoqec.plugins import load_plugins

KEY = "sk-ant-only-for-tests-0123456789abcdef"
CONTEXT = Context(environment={"name": "tiny"}, run="r-abcd", round=1, seed=1, stages={}, limits={})
GOOD = {"text": "an idea"}
DOLLAR = {"input": 1.0, "output": 10.0, "cache_read": 0.1, "cache_write": 2.0}


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in ("BASE_URL", "AUTH_TOKEN", "CUSTOM_HEADERS", "PROFILE"):
        monkeypatch.delenv(f"ANTHROPIC_{name}", raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)


@pytest.fixture
def talk(messages_server, monkeypatch):
    """Asks an agent of a scripted server as Ideator: the reply, the requests, and what was reported."""

    def make(*script, context=CONTEXT, model=messages_server.MODEL, prices=None, **options):
        reports = []
        with messages_server.MessagesServer(script) as server:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
            agent = AnthropicAgent(model, prices=prices, **options)
            reply = agent.reply("ideator", context, reports.append)
        assert reply.prompt == render("ideator", context).text
        return reply, server.requests, reports

    return make


@pytest.fixture
def refused(talk):
    """The error of a script that leads to none."""

    def make(*script, **options):
        with pytest.raises(AgentUnavailable) as caught:
            talk(*script, **options)
        assert KEY not in caught.value.problem
        return caught.value

    return make


# What is said


def test_a_call_of_the_tool_is_the_message(talk, messages_server):
    reply, requests, _ = talk(messages_server.said(GOOD, output=7))
    assert (reply.message, reply.problem) == (GOOD, "")
    assert (reply.model, json.loads(reply.text)) == (messages_server.MODEL, GOOD)
    assert reply.usage == Usage(100, 7)
    assert len(requests) == 1


@pytest.mark.parametrize("text", [json.dumps(GOOD), f"```json\n{json.dumps(GOOD, indent=1)}\n```"])
def test_json_in_words_is_understood_too(talk, messages_server, text):
    assert talk(messages_server.words(text))[0].message == GOOD


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (lambda m: m.said('{"text": "an id', stop="max_tokens"), "cut off at max_tokens=500; be shorter"),
        (lambda m: m.words("I", stop="model_context_window_exceeded"), "end of the model's context window"),
        (
            lambda m: m.words("", stop="refusal", details={"type": "refusal", "category": "bio"}),
            "refused to answer: bio",
        ),
        (lambda m: m.words("", stop="refusal"), "refused to answer"),
        (lambda m: m.words("Let me think about that."), "reply was not called, and the reply is not a JSON object"),
        (lambda m: m.words(""), "the reply is empty"),
        (lambda m: m.said('{"text": "an idea"'), "input of the tool reply is not a JSON object"),
        (lambda m: m.said('{"text": NaN}'), "NaN is not a JSON number"),
        (lambda m: m.said("[" * 100_000), "input of the tool reply is not a JSON object"),
        (lambda m: m.words("junk " * 10_000), "not a JSON object"),
        (
            lambda m: m.blocks(*[{"type": "tool_use", "id": "t", "name": "reply", "input": "{}"}] * 2, stop="tool_use"),
            "called 2 times",
        ),
    ],
)
def test_what_cannot_be_used_is_a_problem_in_words(talk, messages_server, build, problem):
    reply, _, _ = talk(build(messages_server), max_tokens=500)
    assert problem in reply.problem
    assert reply.message is None
    assert reply.usage.total > 100


def test_a_wrong_reply_is_repaired_once_and_then_given_up(messages_server, monkeypatch):
    script = [messages_server.said({"idea": "x"}), messages_server.said({"text": 3}), messages_server.said(GOOD)]
    with messages_server.MessagesServer(script) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        with pytest.raises(AgentError, match="text: must be text"):
            ask(AnthropicAgent(messages_server.MODEL), "ideator", CONTEXT)
        first, second = (request.body["messages"][0]["content"] for request in server.requests)
    assert "text: missing" not in first
    assert "text: missing" in second
    assert "idea" in second


def test_a_cut_off_reply_is_repaired(messages_server, monkeypatch):
    script = [messages_server.said('{"te', stop="max_tokens"), messages_server.said(GOOD)]
    with messages_server.MessagesServer(script) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        assert ask(AnthropicAgent(messages_server.MODEL), "ideator", CONTEXT) == Hypothesis(text="an idea")
        assert "cut off at max_tokens=32000" in server.requests[1].body["messages"][0]["content"]


# What is asked


def test_the_shape_of_a_request(talk, messages_server):
    _, [request], _ = talk(messages_server.said(GOOD), effort="high", max_tokens=9000)
    prompt = render("ideator", CONTEXT)
    body = request.body
    assert request.path == "/v1/messages"
    assert body["system"] == [
        {"type": "text", "text": prompt.system},
        {"type": "text", "text": prompt.stable, "cache_control": {"type": "ephemeral"}},
    ]
    assert body["messages"] == [{"role": "user", "content": prompt.volatile}]
    assert [(tool["name"], tool["input_schema"]) for tool in body["tools"]] == [("reply", prompt.schema)]
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert (body["max_tokens"], body["output_config"], body["stream"]) == (9000, {"effort": "high"}, True)
    assert not {"thinking", "temperature", "metadata"} & set(body)


def test_the_stable_prefix_is_the_same_bytes_in_every_round(talk, messages_server):
    def prefix(context):
        raw = talk(messages_server.said(GOOD), context=context)[1][0].raw.decode()
        body = json.loads(raw)
        for part in ("tools", "system"):
            assert json.dumps(body[part], ensure_ascii=False, separators=(",", ":")) in raw
        return json.dumps([body["tools"], body["system"]])

    later = replace(CONTEXT, round=2, seed=5, budget={"rounds": 3}, machine={"cores": 4})
    assert prefix(CONTEXT) == prefix(later)


def test_the_key_is_in_its_header_and_nowhere_else(talk, messages_server):
    reply, [request], reports = talk(messages_server.said(GOOD))
    assert [name for name, value in request.headers.items() if KEY in value] == ["authorization"]
    assert request.headers.pop("authorization") == f"Bearer {KEY}"
    assert KEY not in f"{request.headers}{request.raw}{request.path}{reply}{reports}"


def test_a_server_that_the_settings_name_never_sees_the_key(messages_server, monkeypatch):
    with messages_server.MessagesServer([messages_server.said(GOOD)] * 2) as server:
        agent = AnthropicAgent(messages_server.MODEL, base_url=server.url)
        assert agent.reply("ideator", CONTEXT).message == GOOD
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        assert agent.reply("ideator", CONTEXT).message == GOOD
        assert [request.headers["authorization"] for request in server.requests] == ["Bearer none"] * 2
        monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-gateway: secret")
        with pytest.raises(UsageError, match="ANTHROPIC_CUSTOM_HEADERS"):
            agent.reply("ideator", CONTEXT)


def test_a_local_server_of_the_environment_needs_no_key(talk, messages_server, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert talk(messages_server.said(GOOD))[1][0].headers["authorization"] == "Bearer none"


def test_the_environment_goes_before_the_settings(talk, messages_server):
    assert talk(messages_server.said(GOOD), base_url="http://127.0.0.1:9")[0].message == GOOD


def test_a_redirect_is_not_followed(refused, messages_server):
    with messages_server.MessagesServer([messages_server.said(GOOD)]) as other:
        error = refused(messages_server.Response(307, {"location": f"{other.url}/v1/messages"}))
        assert "the key is not sent to another server" in error.problem
        assert other.requests == []


@pytest.mark.parametrize("key", [None, "", "  ", "two words", "ключ-от-всего"])
def test_without_a_key_there_is_no_call(monkeypatch, key):
    if key is None:
        monkeypatch.delenv("ANTHROPIC_API_KEY")
    else:
        monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    with pytest.raises(AgentUnavailable) as caught:
        AnthropicAgent("claude-opus-5-5").reply("ideator", CONTEXT)
    assert caught.value.hint == "export ANTHROPIC_API_KEY=…"
    assert not key or not key.strip() or key not in caught.value.problem


# Options


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example",
        "http://127.0.0.1@evil.example",
        "http://127.0.0.1:80@evil.example",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example/",
        "http://evil.example\\@127.0.0.1",
        "http://evil.example#@127.0.0.1",
        "http://127.0.0.1\n.evil.example",
        "http://127.0.0.1:8080/?x=@evil",
        "http://127.0.0.999",
        "http://[::2]",
        "ftp://127.0.0.1",
        "http://0.0.0.0",
        "127.0.0.1",
        "",
        7,
    ],
)
def test_the_settings_cannot_send_prompts_elsewhere(url):
    with pytest.raises(UsageError, match=r"agents.<role>.base_url") as caught:
        parsed({"base_url": url})
    assert "ANTHROPIC_BASE_URL" in caught.value.hint


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1", "http://127.9.8.7:80/v1", "http://[::1]:8", "https://localhost:1/a/"]
)
def test_servers_of_this_machine_are_welcome(url):
    assert parsed({"base_url": url}).base_url == url
    assert _LOOPBACK.fullmatch(url)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"max_tokens": 0}, "agents.<role>.max_tokens must be a whole number between 256"),
        ({"max_tokens": 1e4}, "agents.<role>.max_tokens must be a whole number"),
        ({"max_tokens": True}, "agents.<role>.max_tokens"),
        ({"timeout": "long"}, "agents.<role>.timeout must be a number between 1"),
        ({"timeout": float("nan")}, "agents.<role>.timeout"),
        ({"patience_seconds": -1}, "agents.<role>.patience_seconds"),
        ({"effort": "huge"}, "agents.<role>.effort must be one of low, medium, high, xhigh, max"),
        ({"effort": ""}, "agents.<role>.effort"),
        ({"api_key": "sk"}, "agents.<role>.api_key: agent anthropic has no such option"),
    ],
)
def test_a_wrong_option_is_named(options, problem):
    entry = load_plugins().get("agent", "anthropic:claude-opus-5-5")
    with pytest.raises(UsageError) as caught:
        entry.create(prices={}, **options)
    assert caught.value.problem.startswith(problem)
    assert caught.value.hint


# Progress, pauses and refusals


def test_tokens_are_reported_as_they_come(talk, messages_server):
    _, _, reports = talk(messages_server.said({"text": "x" * 400}, pieces=8, delay=0.07))
    counts = [report["tokens"] for report in reports]
    assert counts == sorted(counts)
    assert 2 <= len(counts) <= 6
    assert counts[0] < 20 < counts[-1]


def test_a_rate_limit_is_waited_out(talk, messages_server):
    limit = messages_server.failed(429, "rate_limit_error", retry_after="1")
    reply, requests, reports = talk(limit, messages_server.said(GOOD))
    assert reply.message == GOOD
    assert 1.0 <= requests[1].at - requests[0].at < 60
    assert reports[0] == {"waiting": 1.0, "why": "rate limit"}
    assert reply.usage == Usage(100, 20)


@pytest.mark.parametrize(
    ("build", "why", "timeout"),
    [
        (lambda m: m.failed(500, "api_error"), "server error 500", 60.0),
        (lambda m: m.failed(529, "overloaded_error"), "overloaded", 60.0),
        (lambda m: m.said(GOOD).cut_after(0), "no connection", 60.0),
        (lambda m: replace(m.said(GOOD), delay=6.0), "timeout", 4.0),
    ],
)
def test_what_passes_is_waited_out(talk, messages_server, build, why, timeout):
    reply, requests, reports = talk(build(messages_server), messages_server.said(GOOD), timeout=timeout)
    assert reply.message == GOOD
    assert len(requests) == 2
    assert [report for report in reports if "waiting" in report] == [{"waiting": 0.5, "why": why}]


@pytest.mark.parametrize("polite", [False, True])
def test_a_stream_that_is_cut_is_begun_again_and_its_tokens_are_counted(talk, messages_server, polite):
    how = {"usage": {"cache_creation_input_tokens": 30, "cache_read_input_tokens": 40}, "model": "m"}
    whole = messages_server.said({"text": "x" * 100}, pieces=4, **how)
    reply, requests, reports = talk(
        whole.cut_after(5, polite=polite), whole, model="m", prices={"m": DOLLAR}, patience_seconds=5
    )
    assert reply.message == {"text": "x" * 100}
    assert len(requests) == 2
    assert {"waiting": 0.5, "why": "connection lost"} in reports
    # Two of four pieces came: 56 of 112 letters, which are about 19 tokens.
    assert reply.usage == Usage(200, 20 + 19, 80, 60)
    assert reply.cost == pytest.approx((200 * 1 + 39 * 10 + 80 * 0.1 + 60 * 2) / 1e6)


def test_an_error_within_a_stream_is_told_by_its_kind(talk, refused, messages_server):
    said = messages_server.said(GOOD)
    reply, _, reports = talk(messages_server.failing("overloaded_error", said, after=3), said)
    assert {"waiting": 0.5, "why": "overloaded"} in reports
    assert reply.usage == Usage(200, 21)
    error = refused(messages_server.failing("invalid_request_error", said, after=1, message="too odd"))
    assert "refused the request (400): too odd" in error.problem


def test_patience_ends(refused, messages_server):
    began = time.monotonic()
    error = refused(messages_server.failed(429, "rate_limit_error", "slow down", retry_after="3600"))
    assert time.monotonic() - began < 60
    assert "it asks to wait 3,600 s" in error.problem
    assert "patience_seconds is 900: slow down" in error.problem
    assert "autoqec resume" in error.hint
    error = refused(*[messages_server.failed(500, "api_error")] * 9, patience_seconds=1)
    assert "server error 500" in error.problem


def test_a_server_that_cuts_every_reply_is_given_up(refused, messages_server, monkeypatch):
    monkeypatch.setattr("autoqec_plugins.anthropic.calling._FIRST", 0.01)
    error = refused(*[messages_server.said(GOOD).cut_after(4)] * 9)
    assert "interrupted 5 replies" in error.problem


@pytest.mark.parametrize(
    ("status", "kind", "problem", "hint"),
    [
        (
            400,
            "invalid_request_error",
            "refused the request (400): say it otherwise",
            "max_tokens, effort or the model",
        ),
        (401, "authentication_error", "refused the key (401)", "export ANTHROPIC_API_KEY"),
        (402, "billing_error", "refused the request (402)", "billing"),
        (403, "permission_error", "refused the key (403)", "export ANTHROPIC_API_KEY"),
        (404, "not_found_error", "has no model 'claude-test-1'", "anthropic:MODEL"),
        (413, "request_too_large", "refused the request (413)", "autoqec resume"),
    ],
)
def test_what_does_not_pass_is_not_asked_twice(refused, messages_server, status, kind, problem, hint):
    error = refused(messages_server.failed(status, kind, f"say it otherwise\x1b[2J {KEY}"))
    assert problem in error.problem
    assert "\x1b" not in error.problem
    assert hint in error.hint


def test_what_a_service_says_is_shown_in_one_line_without_secrets():
    assert readable(f"a\nb\x07 {KEY} \u202ec") == "a b [secret] c"
    assert len(readable("x" * 9999)) < 500


def test_how_long_to_wait_is_read_in_every_spelling():
    assert retry_after({"retry-after": "90"}, 0) == 90
    assert retry_after({"retry-after-ms": "1500"}, 0) == 1.5
    assert retry_after({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, 0) == 60
    for odd in ("soon", "nan", "inf", "-3", "0"):
        assert retry_after({"retry-after": odd}, 0) is None


# What it costs


def test_reads_and_writes_of_the_cache_are_counted_apart(talk, messages_server):
    usage = {"input_tokens": 11, "cache_creation_input_tokens": 22, "cache_read_input_tokens": 33}
    said = messages_server.said(GOOD, usage=usage, output=44, model="claude-opus-5-5")
    reply, _, _ = talk(said, model="claude-opus-5-5")
    assert reply.usage == Usage(11, 44, 33, 22)
    assert reply.cost == pytest.approx((11 * 4 + 44 * 20 + 33 * 0.2 + 22 * 5) / 1e6)


def test_a_service_that_does_not_count_is_counted_for(talk, messages_server):
    events = tuple(
        {**event, "message": {**event["message"], "usage": None}} if event["type"] == "message_start" else event
        for event in messages_server.said({"text": "x" * 300}, output=0).events
    )
    reply, _, _ = talk(messages_server.Response(events=events))
    assert reply.usage.input_tokens > 1000
    assert reply.usage.output_tokens == 104


def test_a_price_that_nobody_knows_is_not_zero(talk, messages_server):
    assert talk(messages_server.said(GOOD))[0].cost is None
    assert AnthropicAgent("claude-test-1").estimate("ideator", CONTEXT).cost is None


def test_an_estimate_is_the_dearest_case():
    told = AnthropicAgent("m", prices={"m": DOLLAR}, max_tokens=1000).estimate("ideator", CONTEXT)
    assert told.prompt_tokens >= render("ideator", CONTEXT).tokens
    assert told.tokens == told.prompt_tokens + 1000
    assert told.cost == pytest.approx((told.prompt_tokens * 2 + 1000 * 10) / 1e6)


def test_a_date_at_the_end_of_a_name_is_the_only_difference_that_is_forgiven():
    known = PRICES["claude-sonnet-4-5"]
    assert price_of(["claude-sonnet-4-5-20250929"], {}, 0) == known
    for name in ("claude-sonnet-4", "claude-sonnet-4-5-turbo", "claude-sonnet-4-50", "x-claude-sonnet-4-5", ""):
        assert price_of([name], {}, 0) is None
    assert price_of(["claude-sonnet-4-5-20250929"], {"claude-sonnet-4-5": DOLLAR}, 0).output == 10
    # Another model answered than was asked for: it is not charged at the other's price, unless the settings say so.
    assert price_of(["claude-new-9", "claude-sonnet-4-5"], {}, 0) is None
    assert price_of(["claude-new-9", "mine"], {"mine": DOLLAR}, 0).output == 10


def test_long_prompts_can_cost_more():
    short, long = Usage(90_000, 1000), Usage(20_000, 1000, 90_000)
    assert cost_of(["claude-haiku-5-5"], {}, [short]) == pytest.approx((90_000 * 0.1 + 500) / 1e6)
    assert cost_of(["claude-haiku-5-5"], {}, [long]) == pytest.approx((20_000 * 0.5 + 2500 + 90_000 * 0.05) / 1e6)


def test_prices_are_of_one_kind():
    for name, price in PRICES.items():
        assert 0 < price.cache_read < price.input < price.cache_write < price.output, name


def test_nothing_heavy_is_imported_before_a_call():
    code = f"""
import sys
from autoqec.agents.agent_contract import Context
from autoqec.plugins import load_plugins
entry = load_plugins().get("agent", "anthropic:claude-opus-5-5")
assert entry.capabilities["prices"]
agent = entry.create(prices={{}}, max_tokens=1000)
context = Context(environment={{}}, run="{CONTEXT.run}", round=1, seed=1, stages={{}}, limits={{}})
assert agent.estimate("ideator", context).cost > 0
heavy = {{"anthropic", "httpx2", "torch", "stim"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)
