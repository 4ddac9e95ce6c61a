"""What the clients of an event store were told, and which invariants that breaks.

Independent of the product: reads a history (README.md says its lines) and, for the chain, the log's files themselves
(log_files.py). `check(lines, events)` returns a list of (invariant, sentence); empty: everything holds.
"""

import collections

Event = collections.namedtuple("Event", "position stream revision id data last")
TOMBSTONED = 2**63 - 1


class Append:
    """One append and all its repetitions: same streams, same ids."""

    def __init__(self, op, writes, at):
        self.op, self.writes, self.invoked = op, writes, at
        self.attempts = {op: at}  # op -> line of its invocation
        self.last_attempt = at
        self.acks = []  # (line, position, revisions, repeated, attempt)
        self.failed = self.unknown = 0

    @property
    def ids(self):
        return [event["id"] for write in self.writes for event in write["events"]]

    def definitely_refused(self):
        return not self.acks and self.failed == len(self.attempts)


class Subscription:
    def __init__(self, line):
        self.after, self.resumes = line.get("after", -1), line.get("resumes")
        self.prefix, self.stream = line.get("prefix", ""), line.get("stream")
        self.delivered, self.caught_up_at, self.progress = [], [], []

    def wants(self, event):
        return event.stream.startswith(self.prefix) and self.stream in (None, event.stream)


