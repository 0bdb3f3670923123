"""Booty's builder and mini-swe-agent on the same tasks, with the same scripted model behind the same
endpoint: wall time and tokens sent for each task that was solved. README.md says what is compared.
"""

import argparse
import json
import os
import queue
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import plays

ROOT = Path(__file__).resolve().parents[2]
# Nothing that works takes this long.
PATIENCE_S = 120
LOOK_S = 0.02
KEY = "sk-peer-bench"
LABEL = "agent:builder"
SECRET = "peer-bench"


def say(text):
    print(text, file=sys.stderr, flush=True)


def skip(why):
    say(f"peer bench skipped: {why}")
    sys.exit(0)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(url, token, body=None):
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {token}"})
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def wait_for(what, look):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(LOOK_S)
    raise SystemExit(f"peer bench: waited {PATIENCE_S} s for {what}")


class Sim:
    """`booty sim`: GitHub and the model."""

    def __init__(self, program, folder, script):
        command = [program, "sim", "--listen", "127.0.0.1:0", "--data-dir", folder / "github"]
        command += ["--script", script, "--model-listen", "127.0.0.1:0"]
        env = {"PATH": os.environ["PATH"], "MODEL_API_KEY": KEY}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
        lines = queue.Queue()
        threading.Thread(
            target=lambda: [lines.put(line) for line in self.process.stdout], daemon=True
        ).start()
        found = {}
        while "model" not in found:
            line = lines.get(timeout=PATIENCE_S)
            for name, mark in [
                ("github", "GitHub (simulated) at "),
                ("token", "control token: "),
                ("model", "model (simulated) at "),
            ]:
                if line.startswith(mark):
                    found[name] = line.removeprefix(mark).strip()
        self.github, self.token, self.model = found["github"], found["token"], found["model"]

    def do(self, verb, **arguments):
        return ask(f"{self.github}/_sim/{verb}", self.token, arguments)

    def state(self):
        return ask(f"{self.github}/_sim/state", self.token)

    def asked(self, title):
        """The requests about one task, by what the endpoint recorded."""
        told = ask(f"{self.model}/__booty/model/requests", KEY)
        return [asked for asked in told["requests"] if title in json.dumps(asked["body"])]


@contextmanager
def running(process):
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def measured(sim, title, started, ended):
    """Tokens, questions and times of a task. The endpoint and this program share the machine's clock."""
    asked = sim.asked(title)
    if not asked:
        raise SystemExit(f"peer bench: nobody asked the model about {title!r}")
    bad = [one["outcome"] for one in asked if one["outcome"]["kind"] != "answered"]
    if bad:
        raise SystemExit(f"peer bench: the model did not answer: {bad[0]}")
    first = min(datetime.fromisoformat(one["at"]).timestamp() for one in asked)
    return {
        "wall_s": round(ended - started, 3),
        "from_first_question_s": round(ended - first, 3),
        "requests": len(asked),
        "tokens_sent": sum(one["tokens"] for one in asked),
        "tokens_not_cached": sum(one["usage"]["input_tokens"] for one in asked),
        "tokens_answered": sum(one["usage"]["output_tokens"] for one in asked),
        "largest_request_tokens": max(one["tokens"] for one in asked),
    }


def passes(tree):
    run = subprocess.run(
        plays.TEST.split(), cwd=tree, capture_output=True, env={"PATH": os.environ["PATH"]}
    )
    return run.returncode == 0


def right(task, text):
    """The one content that solves a task."""
    return text == (task["repo"] / task["file"]).read_text().replace(task["broken"], task["right"])


