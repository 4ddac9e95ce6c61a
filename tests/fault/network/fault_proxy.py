"""A TCP proxy that breaks connections in the ways in which networks do.

It runs on a thread of its own. Bytes are never changed and never reordered: they are late, cut off, or do not come.
Standard library only.
"""

import asyncio
import contextlib
import random
import socket
import struct
import threading

CHUNK = 65536
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Link:
    """One connection through the proxy."""

    def __init__(self, client, server):
        self.client, self.server = client, server
        self.open = asyncio.Event()  # not set: clogged
        self.open.set()
        self.silent = False          # takes everything, gives nothing, tells nobody
        self.cut = False             # a reset after half of the next bytes
        self.tasks = []


class Proxy:
    """The attributes say what happens to the bytes of every connection; they may be changed at any time."""

    def __init__(self, listen, target, seed, enter=None):
        self.delay = 0.0      # seconds a chunk is late
        self.slice = 0        # bytes that are sent at once; 0: all
        self.rate = 0         # bytes a second; 0: any number
        self.stall = 0.0      # share of chunks that are late by `stall_seconds`, as after a lost packet
        self.stall_seconds = 0.2
        self.hold = False     # nothing passes; it comes later
        self.accepts_silently = False
        self.links, self.abandoned, self.accepted = set(), set(), 0
        self.tasks = set()    # the loop itself keeps none alive
        self.dice = random.Random(seed)
        self.listen, self.target, self.enter, self.port = listen, target, enter, 0
        self.loop, self.server, self.problem = None, None, None
        self.started = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        self.started.wait()
        if self.problem:
            raise self.problem

    # ---- the thread ----------------------------------------------------------------------------------------------

    def run(self):
        try:
            if self.enter:
                self.enter()
            self.server = socket.create_server((self.listen, 0))
            self.server.setblocking(False)
            self.port = self.server.getsockname()[1]
            self.loop = asyncio.new_event_loop()
        except OSError as problem:
            self.problem = problem
        self.started.set()
        if not self.problem:
            self.loop.run_until_complete(self.accept())

    async def accept(self):
        self.ended = asyncio.Event()
        ending = asyncio.ensure_future(self.ended.wait())
        while not ending.done():
            accepting = asyncio.ensure_future(self.loop.sock_accept(self.server))
            await asyncio.wait([accepting, ending], return_when=asyncio.FIRST_COMPLETED)
            if accepting.done():
                self.accepted += 1
                self.spawn(self.connect(accepting.result()[0]))
            else:
                accepting.cancel()
        for link in list(self.links | self.abandoned):
            self.reset(link)
        self.server.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def connect(self, client):
        server = socket.socket()
        for each in (client, server):
            each.setblocking(False)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = Link(client, server)
        link.silent = self.accepts_silently
        try:
            await self.loop.sock_connect(server, self.target)
        except OSError:
            self.reset(link)
            return
        (self.abandoned if link.silent else self.links).add(link)
        link.tasks = [self.spawn(self.pump(link, client, server)), self.spawn(self.pump(link, server, client))]

    def spawn(self, work):
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def pump(self, link, source, target):
        try:
            while True:
                data = await self.loop.sock_recv(source, CHUNK)
                if not data:
                    break
                await self.pass_on(link, data, target)
        except OSError:
            pass
        if link.silent and source is link.client:
            return  # the other side is not told
        self.finish(link)

    async def pass_on(self, link, data, target):
        if link.silent:
            return
        late = self.delay + (self.stall_seconds if self.dice.random() < self.stall else 0.0)
        if late:
            await asyncio.sleep(late)
        while self.hold:
            await asyncio.sleep(0.02)
        await link.open.wait()
        if link.silent:
            return
        if link.cut:
            await self.loop.sock_sendall(target, data[:max(1, len(data) // 2)])
            self.reset(link)
            return
        while data:
            part, data = (data[:self.slice], data[self.slice:]) if self.slice else (data, b"")
            await self.loop.sock_sendall(target, part)
            await asyncio.sleep(len(part) / self.rate if self.rate else 0)

    def finish(self, link):
        """One side has closed: so does the other."""
        self.forget(link)
        for each in (link.client, link.server):
            self.loop.call_soon(each.close)  # after what waits for it has let go

    def reset(self, link):
        self.forget(link)
        for each in (link.client, link.server):
            with contextlib.suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.loop.call_soon(each.close)

    def forget(self, link):
        self.links.discard(link)
        self.abandoned.discard(link)
        for task in link.tasks:
            if task is not asyncio.current_task(self.loop):
                task.cancel()

    # ---- for the test, on any thread -----------------------------------------------------------------------------

    def do(self, work):
        """Runs `work` on the proxy's thread; its value."""
        async def run():
            return work()
        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(60)

    def count(self):
        return self.do(lambda: len(self.links))

    def cut_links(self, share=1.0):
        """A reset in the middle of what they send next."""
        def work():
            for link in self.links:
                link.cut = self.dice.random() < share
        self.do(work)

    def silence_links(self):
        """From now on they lead nowhere, and nobody is told."""
        def work():
            for link in list(self.links):
                link.silent = True
                self.links.discard(link)
                self.abandoned.add(link)
        self.do(work)

    def shuffled(self):
        def work():
            links = list(self.links)
            self.dice.shuffle(links)
            return links
        return self.do(work)

    def clog(self, link):
        self.do(link.open.clear)

    def release(self, link):
        self.do(link.open.set)

    def reset_all(self):
        self.do(lambda: [self.reset(link) for link in list(self.links | self.abandoned)])

    def close(self):
        self.do(self.ended.set)
        self.thread.join()
