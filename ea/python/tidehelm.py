#!/usr/bin/env python3
"""A Tidehelm terminal in one file, to copy from. It follows docs/ea.md word by word, in JSON.

    tidehelm.py slave  --account S_1 --data ./s1 [--pair CODE]    a paper broker that fills at once and prints what it holds
    tidehelm.py master --account M_1 --data ./m1 [--pair CODE]    the same by hand; stdin tells what it trades:
        open EURUSD buy 0.10 [price=1.08] [sl=1.07] [tp=1.09]     prints the ticket
        modify 17 [sl=1.06] [tp=]                                 what is not named stays, what is empty is removed
        close 17 [0.04]                                           all of it, or a part

Needs Python 3.11 and `pip install pynng`. Put your broker in the place of `PaperBroker`; the rest can stay.
"""

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import sys
import threading
import time
import uuid
from decimal import Decimal
from pathlib import Path

import pynng

ANSWER_S = 5  # What has no answer for so long is said again.
POLL_MS = 10_000  # How long a `next` may wait at the desk.
IDENTITY = {"platform": "paper", "account_number": 1, "broker": "Paper", "server": "Paper-1", "name": "Paper",
            "currency": "USD", "leverage": 100, "ea_version": "1.0.0"}
CONTRACT = {"lots_step": "0.01", "lots_min": "0.01", "lots_max": "100", "size": "100000", "digits": 5,
            "tick_value": "1", "tick_size": "0.00001"}
CONTRACTS = {"EURUSD": CONTRACT, "GBPUSD": CONTRACT}


def now():
    return time.time_ns() // 1000


def show(*words):
    print(*words, flush=True)


# Frames: what is signed, and how.

def mac(key, socket, direction, inner):
    """Good for one key, socket, direction and desk, so that no frame can be played back elsewhere."""
    place = f"tidehelm/1|{socket}|{direction}|{key['desk']}|".encode()
    return hmac.digest(bytes.fromhex(key["key"]), place + inner, hashlib.sha256)


def sign(inner, key, socket, direction="up"):
    return b"\x02" + uuid.UUID(key["key_id"]).bytes + mac(key, socket, direction, inner) + inner


def unwrap(frame, key, socket="session", direction="down"):
    """The document in a frame, and whether it proves to be by somebody with the key."""
    if frame[:1] != b"\x02":
        return json.loads(frame), False
    key_id, claimed, inner = frame[1:17], frame[17:49], frame[49:]
    ours = key is not None and key_id == uuid.UUID(key["key_id"]).bytes
    return json.loads(inner), ours and hmac.compare_digest(claimed, mac(key, socket, direction, inner))


