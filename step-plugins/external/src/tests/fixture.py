#!/usr/bin/env python3
"""A plugin that behaves, or misbehaves in the way that MODE says."""
import json
import os
import signal
import subprocess
import sys
import time

MODE = "@MODE@"
KIND = os.path.basename(sys.argv[0]).removeprefix("rekindle-step-")


def say(**message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def raw(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def hear():
    line = sys.stdin.readline()
    return json.loads(line) if line else None


def describe():
    strings = {"type": "string"}
    secret = {"type": "object", "required": ["secret"], "additionalProperties": False,
              "properties": {"secret": {"type": "string", "format": "secret"}}}
    return {
        "summary": "Tests the program.",
        "effect": "write",
        "intent": "test {/text} on {/target}",
        "provides": ["/target"],
        "params": {"type": "object", "additionalProperties": False, "required": ["text"],
                   "properties": {"text": strings, "target": {"type": "string", "format": "target"},
                                  "token": secret, "tries": {"type": "integer"}}},
        "outputs": {"type": "object", "required": ["said"], "additionalProperties": False,
                    "properties": {"said": strings}},
        "examples": [{"params": {"text": "hello", "token": {"secret": "any"}}}],
    }


def main():
    if MODE == "garbage at once":
        raw("Traceback: no JSON \x1b[31m here\n")
        time.sleep(1000)
    if MODE == "mute":
        time.sleep(1000)
    if MODE == "ends at once":
        print("no python module named x", file=sys.stderr)
        sys.exit(3)
    if MODE == "newer protocol":
        say(type="hello", protocol=2, name=KIND)
        sys.exit(0)
    if MODE == "not hello":
        say(type="heartbeat")
        sys.exit(0)
    kind = "acme.other" if MODE == "wrong kind" else KIND
    features = [] if MODE in ("no cancel", "plain") else ["plan", "probe", "cancel", "checkpoint"]
    say(type="hello", protocol=1, kind=kind, version="1.2.3", features=features, silence_seconds=2)
    if MODE == "exits before reading":
        sys.exit(0)
    hello, request = hear(), hear()
    assert hello["type"] == "hello" and hello["protocol"] == 1, hello
    if request["type"] == "describe":
        if MODE == "cannot describe":
            say(type="result", error={"class": "permanent", "message": "no licence", "help": "buy one"})
        else:
            description = describe()
            if MODE == "bad schema":
                description["params"]["properties"]["text"] = {"$ref": "#/x"}
            say(type="result", description=description)
    elif request["type"] == "plan":
        notes = [f"{len(request['targets'])} targets, provided: {request['provided']}, unknown: {request['unknown']}"]
        problems = [{"message": "it is full", "help": "empty it"}] if request["params"]["text"] == "full" else []
        if MODE == "no plan":
            say(type="result", outputs={})
            return
        if MODE == "plan fails":
            say(type="result", error={"class": "permanent", "message": "no pager is on duty", "help": "wake one"})
            return
        say(type="result", plan={"commands": [f"say {request['params']['text']}"], "notes": notes,
                                 "problems": problems})
    elif request["type"] == "probe":
        found = {"complete": {"state": "complete", "outputs": {"said": "before"}},
                 "partial": {"state": "partial", "found": "half of it"},
                 "odd": {"state": "complete", "outputs": {"sad": 1}}}
        say(type="result", probe=found.get(request["params"]["text"], {"state": "absent"}))
    elif request["type"] == "run":
        run(request)
    else:
        say(type="result", error={"class": "permanent", "message": "unknown request " + request["type"]})


def run(request):
    if not isinstance(request["params"], dict) and MODE != "careless":
        say(type="result", error={"class": "permanent", "message": "no parameters"})
    elif MODE == "late":
        for _ in range(65):
            say(type="log", text="not yet")
            time.sleep(0.1)
        say(type="result", outputs={"said": "done"})
    elif MODE == "garbage":
        raw("secret: " + " ".join([request["secrets"]["any"]] * 40) + "\n")
        time.sleep(1000)
    elif MODE == "long line":
        raw("x" * (10 << 20))
        time.sleep(1000)
    elif MODE == "not utf-8":
        os.write(1, b"\xff\xfe\n")
    elif MODE == "silence":
        time.sleep(1000)
    elif MODE == "ends early":
        print("out of luck", file=sys.stderr)
        sys.exit(0)
    elif MODE == "fails early":
        sys.exit("segmentation of faults")
    elif MODE == "closes its output":
        os.close(1)
        time.sleep(1000)
    elif MODE == "two results":
        say(type="result", outputs={"said": "one"})
        say(type="result", outputs={"said": "two"})
        time.sleep(1000)
    elif MODE == "goes on":
        say(type="result", outputs={"said": "one"})
        say(type="log", text="bye")
    elif MODE == "no end":
        say(type="result", outputs={"said": "one"})
        time.sleep(1000)
    elif MODE == "fails after":
        say(type="result", outputs={"said": "one"})
        sys.exit(4)
    elif MODE == "two answers":
        say(type="result", outputs={"said": "one"}, error={"class": "permanent", "message": "or not"})
    elif MODE == "no answer":
        say(type="result")
    elif MODE == "wrong answer":
        say(type="result", probe={"state": "absent"})
    elif MODE == "odd outputs":
        say(type="result", outputs={"sad": "one"})
    elif MODE == "large checkpoint":
        say(type="checkpoint", value="x" * (70 << 10))
        time.sleep(1000)
    elif MODE in ("ignores cancel", "no cancel"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen(["sleep", "1000"])
        say(type="log", text=str(child.pid))
        while True:
            say(type="heartbeat")
            time.sleep(0.1)
    elif MODE == "hears cancel":
        say(type="log", text="working")
        while hear()["type"] != "cancel":
            pass
        say(type="result", error={"class": "cancelled", "message": "stopped half way"})
    elif MODE == "leaves a child":
        child = subprocess.Popen(["sleep", "1000"])
        say(type="log", text=str(child.pid))
        say(type="result", outputs={"said": "done"})
    elif MODE == "holds its output":
        child = subprocess.Popen(["sleep", "12"], start_new_session=True)
        say(type="result", outputs={"said": "done"})
    elif MODE == "fails":
        say(type="result", error={"class": "transient", "message": "busy", "help": "wait"})
        sys.exit(1)
    else:
        behave(request)


def behave(request):
    say(type="progress", bytes=3, total_bytes=6, note="half", unknown_field=True)
    say(type="heartbeat")
    say(type="log", text="two\nlines")
    say(type="warning", text="it is late")
    print("on standard error", file=sys.stderr)
    say(type="checkpoint", value={"at": 1})
    if hear()["type"] == "cancel":
        say(type="result", error={"class": "cancelled", "message": "cancelled"})
        return
    said = {key: request[key] for key in ("run", "step", "attempt", "checkpoint", "targets", "stores", "secrets")}
    visible = open("/proc/self/cmdline").read() + open("/proc/self/environ").read()
    said["visible"] = any(secret in visible for secret in request["secrets"].values())
    said["env"] = sorted(name for name in os.environ if not name.startswith("LC_"))
    say(type="result", outputs={"said": json.dumps(said)})


main()