def play_booty(program, model, script, tasks):
    """Each task as a labelled issue, until the pull request is open; then its head is looked at."""
    folder = Path(tempfile.mkdtemp(prefix="peer-booty-"))
    sim = Sim(program, folder, script)
    results = {}
    with running(sim.process):
        owner = "octo"
        for name, task in tasks.items():
            files = [
                [path.name, path.read_text(), "100644"] for path in sorted(task["repo"].iterdir())
            ]
            sim.do("create_repo", repo=f"{owner}/{name}", files=files, default_branch="main")
            for login in ("ann", "robot"):
                sim.do("set_permission", repo=f"{owner}/{name}", login=login, permission="write")
        write = sim.do("create_token", login="robot", scope="write")
        read = sim.do("create_token", login="robot", scope="read")
        listen = free_port()
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        env |= {
            "LISTEN_ADDR": f"127.0.0.1:{listen}",
            "ADMIN_ADDR": "127.0.0.1:0",
            "WEBHOOK_SECRET": SECRET,
            "ALLOWED_REPOS": f"{owner}/*",
            "GITHUB_API_URL": sim.github,
            "GITHUB_GIT_URL": sim.github,
            "GITHUB_TOKEN": write,
            "GITHUB_READ_TOKEN": read,
            "BOOTY_DATA_DIR": str(folder / "booty"),
            "BOOTY_STREAM_MAX_BYTES": str(64 << 20),
            "MODEL": model,
            "MODEL_API_KEY": KEY,
            "MODEL_BASE_URL": f"{sim.model}/v1",
            "LOG_FORMAT": "json",
        }
        with open(folder / "booty.log", "w") as log:
            up = subprocess.Popen([program, "up"], env=env, stdout=log, stderr=log)
        with running(up):
            wait_for("ingress", lambda: is_up(up, folder / "booty.log") and is_open(listen))
            sim.do("set_webhook", url=f"http://127.0.0.1:{listen}/webhooks/github", secret=SECRET)
            for name, task in tasks.items():
                repo = f"{owner}/{name}"
                issue = sim.do(
                    "open_issue", repo=repo, author="ann", title=task["title"], body=task["body"]
                )
                started = time.time()
                sim.do("add_label", repo=repo, number=issue, label=LABEL, actor="ann")
                pull = wait_for(f"a pull request in {repo}", lambda: pull_of(sim, repo))
                ended = time.time()
                content = sim.do("read_file", repo=repo, at=pull["head_sha"], path=task["file"])
                results[name] = {
                    "solved": right(task, content),
                    **measured(sim, task["title"], started, ended),
                    "solved_s": proposed_at(folder / "booty.log", repo) - started,
                }
                results[name]["solved_s"] = round(results[name]["solved_s"], 3)
                say(f"  {name}: {results[name]}")
                # The verifier has the machine to itself, and leaves it to the next task.
                wait_for(f"a verdict in {repo}", lambda: is_judged(sim, repo, pull["head_sha"]))
    shutil.rmtree(folder)
    return results


def proposed_at(log, repo):
    """When the builder had its change and asked forge for the pull request, by its own log."""
    for line in log.read_text().splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if said.get("event") == "proposal_made" and f'"{repo}"' in line:
            return datetime.fromisoformat(said["timestamp"]).timestamp()
    raise SystemExit(f"peer bench: the builder's log has no proposal for {repo}")


def is_up(process, log):
    if process.poll() is not None:
        text = log.read_text()
        raise SystemExit(f"peer bench: `booty up` ended with {process.returncode}:\n{text}")
    return True


