"""What a terminal can be tested for without a desk. `python -m unittest` in this folder."""

import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path

import tidehelm
from tidehelm import Memory, PaperBroker, Terminal

GOLDEN = Path(__file__).parent.parent / "golden"
KEY = {"desk": "00000000-0000-0000-0000-00000000de5c", "key_id": "00000000-0000-0000-0000-00000000001d", "key": "5e" * 32}
OPENER = "10000000-0000-0000-0000-aa0000000000"
CLOSER = "20000000-0000-0000-0000-bb0000000000"
OTHER = "30000000-0000-0000-0000-cc0000000000"


def order(number, seq, **instruction):
    return {"id": number, "seq": seq, "instruction": instruction, "deadline": None}


def opening(seq=1, id=OPENER):
    return order(id, seq, open={"symbol": "EURUSD", "side": "buy", "entry": "market", "lots": "0.1", "price": "1.1",
                                "sl": None, "tp": None, "magic": 0})


def closing(seq, lots=None, id=CLOSER):
    return order(id, seq, close={"of": OPENER, "lots": lots})


class Crash(Exception):
    pass


class Frames(unittest.TestCase):
    def test_signatures_are_those_of_the_golden_files(self):
        for name in "uplink_up", "session_up", "session_down":
            frame, (socket, direction) = (GOLDEN / f"signed_{name}.bin").read_bytes(), name.split("_")
            document, proven = tidehelm.unwrap(frame, KEY, socket, direction)
            self.assertTrue(proven and document["kind"] == "hello", name)
            self.assertEqual(tidehelm.sign(frame[49:], KEY, socket, direction), frame)
            for other in {**KEY, "key": "5f" * 32}, {**KEY, "desk": KEY["key_id"]}, None:
                self.assertFalse(tidehelm.unwrap(frame, other, socket, direction)[1])

    def test_the_state_hash_is_that_of_lines_by_ticket(self):
        trade = {"ticket": 17, "symbol": "EURUSD", "side": "buy", "lots": "0.10", "sl": None, "tp": "1.250"}
        other = {**trade, "ticket": 9, "lots": "100", "sl": "1E-3"}
        expected = tidehelm.hashlib.sha256(b"9|EURUSD|buy|100|0.001|1.25\n17|EURUSD|buy|0.1||1.25\n").hexdigest()
        self.assertEqual(tidehelm.state_hash([trade, other]), expected)


class Orders(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = Path(place.name)
        silent = contextlib.redirect_stdout(io.StringIO())
        silent.__enter__()
        self.addCleanup(silent.__exit__, None, None, None)

    def terminal(self):
        """As after a start; only what lies in files is known."""
        memory, broker = Memory(self.place / "memory.jsonl"), PaperBroker(self.place / "broker.json")
        self.addCleanup(memory.file.close)
        terminal = Terminal("slave", "S_1", memory, broker, "inproc://nobody", "inproc://nobody")
        self.addCleanup(terminal.session.close)
        self.addCleanup(terminal.uplink.close)
        terminal.recover()
        return terminal

    def outcomes(self, terminal):
        return [result["outcome"] for result in terminal.memory.untold.values()]

    def test_an_order_is_carried_out_once_however_often_and_whenever_it_comes(self):
        for terminal in self.terminal(), self.terminal():
            for _ in range(2):
                terminal.take(opening())
                terminal.memory.keep(told=OPENER)
        terminal.take(opening())
        self.assertEqual((len(terminal.broker.book["deals"]), self.outcomes(terminal)), (1, ["filled"]))

    def test_a_number_that_another_order_had_is_not_carried_out(self):
        terminal = self.terminal()
        terminal.take(opening())
        terminal.take(opening(id=CLOSER))
        self.assertEqual((len(terminal.broker.trades()), self.outcomes(terminal)), (1, ["filled", "unknown"]))

    def test_a_crash_at_any_moment_neither_loses_nor_doubles(self):
        part = closing(2, "0.04")
        moments = {
            # Where it crashes, which order: what is told after the restart, and how many deals there are.
            ("before", "open"): ("unknown", 0), ("after", "open"): ("filled", 1),
            ("before", "part"): ("unknown", 1), ("after", "part"): ("filled", 2),
            ("before", "close"): ("filled", 2), ("after", "close"): ("filled", 2),
        }
        for (moment, which), (outcome, deals) in moments.items():
            with self.subTest(moment=moment, which=which):
                for file in self.place.iterdir():
                    file.unlink()
                terminal = self.terminal()
                if which != "open":
                    terminal.take(opening())
                last = {"open": opening(), "part": part, "close": closing(2)}[which]

                def crash(*_, **__):
                    raise Crash

                if moment == "before":
                    terminal.broker.open = terminal.broker.close = crash
                else:
                    terminal.done = crash
                with self.assertRaises(Crash):
                    terminal.take(last)
                terminal = self.terminal()
                terminal.take(last)  # The desk offers it again.
                self.assertEqual((self.outcomes(terminal)[-1], len(terminal.broker.book["deals"])), (outcome, deals))

    def test_a_line_that_a_crash_cut_short_never_counted(self):
        self.terminal().take(opening())
        path = self.place / "memory.jsonl"
        whole = path.read_bytes()
        path.write_bytes(whole + b'{"told": "00000000-0000')
        terminal = self.terminal()
        self.assertEqual((path.read_bytes(), list(terminal.memory.untold)), (whole, [OPENER]))
        terminal.take(closing(2))
        self.assertEqual(self.terminal().memory.seq_max, 2)

    def test_what_has_no_number_ends_things_at_once_and_is_told_later(self):
        terminal = self.terminal()
        terminal.take(opening())
        terminal.take(closing(0))
        self.assertEqual((terminal.broker.trades(), list(terminal.memory.untold)), ([], [OPENER]))
        terminal = self.terminal()
        terminal.take(closing(2))
        self.assertEqual((len(terminal.broker.book["deals"]), self.outcomes(terminal)), (2, ["filled", "filled"]))
        terminal.take(opening(0, id=OTHER))
        self.assertEqual(terminal.broker.trades(), [])

    def test_orders_are_taken_in_turn(self):
        unknown = "40000000-0000-0000-0000-dd0000000000"
        other = order(unknown, 0, close={"of": unknown, "lots": None})
        later = opening(8, id=OTHER)
        turns = tidehelm.in_turn([closing(0), other, later, opening(7)])
        self.assertEqual(turns, [other, opening(7), closing(0), later])

    def test_what_is_too_late_is_not_opened(self):
        terminal = self.terminal()
        terminal.take({**opening(), "deadline": tidehelm.now() - 1})
        self.assertEqual((terminal.broker.trades(), self.outcomes(terminal)), ([], ["expired"]))
        terminal.take(closing(2))
        self.assertEqual(self.outcomes(terminal), ["expired", "nothing"])


if __name__ == "__main__":
    unittest.main()
