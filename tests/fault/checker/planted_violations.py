"""A sound history, and for each invariant a small lie in it that must be found under its name."""

import copy
import hashlib
import pathlib
import tempfile

import log_files
import model


def event(op, ordinal):
    return {"id": f"{op}-{ordinal}", "data": f"{op}/{ordinal}"}


def make():
    """Two boots; appends of every kind, reads, a subscription and its resumption, a group of consumers."""
    lines, final, revisions = [{"t": "boot"}], [], {}

    def write(op, *writes, answer="ok", retry_of=None):
        asked = [{"stream": s, "expected": e, "events": [event(retry_of or op, f"{s}{i}") for i in range(n)]}
                 for s, e, n in writes]
        line = {"t": "invoke", "op": op, "kind": "append", "writes": asked}
        lines.append(line if retry_of is None else {**line, "retry_of": retry_of})
        known = {e.id: e for e in final}
        batch = [(w["stream"], e) for w in asked for e in w["events"]]
        if answer in ("ok", "lost answer") and batch[0][1]["id"] not in known:
            for index, (stream, each) in enumerate(batch):
                number = revisions.get(stream, -1) + 1
                revisions[stream] = number
                final.append(model.Event(100 * len(final) + 50, stream, number, each["id"], each["data"],
                                         index + 1 == len(batch)))
        known = {e.id: e for e in final}
        if answer == "ok":
            last = [known[w["events"][-1]["id"]] for w in asked]
            lines.append({"t": "ok", "op": op, "position": last[-1].position, "revisions": [e.revision for e in last],
                          "repeated": retry_of is not None})
        elif answer == "fail":
            lines.append({"t": "fail", "op": op})

    write(1, ("a", "none", 2))
    write(2, ("a", 1, 1), ("b", "none", 1))
    write(3, ("a", 0, 1), answer="fail")
    write(4, ("c", "any", 1))
    lines.append({"t": "subscribe", "sub": 1, "after": -1, "prefix": ""})
    lines.append({"t": "deliver", "sub": 1, "events": [list(e) for e in final[:2]], "whole": True})
    lines.append({"t": "deliver", "sub": 1, "events": [list(e) for e in final[2:5]], "whole": True})
    lines.append({"t": "progress", "sub": 1, "position": final[4].position})
    lines.append({"t": "caught_up", "sub": 1})
    write(5, ("a", "any", 1))
    lines.append({"t": "deliver", "sub": 1, "events": [list(final[5])], "whole": True})
    lines.append({"t": "subscribe", "sub": 2, "after": -1, "prefix": "b"})
    lines.append({"t": "deliver", "sub": 2, "events": [list(final[3])]})
    write(6, ("d", "any", 1), answer="nothing")
    write(7, ("c", 0, 1), answer="lost answer")
    lines += [{"t": "crash"}, {"t": "boot"}]
    lines.append({"t": "invoke", "op": 8, "kind": "read_all", "from": 0})
    lines.append({"t": "ok", "op": 8, "events": [list(e) for e in final], "end": True})
    write(9, ("c", 0, 1), retry_of=7)
    lines.append({"t": "subscribe", "sub": 3, "after": final[5].position, "prefix": "", "resumes": 1})
    write(10, ("e", "none", 2))
    lines.append({"t": "deliver", "sub": 3, "events": [list(e) for e in final[6:9]], "whole": True})
    lines.append({"t": "invoke", "op": 11, "kind": "soft_delete", "stream": "e"})
    lines.append({"t": "ok", "op": 11, "first_readable": 2})
    lines.append({"t": "invoke", "op": 12, "kind": "tombstone", "stream": "b"})
    lines.append({"t": "ok", "op": 12})
    lines.append({"t": "invoke", "op": 13, "kind": "read_stream", "stream": "a"})
    lines.append({"t": "ok", "op": 13, "events": [list(e) for e in final if e.stream == "a"]})
    lines.append({"t": "group", "group": "g", "stream": "a", "max_tries": 2})
    for each in [e for e in final if e.stream == "a"]:
        lines += [{"t": "consumer", "group": "g", "id": each.id, "what": what} for what in ("delivered", "acked")]
    lines.append({"t": "group_end", "group": "g", "position": final[-1].position})
    return lines, final