def plain(number):
    """A decimal without zeros at its end and without exponent; None stays None."""
    if number is None:
        return None
    text = format(Decimal(number), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def state_hash(trades):
    lines = hashlib.sha256()
    for trade in sorted(trades, key=lambda trade: trade["ticket"]):
        decimals = [plain(trade[field]) or "" for field in ("lots", "sl", "tp")]
        lines.update(("|".join([str(trade["ticket"]), trade["symbol"], trade["side"], *decimals]) + "\n").encode())
    return lines.hexdigest()


class Memory:
    """What outlives a crash: JSON lines, each on the disk before anything follows from it. The file only grows; a terminal
    that runs for years writes it anew now and then, with what still counts."""

    def __init__(self, path):
        self.key = None  # {desk, key_id, key}, once paired
        self.intents = {}  # orders that were begun and have no result, by id
        self.results = {}  # records of results, by order: an order that comes again gets the same one
        self.untold = {}  # results that the desk does not have
        self.tickets = {}  # what each order opened
        self.seq_max = 0  # the highest order that was begun
        whole = 0
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
            if line.endswith(b"\n"):  # Else a crash cut it short, and nothing followed from it.
                self.apply(json.loads(line))
                whole += len(line)
        self.file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")  # 0600, since it holds the key.
        self.file.truncate(whole)
        self.file.seek(whole)

    def keep(self, **record):
        self.file.write(json.dumps(record).encode() + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())
        self.apply(record)

    def apply(self, record):
        match record:
            case {"key": key}:
                self.key = key
            case {"intent": order}:
                self.intents[order["id"]] = order
                self.seq_max = max(self.seq_max, order["seq"])
            case {"result": result, "seq": seq, "opens": opens}:
                self.intents.pop(result["order"], None)
                self.results[result["order"]] = record
                self.seq_max = max(self.seq_max, seq)
                if seq > 0:  # What has no number yet is told once it has one.
                    self.untold[result["order"]] = result
                if opens and result["ticket"] is not None:
                    self.tickets[result["order"]] = result["ticket"]
            case {"told": order}:
                self.untold.pop(order, None)


class PaperBroker:
    """Fills at once at the price that it is given. Its book is a file: like a real broker it lives on while the terminal is
    down, and does a thing as often as it is told. `mark` is the comment by which a terminal finds its deals again."""

    def __init__(self, path):
        self.path = path
        self.book = json.loads(path.read_text()) if path.exists() else {"ticket": 0, "trades": {}, "deals": []}

    def trades(self):
        return list(self.book["trades"].values())

    def trade(self, ticket):
        if str(ticket) not in self.book["trades"]:
            raise ValueError(f"there is no ticket {ticket}")
        return self.book["trades"][str(ticket)]

    def find(self, mark):
        return next((deal for deal in self.book["deals"] if deal["mark"] == mark), None)

    def open(self, mark, symbol, side, lots, price, entry="market", sl=None, tp=None, magic=0):
        self.book["ticket"] = ticket = self.book["ticket"] + 1
        self.book["trades"][str(ticket)] = trade = {
            "ticket": ticket, "symbol": symbol, "side": side, "entry": entry, "lots": plain(lots), "price": plain(price),
            "sl": plain(sl), "tp": plain(tp), "magic": magic, "comment": mark}
        return self.deal(mark, trade, trade["lots"])

    def modify(self, mark, ticket, sl, tp, price=None):
        trade = self.trade(ticket)
        trade.update(sl=plain(sl), tp=plain(tp), price=plain(price) or trade["price"])
        return self.deal(mark, trade, trade["lots"])

    def close(self, mark, ticket, lots=None):
        trade = self.trade(ticket)
        part = min(Decimal(lots or trade["lots"]), Decimal(trade["lots"]))
        trade["lots"] = plain(Decimal(trade["lots"]) - part)
        if Decimal(trade["lots"]) == 0:
            del self.book["trades"][str(ticket)]
        return self.deal(mark, trade, plain(part))

    def deal(self, mark, trade, lots):
        deal = {"mark": mark, "lots": lots, **{field: trade[field] for field in ("ticket", "price", "sl", "tp")}}
        self.book["deals"].append(deal)
        self.path.with_suffix(".new").write_text(json.dumps(self.book))
        self.path.with_suffix(".new").replace(self.path)
        return deal


class Refused(Exception):
    """The desk said no: a stable code, and a sentence."""

    def __init__(self, body):
        super().__init__(f"{body['code']}: {body['detail']}")
        self.code, self.expected = body["code"], body["expected"]


class Again(Exception):
    """This registration is over; hello is said again."""


class Stop(Exception):
    """Nothing more is said until a person wants it."""


class Terminal:
    def __init__(self, role, account, memory, broker, session, uplink):
        self.role, self.account, self.memory, self.broker = role, account, memory, broker
        self.epoch = self.seq = self.uplink_seq = self.config_version = 0
        self.ahead = 0  # the desk's clock less ours
        self.signals = []  # a master's changes that the desk has not taken, oldest first
        self.taken = 0  # the number of the last one that it has, in this epoch
        self.snapshot_due, self.acknowledged, self.something = False, None, asyncio.Event()
        # NNG connects, and connects again, by itself, and then sends again what has no answer.
        self.session = pynng.Req0(dial=session, block_on_dial=False)
        self.uplink = pynng.Push0(dial=uplink, block_on_dial=False)

    async def run(self, code):
        self.recover()
        while True:
            try:
                await self.register(code)
                tasks = [asyncio.create_task(task) for task in (self.poll(), self.tell(), self.beat())]
                try:
                    await asyncio.gather(*tasks)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.wait(tasks)
            except Again:
                show("saying hello again")
            except Refused as refused:
                show("refused", refused)
                await asyncio.sleep(ANSWER_S)

    async def register(self, code):
        welcome = await self.ask("hello", {})
        if self.memory.key is None and code is not None:
            try:
                paired = await self.ask("pair", {"code": code})
            except Refused as refused:
                raise Stop(f"cannot pair: {refused}") from None
            self.memory.keep(key={"desk": welcome["desk"], **paired})
            welcome = await self.ask("hello", {})  # Signed now, as everything that follows.
        if self.memory.key and self.memory.key["desk"] != welcome["desk"]:
            raise Stop("the key is for another desk than this one")
        registered = await self.ask("register", {
            "nonce": welcome["nonce"], "identity": IDENTITY, "holding": "hedging", "trade_allowed": True,
            "contracts": CONTRACTS})
        # Signals count from 1 again. What the desk took, though its answer was lost, is not told twice.
        previous = registered["previous"]
        if previous and previous["epoch"] == self.epoch:
            del self.signals[:max(0, previous["signal_seq"] - self.taken)]
        self.epoch, self.heartbeat_s = registered["epoch"], registered["heartbeat_ms"] / 1000
        self.seq = self.uplink_seq = self.taken = self.config_version = 0
        self.acknowledged = None
        self.something.set()
        show("registered, epoch", self.epoch)

    def frame(self, socket, epoch, seq, kind, body):
        inner = json.dumps({"v": 1, "account": self.account, "role": self.role, "epoch": epoch, "seq": seq,
                            "sent_at": now(), "kind": kind, "body": body}).encode()
        return sign(inner, self.memory.key, socket) if self.memory.key else inner

    async def ask(self, kind, body, patience=ANSWER_S):
        """The answer's body. The same bytes are sent until there is one: by its number the desk knows a repeat."""
        epoch = 0 if kind in ("hello", "pair", "register") else self.epoch
        self.seq += 1
        ours = {"account": self.account, "role": self.role, "epoch": epoch, "seq": self.seq}
        key, frame = self.memory.key, self.frame("session", epoch, self.seq, kind, body)
        with self.session.new_context() as context:  # Several requests are under way at once, each in a context.
            while True:
                try:
                    async with asyncio.timeout(patience):
                        await context.asend(frame)
                        answer, proven = unwrap(await context.arecv(), key)
                except TimeoutError:
                    continue
                body = answer["body"]
                if ours.items() <= answer.items() and (proven or key is None or kind == "hello"):
                    self.ahead = answer["sent_at"] - now()
                    if answer["kind"] != "refused":
                        return body
                    if body["code"] in ("epoch_unknown", "nonce_unknown"):
                        raise Again
                    if body["code"] == "epoch_superseded":
                        raise Stop(body["detail"])
                    if body["code"] not in ("unavailable", "too_many_requests"):
                        raise Refused(body)
                else:
                    show("not an answer to this, or not proven to be the desk's:", answer["kind"], body.get("detail", ""))
                await asyncio.sleep(1)

    async def beat(self):
        """Heartbeats. Nobody answers them, and what finds no connection is lost: the next one comes soon."""
        while True:
            trades = self.broker.trades()
            self.uplink_seq += 1
            frame = self.frame("uplink", self.epoch, self.uplink_seq, "heartbeat", {
                "balance": "10000", "equity": "10000", "free_margin": "10000", "open_positions": len(trades),
                "trade_allowed": True, "state_hash": state_hash(trades), "through_signal_seq": self.through()})
            try:
                self.uplink.send(frame, block=False)
            except pynng.TryAgain:
                pass
            await asyncio.sleep(self.heartbeat_s)

    def through(self):
        """How far what is said of trades reaches: the last signal, or the last order that was carried out."""
        return self.taken + len(self.signals) if self.role == "master" else self.memory.seq_max

    async def poll(self):
        """What the desk has for us."""
        while True:
            has = {"wait_ms": POLL_MS, "order_seq": self.memory.seq_max, "config_version": self.config_version}
            deliveries = await self.ask("next", has, POLL_MS / 1000 + ANSWER_S)
            orders = []
            for delivery in deliveries["list"]:
                match delivery:
                    case {"order": order}:
                        orders.append(order)
                    case {"config": config}:
                        self.config_version = max(self.config_version, config["version"])
                        show("status", config["runtime_status"], *config["warnings"])
                    case {"request_snapshot": _}:
                        self.snapshot_due = True
                    case {"notice": notice}:
                        show(notice["detail"])
            for order in in_turn(orders):
                self.take(order)
            self.something.set()

    def take(self, order):
        """Begins each id once, however often it comes."""
        if known := self.memory.results.get(order["id"]):
            if order["seq"] > 0:  # Its result is told again; what had no number when it was done has one now.
                self.memory.keep(**known | {"seq": order["seq"]})
        elif 0 < order["seq"] <= self.memory.seq_max:
            self.conclude(order, "unknown", error="order_seq_used: another order had this number")
        elif order["seq"] == 0 and "open" in order["instruction"]:
            self.conclude(order, "rejected", error="entry_unnumbered: nothing is opened without a number")
        elif order["deadline"] is not None and now() + self.ahead > order["deadline"]:
            self.conclude(order, "expired", error="the deadline had passed")
        else:
            self.memory.keep(intent=order)  # From here on it is never begun again.
            self.execute(order)

    def execute(self, order):
        """A broker that takes its time is asked on a thread of its own, in the same order."""
        [(kind, told)], mark = order["instruction"].items(), short(order["id"])
        ticket = self.memory.tickets.get(told.get("of"))
        try:
            if kind == "open":
                fields = "symbol", "side", "lots", "price", "entry", "sl", "tp", "magic"
                self.done(order, self.broker.open(mark, **{field: told[field] for field in fields}))
            elif kind == "modify":
                self.done(order, self.broker.modify(mark, ticket, told["sl"], told["tp"], told["price"]))
            else:
                self.done(order, self.broker.close(mark, ticket, told["lots"]))
        except ValueError as why:
            self.conclude(order, "rejected" if kind == "open" else "nothing", error=str(why))

    def recover(self):
        """What was begun before a crash may have been done: the broker's history knows. Where it does not, only what changes
        nothing the second time is done again; closing a part would close two."""
        for order in sorted(self.memory.intents.values(), key=lambda order: order["seq"]):
            [(kind, told)] = order["instruction"].items()
            if deal := self.broker.find(short(order["id"])):
                self.done(order, deal)
            elif kind == "modify" or kind == "close" and told["lots"] is None:
                self.execute(order)
            else:
                self.conclude(order, "unknown", error="interrupted, and not in the broker's history")

    def done(self, order, deal):
        waits = order["instruction"].get("open", {}).get("entry", "market") != "market"
        self.conclude(order, "placed" if waits else "filled", **deal)

    def conclude(self, order, outcome, error=None, mark=None, **deal):
        result = {"order": order["id"], "outcome": outcome, "ticket": None, **deal, "error": error, "received_at": now(),
                  "done_at": now()}
        self.memory.keep(result=result, seq=order["seq"], opens="open" in order["instruction"])
        show("order", order["seq"], *order["instruction"], outcome, error or "")
        self.show_trades()

    async def tell(self):
        """What we have for the desk: results, then signals in their order, then all that we hold, where that was asked for."""
        while True:
            await self.something.wait()
            self.something.clear()
            for order, result in list(self.memory.untold.items()):
                await self.say("order_result", result)
                self.memory.keep(told=order)  # Where it was refused, the desk will never take it.
            while self.signals:
                await self.tell_signal({"signal_seq": self.taken + 1, **self.signals[0]})
            if self.snapshot_due:
                self.snapshot_due = False
                orders = {ticket: order for order, ticket in self.memory.tickets.items()}
                held = [{"trade": trade, "order": orders.get(trade["ticket"])} for trade in self.broker.trades()]
                await self.say("position_snapshot", {"trades": held, "through_signal_seq": self.through()})
            done = {"order_seq": self.memory.seq_max, "config_version": self.config_version}
            if done != self.acknowledged:
                self.acknowledged = done
                await self.say("ack", done)

    async def tell_signal(self, signal):
        try:
            await self.ask("signal", signal)
            self.signals.pop(0)
            self.taken += 1
        except Refused as refused:
            show("refused", refused)
            if refused.code == "signal_gap" and refused.expected:  # What it has is dropped, the rest goes on from there.
                del self.signals[:max(0, refused.expected - self.taken - 1)]
                self.taken = refused.expected - 1
            else:
                self.signals.pop(0)
                self.snapshot_due = True  # What it would not hear of, it learns from the whole.

    async def say(self, kind, body):
        try:
            await self.ask(kind, body)
        except Refused as refused:
            show("refused", kind, refused)

    def changed(self, change):
        """A master's trade has changed. No heartbeat may come between the change and this call."""
        self.signals.append({"change": change, "broker_at": now(), "seen_at": now()})
        self.something.set()
        self.show_trades()

    def show_trades(self):
        held = [f"{trade['ticket']} {trade['side']} {trade['lots']} {trade['symbol']}" for trade in self.broker.trades()]
        show("holds", ", ".join(held) or "nothing")


def short(order):
    """What fits into a broker's comment."""
    return "th" + uuid.UUID(order).hex[20:30]


def in_turn(orders):
    """By their numbers. One without a number ends something and goes first, or right behind what opens that."""
    places = {order["id"]: order["seq"] for order in orders}

    def place(order):
        [told] = order["instruction"].values()
        return (order["seq"], 0) if order["seq"] else (places.get(told.get("of"), 0), 1)

    return sorted(orders, key=place)


def obey(terminal, line):
    """What a person tells a master. The change is told absolutely, as things are afterwards."""
    broker, words = terminal.broker, line.split()
    named = dict(word.split("=", 1) for word in words if "=" in word)
    try:
        match [word for word in words if "=" not in word]:
            case ["open", symbol, side, lots]:
                sl, tp, price = named.get("sl"), named.get("tp"), named.get("price", "1")
                ticket = broker.open("", symbol, side, lots, price, sl=sl, tp=tp)["ticket"]
                terminal.changed({"open": dict(broker.trade(ticket))})
                show("ticket", ticket)
            case ["modify", ticket]:
                sl, tp = (named.get(level, broker.trade(ticket)[level]) or None for level in ("sl", "tp"))
                broker.modify("", int(ticket), sl, tp)
                terminal.changed({"modify": {"ticket": int(ticket), "sl": sl, "tp": tp}})
            case ["close", ticket, *lots]:
                deal = broker.close("", int(ticket), *lots)
                left = broker.book["trades"].get(ticket, {}).get("lots")  # None where nothing is left.
                terminal.changed({"close": {"ticket": int(ticket), "remaining": left, "price": deal["price"]}})
            case _:
                show("open SYMBOL buy|sell LOTS [price=] [sl=] [tp=], modify TICKET [sl=] [tp=], close TICKET [LOTS]")
    except (ValueError, ArithmeticError, TypeError) as why:
        show("no:", why)


async def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("role", choices=["master", "slave"])
    options.add_argument("--account", required=True)
    options.add_argument("--data", type=Path, required=True, help="a directory for this terminal alone")
    options.add_argument("--pair", metavar="CODE", help="from `tidehelm ea pair`; needed once")
    options.add_argument("--session", default="tcp://127.0.0.1:5556")
    options.add_argument("--uplink", default="tcp://127.0.0.1:5555")
    options = options.parse_args()
    options.data.mkdir(parents=True, exist_ok=True)
    memory, broker = Memory(options.data / "memory.jsonl"), PaperBroker(options.data / "broker.json")
    terminal = Terminal(options.role, options.account, memory, broker, options.session, options.uplink)
    loop = asyncio.get_running_loop()

    def listen():
        for line in sys.stdin:
            loop.call_soon_threadsafe(obey, terminal, line)

    if options.role == "master":
        threading.Thread(target=listen, daemon=True).start()
    try:
        await terminal.run(options.pair)
    except Stop as stop:
        sys.exit(str(stop))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