class Checker:
    def __init__(self):
        self.found = []
        self.appends, self.by_op, self.by_id = {}, {}, {}  # by first op; by any op; by event id
        self.at, self.of_stream, self.place = {}, {}, {}  # position / (stream, revision) / id -> Event
        self.reads, self.subscriptions, self.groups = {}, {}, {}
        self.deleted = []  # (line, stream, first readable revision, or TOMBSTONED)
        self.deletes, self.touched_by_deletes = {}, set()
        self.absent = {}  # op of an unknown append -> line of the complete read that did not hold it
        self.crashes = []

    def violation(self, invariant, sentence):
        self.found.append((invariant, sentence))

    # ---- lines -------------------------------------------------------------------------------------------------

    def take(self, number, line):
        getattr(self, "_" + line["t"])(number, line)

    def _boot(self, number, line):
        pass

    def _crash(self, number, line):
        self.crashes.append(number)

    def _invoke(self, number, line):
        op, kind = line["op"], line["kind"]
        if kind == "append":
            first = line.get("retry_of")
            append = self.by_op[first] if first is not None else Append(op, line["writes"], number)
            append.attempts[op] = append.last_attempt = number
            self.by_op[op] = append
            if first is None:
                self.appends[op] = append
                for write in append.writes:
                    for event in write["events"]:
                        self.by_id[event["id"]] = (append, write["stream"], event["data"])
        elif kind in ("soft_delete", "tombstone"):
            self.deletes[op] = line
            self.touched_by_deletes.add(line["stream"])
        else:
            self.reads[op] = (number, line)

    def _ok(self, number, line):
        op = line["op"]
        if op in self.by_op:
            self._acknowledged(number, line, self.by_op[op])
        elif op in self.deletes:
            asked = self.deletes[op]
            first = TOMBSTONED if asked["kind"] == "tombstone" else line["first_readable"]
            self.deleted.append((number, asked["stream"], first))
        else:
            self._was_read(number, line, *self.reads[op])

    def _fail(self, number, line):
        if line["op"] in self.by_op:
            self.by_op[line["op"]].failed += 1

    def _unknown(self, number, line):
        if line["op"] in self.by_op:
            self.by_op[line["op"]].unknown += 1

    def _acknowledged(self, number, line, append):
        invoked = append.attempts[line["op"]]
        append.acks.append((number, line["position"], line["revisions"], line.get("repeated", False), invoked))
        for write in append.writes if not line.get("repeated") else []:
            for deleted_at, stream, first in self.deleted:
                if stream == write["stream"] and first == TOMBSTONED and deleted_at < invoked and write["events"]:
                    self.violation("L10", f"append {append.op} wrote to {stream}, which was ended before")

    def _was_read(self, number, line, invoked, asked):
        events = [Event(*event) for event in line["events"]]
        previous = None
        for event in events:
            self.see(event, f"read {line['op']}")
            back = asked.get("direction") == "backwards"
            key = event.revision if asked["kind"] == "read_stream" else event.position
            if previous is not None and (key >= previous if back else key <= previous):
                self.violation("L2", f"read {line['op']} is out of order at position {event.position}")
            previous = key
            for deleted_at, stream, first in self.deleted:
                hidden = asked["kind"] == "read_stream" and event.stream == stream and event.revision < first
                if hidden and deleted_at < invoked:
                    self.violation("L10", f"read {line['op']} shows event {event.revision} of {stream}, which was deleted")
        if asked["kind"] == "read_all" and asked.get("from", 0) == 0 and line.get("end"):
            self._complete_read(line["op"], invoked, {event.id for event in events})

    def _complete_read(self, op, invoked, ids):
        for append in self.appends.values():
            there = all(each in ids for each in append.ids)
            if not there and any(ack[0] < invoked for ack in append.acks) and append.ids:
                self.violation("L1", f"read {op} does not show append {append.op}, acknowledged before it")
            crashed = any(append.last_attempt < crash < invoked for crash in self.crashes)
            if not there and not append.acks and crashed:
                self.absent.setdefault(append.op, invoked)

    def _subscribe(self, number, line):
        self.subscriptions[line["sub"]] = Subscription(line)

    def _deliver(self, number, line):
        to = self.subscriptions[line["sub"]]
        events = [Event(*event) for event in line["events"]]
        for event in events:
            self.see(event, f"subscription {line['sub']}")
        to.delivered += events
        if events and line.get("whole", False):
            to.progress.append(("whole", len(to.delivered), events[-1]))

    def _caught_up(self, number, line):
        to = self.subscriptions[line["sub"]]
        to.caught_up_at.append(len(to.delivered))

    def _progress(self, number, line):
        to = self.subscriptions[line["sub"]]
        to.progress.append(("progress", len(to.delivered), line["position"]))

    def _group(self, number, line):
        self.groups[line["group"]] = {"line": line, "state": collections.OrderedDict(), "end": None}

    def _consumer(self, number, line):
        """what: delivered, acked, retried or parked; for one event of a group."""
        history = self.groups[line["group"]]["state"].setdefault(line["id"], [])
        history.append(line["what"])

    def _group_end(self, number, line):
        self.groups[line["group"]]["end"] = line["position"]

    # ---- one event, however it was seen --------------------------------------------------------------------------

    def see(self, event, where):
        before = self.at.setdefault(event.position, event)
        if before.id != event.id:
            self.violation("L2", f"{where}: position {event.position} names {event.id}, before it was {before.id}")
        before = self.of_stream.setdefault((event.stream, event.revision), event)
        if before.id != event.id:
            self.violation("L3", f"{where}: {event.stream}@{event.revision} is {event.id}, before it was {before.id}")
        before = self.place.setdefault(event.id, event)
        if before.position != event.position:
            self.violation("L7", f"{where}: event {event.id} stands at {before.position} and at {event.position}")
        if event.id not in self.by_id:
            if event.stream.removeprefix("$$") in self.touched_by_deletes and (
                    event.stream.startswith("$$") or event.revision == TOMBSTONED):
                return  # what a delete writes itself, and what undeletes
            self.violation("L4", f"{where}: event {event.id} at {event.position} was never written by anybody")
            return
        append, stream, data = self.by_id[event.id]
        if (stream, data) != (event.stream, event.data):
            self.violation("L1", f"{where}: event {event.id} is not what was written")
        if append.op in self.absent and append.last_attempt < self.absent[append.op]:
            self.violation("L4", f"{where}: append {append.op} was gone after a crash, and is there again")

    # ---- at the end ----------------------------------------------------------------------------------------------

    def finish(self, final):
        """`final`: all events that the store holds, in its order."""
        for event in final:
            self.see(event, "the log")
        there = {event.id: event for event in final}
        self._order_and_revisions(final)
        for event in list(self.at.values()):
            if event.id not in there:
                self.violation("L9", f"event {event.id} at {event.position} was shown to somebody and is not in the log")
        for append in self.appends.values():
            self._append_holds(append, there)
        self._contiguous(final)
        self._answers_in_order()
        for name, subscription in self.subscriptions.items():
            self._subscription_holds(name, subscription, final)
        for name, group in self.groups.items():
            self._group_holds(name, group, final)
        return self.found

    def _order_and_revisions(self, final):
        next_of, last = collections.Counter(), -1
        for event in final:
            if event.position <= last:
                self.violation("L2", f"the log's positions do not increase at {event.position}")
            last = event.position
            if event.revision != TOMBSTONED and event.revision != next_of[event.stream]:
                self.violation("L3", f"{event.stream}: revision {event.revision} where {next_of[event.stream]} is due")
            next_of[event.stream] = event.revision + 1

    def _append_holds(self, append, there):
        present = [there[each] for each in append.ids if each in there]
        if present and len(present) < len(append.ids):
            self.violation("L5", f"append {append.op}: {len(present)} of {len(append.ids)} events are there")
        if append.definitely_refused() and present:
            self.violation("L4", f"append {append.op} was refused, and is there")
        if len({ack[1] for ack in append.acks}) > 1:
            self.violation("L7", f"append {append.op} was repeated and given another position")
        for _, position, revisions, repeated, _ in append.acks:
            if not append.ids:
                continue
            if len(present) < len(append.ids):
                self.violation("L1", f"append {append.op} was acknowledged and is lost")
                return
            if present[-1].position != position:
                self.violation("L1", f"append {append.op} stands at {present[-1].position}, the answer said {position}")
            for write, revision in zip(append.writes, revisions):
                if write["events"] and there[write["events"][-1]["id"]].revision != revision:
                    self.violation("L1", f"append {append.op}: {write['stream']} has another revision than the answer said")
        for write in append.writes:
            expected = {"none": -1}.get(write["expected"], write["expected"])
            if isinstance(expected, int) and write["events"] and write["events"][0]["id"] in there:
                first = there[write["events"][0]["id"]]
                if first.revision != expected + 1:
                    self.violation("L6", f"append {append.op} expected {write['stream']} at {expected}, "
                                         f"and was written at {first.revision}")

    def _undeleting_ends(self, final, index):
        """Whether what an append wrote to undelete its streams follows, and the last of that bears the mark."""
        while index < len(final) and final[index].stream.startswith("$$") and final[index].id not in self.by_id:
            if final[index].last:
                return True
            index += 1
        return False

    def _contiguous(self, final):
        closed, current = set(), None
        for index, event in enumerate(final):
            if event.id not in self.by_id:
                continue
            op = self.by_id[event.id][0].op
            if op != current and op in closed:
                self.violation("L5", f"append {op} is not contiguous")
            if op != current and current is not None:
                closed.add(current)
            current = op
            last = index + 1 == len(final) or self.by_id.get(final[index + 1].id, [None])[0] is not self.by_id[event.id][0]
            if last and event.last is False and self._undeleting_ends(final, index + 1):
                continue
            if event.last is not None and event.last != last:
                self.violation("L5", f"the mark of the last event of append {op} stands wrong")

    def _answers_in_order(self):
        """An append that was acknowledged before another began stands before it."""
        written = [(ack[0], ack[4], ack[1], append.op) for append in self.appends.values() if append.ids
                   for ack in append.acks[:1] if not ack[3] and len(append.attempts) == 1]
        by_end, highest, done = sorted(written), (-1, None), 0
        for _, invoked, position, op in sorted(written, key=lambda each: each[1]):
            while done < len(by_end) and by_end[done][0] < invoked:
                highest = max(highest, (by_end[done][2], by_end[done][3]))
                done += 1
            if position < highest[0]:
                self.violation("L2", f"append {op} stands before append {highest[1]}, which had been acknowledged before")

    def _subscription_holds(self, name, of, final):
        due = [event for event in final if event.position > of.after and of.wants(event)]
        seen = set()
        for index, event in enumerate(of.delivered):
            if index < len(due) and due[index].id == event.id:
                seen.add(event.id)
                continue
            self._name_wrong_delivery(name, of, due, seen, index, event)
            return
        self._marks_hold(name, of, due)

    def _name_wrong_delivery(self, name, of, due, seen, index, event):
        text = f"subscription {name}, event {index} (position {event.position}): "
        if not of.wants(event):
            self.violation("S7", text + "does not pass its filter")
        elif index == 0 and of.resumes is not None:
            self.violation("S5", text + f"resumed after {of.after}, it does not go on with the next event")
        elif index in of.caught_up_at:
            self.violation("S8", text + "lost or repeated where it went live")
        elif event.id in seen:
            self.violation("S2", text + "delivered before")
        elif index < len(due) and due[index].id in {later.id for later in of.delivered[index:]}:
            self.violation("S1", text + "out of order")
        else:
            self.violation("S3", text + f"{due[index].position if index < len(due) else 'nothing'} is due")

    def _marks_hold(self, name, of, due):
        for what, count, mark in of.progress:
            if what == "progress" and sum(1 for event in due if event.position <= mark) > count:
                self.violation("S6", f"subscription {name}: progress {mark} was told before all events up to there")
            if what == "whole" and mark.last is False:
                self.violation("S4", f"subscription {name}: an append is split at {mark.position} without a mark")

    def _group_holds(self, name, group, final):
        tries = group["line"].get("max_tries", 10)
        stream, end = group["line"]["stream"], group["end"]
        for event in final:
            if event.stream != stream or end is None or event.position > end:
                continue
            history = group["state"].get(event.id, [])
            if "acked" not in history and "parked" not in history:
                self.violation("S9", f"group {name}: event {event.id} was neither processed nor parked")
            if history.count("delivered") > tries + 1:
                self.violation("S9", f"group {name}: event {event.id} was delivered {history.count('delivered')} times")


def check(lines, final):
    checker = Checker()
    for number, line in enumerate(lines):
        checker.take(number, line)
    return checker.finish(final)
