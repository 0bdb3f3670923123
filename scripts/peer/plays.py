"""What the scripted model answers to each side: the same intent, in each side's own tools.

    stepwise  look, wrong edit, tests, right edit, tests, end: a step an answer
    joined    as few answers as each side's design allows

Run it to write `played/*.json` anew; `run.py` refuses to start while they are stale.
"""

import json
import shlex
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
TEST = "python3 -B -m unittest"
SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
LOOK = "I look at the code and its tests."
WRONG = "This line is to blame, I think."
AGAIN = "That was not it; this is."
END = "The tests pass now."


def tasks():
    """All tasks, by name."""
    found = {}
    for path in sorted(HERE.glob("tasks/*/task.toml")):
        found[path.parent.name] = tomllib.loads(path.read_text()) | {"repo": path.parent / "repo"}
    return found


def booty(task, joined):
    """The builder's tools; it runs the tests by itself when the model says that it is done."""
    def edit(old, new):
        return {"tool": "edit", "with": {"path": task["file"], "old": task[old], "new": task[new]}}

    look = [{"tool": "list", "with": {}}]
    look += [{"tool": "read", "with": {"path": task[key]}} for key in ("file", "test")]
    run = {"tool": "run", "with": {"command": "test"}}
    finish = {"tool": "finish", "with": {"summary": END}}
    if joined:
        return [
            {"text": LOOK, "calls": look},
            {"text": WRONG, "calls": [edit("broken", "wrong"), finish]},
            {"text": AGAIN, "calls": [edit("wrong", "right"), finish]},
        ]
    return [
        {"text": LOOK, "calls": look},
        {"text": WRONG, "calls": [edit("broken", "wrong")]},
        {"text": "I run the tests.", "calls": [run]},
        {"text": AGAIN, "calls": [edit("wrong", "right")]},
        {"text": "I run the tests.", "calls": [run]},
        {"text": END, "calls": [finish]},
    ]


def mini(task, joined):
    """mini-swe-agent has one tool, `bash`, and runs nothing by itself."""
    source = (task["repo"] / task["file"]).read_text().splitlines()
    number = source.index(task["broken"]) + 1

    def edit(new):
        # `c` replaces the line; its backslash keeps the white space at the front.
        change = f"{number}c" + "\\" + task[new].replace("\\", "\\\\")
        return f"sed -i {shlex.quote(change)} {task['file']}"

    def bash(text, command):
        return {"text": text, "calls": [{"tool": "bash", "with": {"command": command}}]}

    look = bash(LOOK, f"ls -a && cat {task['file']} {task['test']}")
    if joined:
        return [
            look,
            bash(WRONG, f"{edit('wrong')} && {TEST}"),
            bash(AGAIN, f"{edit('right')} && {TEST}"),
            bash(END, SUBMIT),
        ]
    return [
        look,
        bash(WRONG, edit("wrong")),
        bash("I run the tests.", TEST),
        bash(AGAIN, edit("right")),
        bash("I run the tests.", TEST),
        bash(END, SUBMIT),
    ]


SIDES = {"booty": booty, "mini": mini}
PLAYS = {"stepwise": False, "joined": True}


def scripts():
    """Path and text of every script."""
    for side, turns in SIDES.items():
        for play, joined in PLAYS.items():
            scenarios = [
                {"match": task["title"], "turns": turns(task, joined)} for task in tasks().values()
            ]
            text = json.dumps({"scenarios": scenarios}, indent=1, ensure_ascii=False) + "\n"
            yield HERE / "played" / f"{side}-{play}.json", text


if __name__ == "__main__":
    for path, text in scripts():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        print(path.relative_to(HERE))
