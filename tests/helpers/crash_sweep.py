"""Writes files and folders in processes that are killed, or run out of disk, at every instant.

A program of its own, so that no thread of TensorFlow's is forked:

    python tests/crash_sweep.py FOLDER SEED ROUNDS
"""

import os
import pathlib
import random
import resource
import shutil
import signal
import sys

from tf_medyate import files

OURS = ("plan", "parts", "stale")
LARGE = 5000


def is_ours(place):
    return place.parts[0] in OURS


def fill(folder, text):
    """What a writer of ours makes: files, a folder of files, and one that only the old one has."""
    (folder / "parts").mkdir(exist_ok=True)
    for name in ("plan", "parts/a", "parts/b"):
        (folder / name).write_text(text * LARGE)
    if text == "old ":
        (folder / "stale").write_text(text)


def foreign(folder):
    (folder / "mine" / "deep").mkdir(parents=True)
    (folder / "mine" / "deep" / "notes").write_text("of the user")
    (folder / "mine" / "link").symlink_to("deep/notes")


def content(path):
    """Everything in a folder, or a file's text; None if there is none."""
    if not path.is_dir():
        return path.read_text() if path.exists() else None
    return {
        str(p.relative_to(path)): os.readlink(p) if p.is_symlink() else p.read_text()
        for p in sorted(path.rglob("*"))
        if not p.is_dir() and ".part" not in str(p.relative_to(path))
    }


def write(target, is_folder):
    if is_folder:
        with files.replacing_folder(target, is_ours, last="plan") as draft:
            fill(draft, "new ")
    else:
        files.write_text(target, "new " * LARGE)


def die_at(event):
    """Kills this process at the so many-th thing that it does to the file system."""
    left = [event]

    def hook(name, _):
        if name in ("open", "ctypes.call_function") or name.startswith(("os.", "shutil.")):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def in_child(work):
    """The status of a forked process that does some work: a signal as a negative number."""
    child = os.fork()
    if child == 0:
        status = 0
        try:
            work()
        except files.OutputError:
            status = 3
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            status = 4
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def harmed(kind, rng, target, is_folder):
    def work():
        if kind == "kill":
            die_at(rng.randrange(1, 105 if is_folder else 13))
        elif kind == "full":
            limit = rng.randrange(4 * LARGE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        else:
            os.chmod(target.parent, 0o555)
            if is_folder and target.exists():
                os.chmod(target, 0o555)
            os.seteuid(65534) if os.geteuid() == 0 else None
        write(target, is_folder)

    return work


def one_round(folder, rng):
    """Returns how the writer ended."""
    is_folder, exists = rng.random() < 0.6, rng.random() < 0.8
    exchange = rng.random() < 0.7
    if not exchange:  # as on a file system without it: in two steps, mended by the next writer
        files._exchange, kept = (lambda *_: False), files._exchange
    target = folder / "target"
    if exists and is_folder:
        target.mkdir()
        fill(target, "old ")
        foreign(target)
    elif exists:
        target.write_text("old " * LARGE)
    old = content(target)
    kind = rng.choice(["kill", "kill", "kill", "full", "read-only"])
    status = in_child(harmed(kind, rng, target, is_folder))
    os.chmod(folder, 0o755)
    if target.is_dir():
        os.chmod(target, 0o755)
    after = content(target)
    if not exchange and after is None and old is not None and kind == "kill":
        after = old  # lies beside; the next writer puts it back
    assert status in (0, 3, -signal.SIGKILL), status
    assert status != 3 or after == old, "an error, and other content"
    new = {"plan": "new " * LARGE, "parts/a": "new " * LARGE, "parts/b": "new " * LARGE}
    if is_folder and exists:
        new |= {"mine/deep/notes": "of the user", "mine/link": "deep/notes"}
    wanted = new if is_folder else "new " * LARGE
    assert after in (old, wanted), (kind, status, is_folder)
    assert status != 0 or after == wanted, (kind, "said to be done")
    # The next writer finds its way, and leaves nothing lying about.
    write(target, is_folder)
    assert content(target) == wanted
    assert os.listdir(folder) == ["target"], os.listdir(folder)
    assert not [p for p in target.rglob("*.part")] if is_folder else True
    if not exchange:
        files._exchange = kept
    shutil.rmtree(target) if is_folder else target.unlink()
    return kind, status


def main(folder, seed, rounds):
    rng = random.Random(int(seed))
    folder = pathlib.Path(folder)
    ends = [one_round(folder, rng) for _ in range(int(rounds))]
    for end in sorted(set(ends)):
        print(*end, ends.count(end))


if __name__ == "__main__":
    main(*sys.argv[1:])