def is_open(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def of(sim, repo):
    return next(one for one in sim.state()["repos"] if one["name"] == repo)


def pull_of(sim, repo):
    return next(iter(of(sim, repo)["pulls"]), None)


def is_judged(sim, repo, sha):
    states = [one["state"] for one in of(sim, repo)["statuses"] if one["sha"] == sha]
    return any(state in ("success", "failure", "error") for state in states)


def play_mini(program, peer, model, script, tasks):
    """Each task in a folder of its own, until the command ends; then its tests are run once more."""
    folder = Path(tempfile.mkdtemp(prefix="peer-mini-"))
    sim = Sim(program, folder, script)
    results = {}
    with running(sim.process):
        for name, task in tasks.items():
            tree = folder / name
            shutil.copytree(task["repo"], tree)
            env = {
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "MSWEA_CONFIGURED": "true",
                "MSWEA_SILENT_STARTUP": "1",
                "MSWEA_GLOBAL_CONFIG_DIR": str(folder / "config"),
                "MSWEA_COST_TRACKING": "ignore_errors",
                "OPENAI_API_KEY": KEY,
                "OPENAI_API_BASE": f"{sim.model}/v1",
                # Prices would be asked for over the network.
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            }
            command = [peer, "--yolo", "--exit-immediately", "-m", f"openai/{model}"]
            command += ["-t", f"{task['title']}\n\n{task['body']}", "-o", folder / f"{name}.json"]
            started = time.time()
            run = subprocess.run(
                command, cwd=tree, env=env, capture_output=True, text=True, timeout=PATIENCE_S,
                stdin=subprocess.DEVNULL,
            )
            ended = time.time()
            if run.returncode != 0:
                raise SystemExit(f"peer bench: {peer} failed:\n{run.stdout}\n{run.stderr}")
            results[name] = {
                "solved": right(task, (tree / task["file"]).read_text()) and passes(tree),
                **measured(sim, task["title"], started, ended),
                "solved_s": round(ended - started, 3),
            }
            say(f"  {name}: {results[name]}")
    shutil.rmtree(folder)
    return results


def version_of(peer):
    python = Path(peer).resolve().parent / "python"
    code = "from importlib.metadata import version; print(version('mini-swe-agent'))"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


COLUMNS = {
    "play": "play",
    "side": "side",
    "solved": "solved",
    "requests": "requests",
    "tokens_sent": "tokens sent",
    "tokens_not_cached": "not cached",
    "tokens_answered": "answered",
    "largest_request_tokens": "largest",
    "solved_s": "solved s",
    "wall_s": "wall s",
    "from_first_question_s": "from first question s",
}


def table(report):
    rows = [COLUMNS, *report["rows"]]
    widths = {key: max(len(str(one[key])) for one in rows) for key in COLUMNS}
    return "\n".join(
        "  ".join(str(one[key]).rjust(widths[key]) for key in COLUMNS) for one in rows
    )


def row(play, side, runs):
    """Medians over all solved tasks of all runs, for one task."""
    every = [result for run in runs for result in run.values()]
    solved = [result for result in every if result["solved"]]

    def median(key):
        return round(statistics.median(one[key] for one in solved), 3) if solved else None

    sums = {"play": play, "side": side, "solved": f"{len(solved)}/{len(every)}"}
    return sums | {key: median(key) for key in COLUMNS if key not in sums}


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--booty", default=ROOT / "target/release/booty", type=Path)
    options.add_argument("--peer", default=os.environ.get("MINI_SWE_AGENT") or shutil.which("mini"))
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--json", type=Path, help="where the whole report goes")
    options.add_argument("--side", choices=list(plays.SIDES), action="append")
    chosen = options.parse_args()
    stale = [path.name for path, text in plays.scripts() if not path.exists() or path.read_text() != text]
    if stale:
        raise SystemExit(f"peer bench: {', '.join(stale)} are stale; run plays.py")
    sides = chosen.side or list(plays.SIDES)
    if "mini" in sides and not (chosen.peer and Path(chosen.peer).exists()):
        skip("mini-swe-agent is not here; install it (pip install mini-swe-agent) and name its `mini` "
             "with --peer or MINI_SWE_AGENT")
    if not chosen.booty.exists():
        skip(f"{chosen.booty} is not built; cargo build --release -p booty")
    # Each side by the same wire format, to a model of the same name.
    model = "gpt-4.1"
    tasks = plays.tasks()
    report = {"runs": chosen.runs, "tasks": list(tasks), "rows": [], "results": []}
    if "mini" in sides:
        report["peer"] = f"mini-swe-agent {version_of(chosen.peer)}"
    for play in plays.PLAYS:
        played = {side: [] for side in sides}
        # In turns, so that what else the machine does falls on both.
        for number in range(chosen.runs):
            for side in sides:
                say(f"{play}: {side}, run {number + 1} of {chosen.runs}")
                script = plays.HERE / "played" / f"{side}-{play}.json"
                if side == "booty":
                    run = play_booty(chosen.booty, f"openai-chat:{model}", script, tasks)
                else:
                    run = play_mini(chosen.booty, chosen.peer, model, script, tasks)
                played[side].append(run)
        for side, runs in played.items():
            report["rows"].append(row(play, side, runs))
            report["results"].append({"play": play, "side": side, "runs": runs})
    if chosen.json:
        chosen.json.write_text(json.dumps(report, indent=1) + "\n")
    print(table(report))
    unsolved = [one for one in report["rows"] if len(set(one["solved"].split("/"))) != 1]
    sys.exit(1 if unsolved else 0)


if __name__ == "__main__":
    main()
