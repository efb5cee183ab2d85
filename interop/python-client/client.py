"""A real TaskChampion replica behind a pipe: the Python binding `taskchampion-py`.

    python client.py DIR

Takes the commands of `reference-client` that the binding can carry out (interop/README.md lists them),
one JSON object a line, and answers each, in order, by one line `{"ok":...}` or `{"error":"..."}`. Ends
with its input. Nothing here repairs what the binding does.
"""

import json
import re
import sys
from datetime import datetime, timezone

import taskchampion


class Client:
    """The replica in a folder, opened once."""

    def __init__(self, folder):
        self.replica = taskchampion.Replica.new_on_disk(folder, True)

    def execute(self, command):
        kind = command.pop("do")
        method = getattr(self, f"do_{kind}", None)
        if method is None:
            raise ValueError(f"no such command: {kind}")
        return method(**command)

    def do_create(self, uuid, set, undo_point=False):
        operations = begin(undo_point)
        task = taskchampion.TaskData.create(uuid, operations)
        for name, value in sorted(set.items()):
            task.update(name, value, operations)
        self.replica.commit_operations(operations)

    def do_update(self, uuid, property, value=None, timestamp=None, undo_point=False):
        operations = begin(undo_point)
        task = self.replica.get_task_data(uuid)
        old = task.get(property) if task else None
        at = datetime.now(timezone.utc)
        if timestamp is not None:
            at = datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
        operations.append(taskchampion.Operation.Update(uuid, property, at, old, value))
        self.replica.commit_operations(operations)

    def do_delete(self, uuid, undo_point=False):
        operations = begin(undo_point)
        self.replica.get_task_data(uuid).delete(operations)
        self.replica.commit_operations(operations)

    def do_many(self, count, properties, prefix="task"):
        names = ["status", "description", "entry", "modified", "project", "priority"]
        values = ["pending", None, "1700000000", "1700000000", "home", "H"]
        operations = begin(False)
        for number in range(count):
            uuid = f"10000000-0000-4000-8000-{number:012x}"
            task = taskchampion.TaskData.create(uuid, operations)
            for name, value in list(zip(names, values))[:properties]:
                task.update(name, value or f"{prefix} {number}", operations)
        self.replica.commit_operations(operations)

    def do_undo(self):
        operations = self.replica.get_undo_operations()
        return self.replica.commit_reversed_operations(operations)

    def do_dump(self):
        tasks = self.replica.all_task_data()
        return {uuid: properties(task) for uuid, task in tasks.items()}

    def do_counts(self):
        return {
            "local_operations": self.replica.num_local_operations(),
            "undo_points": self.replica.num_undo_points(),
        }

    def do_sync_local(self, server_dir, avoid_snapshots=False):
        self.replica.sync_to_local(server_dir, avoid_snapshots)

    def do_sync_http(self, url, client_id, secret, avoid_snapshots=False):
        self.replica.sync_to_remote(url, client_id, secret, avoid_snapshots)


def properties(task):
    """All properties. The binding has no way to list them, but its `repr` shows the map, in the form in
    which Rust shows strings: JSON but for `\\u{...}` and `\\0`."""
    shown = re.fullmatch(r"TaskData \{ uuid: \S+, taskmap: (\{.*\}) \}", repr(task), re.DOTALL).group(1)
    return json.loads(re.sub(r"(?<!\\)((?:\\\\)*)\\u\{(\w+)\}", as_json, shown))


def as_json(match):
    return match.group(1) + json.dumps(chr(int(match.group(2), 16)))[1:-1]


def begin(undo_point):
    operations = taskchampion.Operations()
    if undo_point:
        operations.append(taskchampion.Operation.UndoPoint())
    return operations


def main(folder):
    client = Client(folder)
    for line in sys.stdin:
        try:
            answer = {"ok": client.execute(json.loads(line))}
        # The binding turns a panic of the library into an exception that is no Exception.
        except BaseException as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