def answer(lines, op):
    return next(line for line in lines if line["t"] == "ok" and line["op"] == op)


def delivery(lines, sub, index=0):
    return [line for line in lines if line["t"] == "deliver" and line["sub"] == sub][index]


def last_sound(lines, final, op, stream):
    """An answer to an append that no sound store would have given."""
    lines.append({"t": "invoke", "op": op, "kind": "append",
                  "writes": [{"stream": stream, "expected": "any", "events": [event(op, 0)]}]})
    revision = max(e.revision for e in final if e.stream == stream) + 1
    final.append(model.Event(final[-1].position + 100, stream, revision, event(op, 0)["id"], event(op, 0)["data"], True))
    lines.append({"t": "ok", "op": op, "position": final[-1].position, "revisions": [revision]})


def lose_acknowledged(lines, final):
    del final[-2:]


def other_position(lines, final):
    shown = answer(lines, 8)["events"]
    shown[0], shown[1] = [shown[1][0], *shown[0][1:]], [shown[0][0], *shown[1][1:]]


def revision_gap(lines, final):
    final[5] = final[5]._replace(revision=9)


def reborn(lines, final):
    final.append(model.Event(final[-1].position + 100, "d", 0, "6-d0", "6/d0", True))


def refused_is_there(lines, final):
    final.append(model.Event(final[-1].position + 100, "a", 4, "3-a0", "3/a0", True))


def half_batch(lines, final):
    final[:] = [e for e in final if e.id != "2-b0"]
    for line in lines:
        if "events" in line and line["t"] in ("ok", "deliver"):
            line["events"] = [e for e in line["events"] if e[3] != "2-b0"]


def both_succeed(lines, final):
    last_sound(lines, final, 20, "a")
    lines[-2]["writes"][0]["expected"] = 1  # as append 2, which succeeded


def written_twice(lines, final):
    last_sound(lines, final, 7000, "c")
    final[-1] = final[-1]._replace(id="7-c0", data="7/c0")


def shown_then_gone(lines, final):
    lines.append({"t": "invoke", "op": 30, "kind": "append",
                  "writes": [{"stream": "z", "expected": "any", "events": [event(30, 0)]}]})
    lines.append({"t": "invoke", "op": 31, "kind": "read_all", "from": 9000})
    lines.append({"t": "ok", "op": 31, "events": [[9000, "z", 0, "30-0", "30/0", True]]})


def deleted_is_shown(lines, final):
    lines.append({"t": "invoke", "op": 40, "kind": "read_stream", "stream": "e"})
    lines.append({"t": "ok", "op": 40, "events": [list(e) for e in final if e.stream == "e"]})


def tombstone_ignored(lines, final):
    last_sound(lines, final, 41, "b")


def out_of_order(lines, final):
    delivery(lines, 1, 1)["events"].reverse()
    delivery(lines, 1, 0)["events"], delivery(lines, 1, 1)["events"] = (
        delivery(lines, 1, 0)["events"] + delivery(lines, 1, 1)["events"][:1], delivery(lines, 1, 1)["events"][1:])
    lines[:] = [line for line in lines if line["t"] not in ("progress", "caught_up")]
    first = delivery(lines, 1, 0)["events"]
    first[1:1] = [first.pop()]


def delivered_twice(lines, final):
    delivery(lines, 1, 1)["events"].insert(1, delivery(lines, 1, 1)["events"][0])


def gap(lines, final):
    del delivery(lines, 1, 1)["events"][1]


