"""Reads an event log's files as docs/eventlog-format.md describes them: written from that page, not from the product.

`read(folder)` gives (events, problems): L8, the hash chain and the head anchor, is checked on the way.
"""

import hashlib
import pathlib
import struct
import uuid

from model import Event

SEGMENT = struct.Struct("<8sII16sIIQQqII32s")  # the part in use, of 256 bytes
FRAME = struct.Struct("<IIIIQQ32s")
RECORD = struct.Struct("<IIQQ16sqHHHHII")
ANCHOR = struct.Struct("<8sII16sIIQQQQ32s")
LAST = 2  # record flag
SCAVENGED = 1  # segment flag


def read(folder):
    folder, problems, events = pathlib.Path(folder), [], []
    chain, position, log_id = None, 0, None
    for number, path in enumerate(sorted(folder.glob("segment-*.log"))):
        data = path.read_bytes()
        (magic, _, version, log_id, _, own, first, flags, _, _, size, previous) = SEGMENT.unpack_from(data)
        if magic != b"IMMLOG\r\n" or version != 1 or flags & SCAVENGED:
            raise ValueError(f"{path.name}: not a plain segment of version 1")
        chain = hashlib.sha256(log_id).digest() if chain is None else chain
        if (own, first) != (number, position) or previous != chain:
            problems.append(("L8", f"{path.name} does not continue the segment before it"))
        at = size
        while at < len(data):
            magic, _, length, count, own, _, previous = FRAME.unpack_from(data, at)
            if magic != 0x464D4D49 or own != position + at or previous != chain:
                problems.append(("L8", f"{path.name} at {at}: the chain is broken"))
                return events, problems
            events += records(data, at + FRAME.size, count, position)
            chain = hashlib.sha256(data[at:at + length]).digest()
            at += length
        position += len(data)
    check_anchor(folder / "anchor", position, chain, len(events), problems)
    return events, problems


def records(data, at, count, base):
    for _ in range(count):
        (_, length, position, revision, own, _, flags, stream, kind, _, metadata, size) = RECORD.unpack_from(data, at)
        name = data[at + RECORD.size:at + RECORD.size + stream].decode()
        body = data[at + length - size:at + length].decode()
        yield Event(position, name, revision, str(uuid.UUID(bytes=own)), body, bool(flags & LAST))
        at += length


def check_anchor(path, end, chain, events, problems):
    slots = []
    data = path.read_bytes()
    for offset in (0, 4096):
        (magic, _, version, _, _, _, sequence, own, count, _, own_chain) = ANCHOR.unpack_from(data, offset)
        if magic == b"IMMANC\r\n" and version == 1:
            slots.append((sequence, own, count, own_chain))
    if not slots or max(slots)[1:] != (end, events, chain):
        problems.append(("L8", "the head anchor does not agree with the end of the log"))