def split(lines, final):
    delivery(lines, 1, 0)["events"].pop()
    delivery(lines, 1, 1)["events"].insert(0, list(final[1]))


def resumed_wrongly(lines, final):
    del delivery(lines, 3)["events"][0]


def early_progress(lines, final):
    next(line for line in lines if line["t"] == "progress")["position"] = final[5].position


def filter_ignored(lines, final):
    delivery(lines, 2)["events"].insert(0, list(final[0]))


def seam(lines, final):
    delivery(lines, 1, 2)["events"].insert(0, list(final[4]))


def never_processed(lines, final):
    lines[:] = [line for line in lines if not (line["t"] == "consumer" and line["id"] == "5-a0")]


def endless_retries(lines, final):
    index = next(i for i, line in enumerate(lines) if line["t"] == "consumer")
    lines[index:index] = [dict(lines[index]) for _ in range(5)]


PLANTED = [
    ("L1", lose_acknowledged), ("L2", other_position), ("L3", revision_gap), ("L4", reborn), ("L4", refused_is_there),
    ("L5", half_batch), ("L6", both_succeed), ("L7", written_twice), ("L9", shown_then_gone), ("L10", deleted_is_shown),
    ("L10", tombstone_ignored), ("S1", out_of_order), ("S2", delivered_twice), ("S3", gap), ("S4", split),
    ("S5", resumed_wrongly), ("S6", early_progress), ("S7", filter_ignored), ("S8", seam), ("S9", never_processed),
    ("S9", endless_retries),
]


def write_log(folder, tamper=None):
    """A small log of two segments, by the page that describes the format; `tamper` changes a finished segment."""
    log_id, position, number = b"0123456789abcdef", 0, 0
    chain = hashlib.sha256(log_id).digest()
    for segment in range(2):
        data = bytearray(256)
        log_files.SEGMENT.pack_into(data, 0, b"IMMLOG\r\n", 0, 1, log_id, 1, segment, position, 0, 0, 1, 256, chain)
        for _ in range(3):
            at = position + len(data)
            body = b"s" + b"T" + b"{}" + str(number).encode()
            record = log_files.RECORD.pack(0, 64 + len(body), at + 64, number, bytes([number] * 16), 0, 2, 1, 1, 0, 2,
                                           len(str(number))) + body
            frame = log_files.FRAME.pack(0x464D4D49, 0, 64 + len(record), 1, at, 0, chain) + record
            chain = hashlib.sha256(frame).digest()
            data += frame
            number += 1
        if tamper == segment:
            data[-1] ^= 1
        (folder / f"segment-{segment:08}.log").write_bytes(data)
        position += len(data)
    anchor = bytearray(8192)
    log_files.ANCHOR.pack_into(anchor, 4096, b"IMMANC\r\n", 0, 1, log_id, 1, 1, 1, position, number, 0, chain)
    (folder / "anchor").write_bytes(anchor)


def chain_is_checked():
    for tamper, wanted in ((None, 0), (0, 1), (1, 1)):
        with tempfile.TemporaryDirectory() as folder:
            write_log(pathlib.Path(folder), tamper)
            events, problems = log_files.read(folder)
            if bool(problems) != bool(wanted) or (tamper is None and len(events) != 6):
                return f"a chain with segment {tamper} tampered: {problems}"
    return ""


def main():
    lines, final = make()
    if found := model.check(lines, final):
        print("FAILED: the sound history is accused:", found)
        return 1
    failures = [text for text in [chain_is_checked()] if text]
    for invariant, plant in PLANTED:
        bad_lines, bad_final = copy.deepcopy(lines), list(final)
        plant(bad_lines, bad_final)
        names = [name for name, _ in model.check(bad_lines, bad_final)]
        if invariant not in names:
            failures.append(f"{plant.__name__}: {invariant} was not found, but {names}")
    print("\n".join(failures) or f"{len(PLANTED) + 2} planted violations, each found under its name")
    return 1 if failures else 0
