//! A terminal, a broker and a desk of a few lines, with a line between them that loses, repeats and breaks.

use super::*;
use crate::wire::sample::{account, config, decimal, desk, identity, key, key_id, order, order_id, result, trade};
use crate::wire::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use tidehelm_events::id::Position;
use tidehelm_events::trade::{Entry, Instruction, Outcome, Side, Stamps};

/// What the desk does, as short as it can be.
#[derive(Default)]
pub(crate) struct Desk {
    pub(crate) keyed: bool,
    pub(crate) epoch: u64,
    nonces: u8,
    registered: BTreeMap<Vec<u8>, Answer>,
    /// Numbers that were answered in this epoch, with what was asked.
    answered: BTreeMap<u64, (Vec<u8>, Answer)>,
    previous: Option<Previous>,
    signal_seq: u64,
    pub(crate) signals: Vec<Ticket>,
    pub(crate) outbox: Vec<Order>,
    pub(crate) results: Vec<OrderResult>,
    snapshots: Vec<PositionSnapshot>,
    acks: Vec<Ack>,
    deliver: Vec<Delivery>,
    pub(crate) poll: Option<(u32, Envelope<()>, u64)>,
    /// Refuses with this instead.
    refuse: Option<&'static str>,
    pub(crate) goodbyes: usize,
    /// For whoever carries its answers over a socket.
    pub(crate) poll_from: [u8; 8],
}

impl Desk {
    pub(crate) fn hear(&mut self, tag: u32, message: &[u8], now: Timestamp) -> Option<(u32, Vec<u8>)> {
        let frame = open(message).unwrap();
        assert_eq!(
            self.keyed,
            frame.is_by(&key(), &place(Socket::Session, Direction::Up)),
            "signed, if there is a key"
        );
        let Envelope { account, role, epoch, seq, sent_at, body } = decode::<Request>(frame.inner).unwrap();
        let to = Envelope { account, role, epoch, seq, sent_at, body: () };
        let answer = self.decide(&to, body, message, tag)?;
        Some((tag, self.write(&to, answer, now)))
    }

    fn decide(&mut self, to: &Envelope<()>, body: Request, message: &[u8], tag: u32) -> Option<Answer> {
        if let Some(code) = self.refuse {
            return Some(refused(code, None));
        }
        match body {
            Request::Hello(_) => {
                self.nonces += 1;
                return Some(Welcome { desk: desk(), nonce: Nonce([self.nonces; 16]) }.into());
            }
            Request::Pair(_) => {
                self.keyed = true;
                return Some(Paired { key_id: key_id(), key: key() }.into());
            }
            Request::Register(register) => return Some(self.register(&register, message)),
            _ if to.epoch != self.epoch => return Some(refused(code::EPOCH_UNKNOWN, None)),
            Request::Next(next) => {
                self.poll = Some((tag, to.clone(), next.order_seq));
                return None;
            }
            _ => {}
        }
        if let Some((asked, answer)) = self.answered.get(&to.seq) {
            assert_eq!(asked, message, "a number is used for one request");
            return Some(answer.clone());
        }
        let answer = self.record(body);
        self.answered.insert(to.seq, (message.to_vec(), answer.clone()));
        Some(answer)
    }

    fn register(&mut self, register: &Register, message: &[u8]) -> Answer {
        if let Some(answer) = self.registered.get(message) {
            return answer.clone();
        }
        if register.nonce != Nonce([self.nonces; 16]) {
            return refused(code::NONCE_UNKNOWN, None);
        }
        self.epoch += 1;
        self.signal_seq = 0;
        self.answered.clear();
        let previous = self.previous.clone();
        let answer = Answer::from(Registered { epoch: self.epoch, now: Timestamp(0), heartbeat_ms: 1000, previous });
        self.registered.insert(message.to_vec(), answer.clone());
        answer
    }

    fn record(&mut self, body: Request) -> Answer {
        match body {
            Request::Signal(signal) if signal.signal_seq == self.signal_seq + 1 => {
                self.signal_seq += 1;
                self.signals.push(signal.change.ticket());
                self.previous = Some(Previous { epoch: self.epoch, signal_seq: self.signal_seq });
            }
            Request::Signal(signal) if signal.signal_seq > self.signal_seq => {
                return refused(code::SIGNAL_GAP, Some(self.signal_seq + 1));
            }
            Request::Signal(_) => {}
            Request::OrderResult(result) => {
                self.outbox.retain(|order| order.id != result.order || result.outcome == Outcome::Placed);
                self.results.push(result);
            }
            Request::PositionSnapshot(snapshot) => self.snapshots.push(snapshot),
            Request::Ack(ack) => self.acks.push(ack),
            Request::Unregister(_) => self.goodbyes += 1,
            other => panic!("{other:?}"),
        }
        Accepted { position: Some(Position(1)) }.into()
    }

    /// The answer of the parked poll, if there is something to say.
    pub(crate) fn speak(&mut self, now: Timestamp) -> Option<(u32, Vec<u8>)> {
        let has = self.poll.as_ref()?.2;
        if self.deliver.is_empty() && self.outbox.iter().all(|order| order.seq <= has) {
            return None;
        }
        let (tag, to, _) = self.poll.take()?;
        let orders =
            self.outbox.iter().filter(|order| order.seq > has).map(|order| Delivery::Order(Box::new(order.clone())));
        let list = self.deliver.drain(..).chain(orders).collect();
        Some((tag, self.write(&to, Deliveries { list }.into(), now)))
    }

    fn write(&self, to: &Envelope<()>, body: Answer, now: Timestamp) -> Vec<u8> {
        let Envelope { account, role, epoch, seq, .. } = to.clone();
        let keyed = self.keyed && !matches!(body, Answer::Paired(_));
        let inner = encode(&Envelope { account, role, epoch, seq, sent_at: now, body }, Codec::Binary);
        if keyed { sign(&inner, key_id(), &key(), &place(Socket::Session, Direction::Down)) } else { inner }
    }
}

fn place(socket: Socket, direction: Direction) -> Place {
    Place { socket, direction, desk: desk() }
}

fn refused(code: &str, expected: Option<u64>) -> Answer {
    Refused { code: code.into(), detail: String::new(), field: None, expected }.into()
}

/// All of it, in one thread and its own time.
struct World {
    terminal: Terminal,
    desk: Desk,
    now: Timestamp,
    /// What is on the terminal's disk.
    disk: Recollection,
    /// How often the broker did what.
    done: BTreeMap<OrderId, usize>,
    /// Executions whose result is still out.
    open: Vec<Execution>,
    /// The broker says at once what became of an order.
    prompt: bool,
    shown: Vec<Shown>,
    uplinked: Vec<Request>,
    listed: usize,
    /// So many requests, and so many answers, are lost from here on.
    lose_up: usize,
    lose_down: usize,
    given: u64,
}

pub(crate) fn settings() -> Settings {
    Settings::new(account("S_1"), Role::Slave, identity())
}

impl World {
    fn new() -> Self {
        World::with(settings(), Recollection::default())
    }
    fn with(settings: Settings, disk: Recollection) -> Self {
        let mut world = World {
            terminal: Terminal::new(settings, disk.clone()),
            desk: Desk { keyed: disk.credentials.is_some(), ..Desk::default() },
            now: Timestamp(1_000_000_000),
            disk,
            done: BTreeMap::new(),
            open: Vec::new(),
            prompt: true,
            shown: Vec::new(),
            uplinked: Vec::new(),
            listed: 0,
            lose_up: 0,
            lose_down: 0,
            given: 0,
        };
        world.terminal.figures(figures());
        world
    }
    fn live() -> Self {
        let mut world = World::new();
        world.connect();
        assert_eq!(world.terminal.phase(), Phase::Live);
        world
    }
    fn connect(&mut self) {
        self.terminal.connected(self.now);
        self.settle();
    }
    fn pass(&mut self, span: Span) {
        self.now = self.now + span;
        self.terminal.tick(self.now);
        self.settle();
    }

    /// Does all that is asked for, until nothing is.
    fn settle(&mut self) {
        loop {
            while let Some(output) = self.terminal.poll() {
                self.follow(output);
            }
            let Some((tag, answer)) = self.desk.speak(self.now) else { return };
            self.answer(tag, &answer);
        }
    }

    fn follow(&mut self, output: Output) {
        match output {
            Output::Uplink(message) => {
                let frame = open(&message).unwrap();
                assert_eq!(self.desk.keyed, frame.is_by(&key(), &place(Socket::Uplink, Direction::Up)));
                self.uplinked.push(decode::<Request>(frame.inner).unwrap().body);
            }
            Output::Ask { tag, message } => {
                assert!(tag >> 31 == 1);
                if lost(&mut self.lose_up) {
                    return;
                }
                if let Some((tag, answer)) = self.desk.hear(tag, &message, self.now) {
                    self.answer(tag, &answer);
                }
            }
            Output::Remember(record) => self.disk.apply(&record),
            Output::Execute(execution) => {
                *self.done.entry(execution.order.id).or_default() += 1;
                self.open.push(*execution);
                if self.prompt {
                    self.broker_says_all();
                }
            }
            Output::Recover(execution) => match self.done.contains_key(&execution.order.id) {
                true => self.terminal.done(result(execution.order.id), self.now),
                false => self.terminal.unproven(execution.order.id, self.now),
            },
            Output::ListTrades => {
                self.listed += 1;
                self.terminal.held(vec![Held { trade: trade(1), order: None }], self.now);
            }
            Output::Show(shown) => self.shown.push(shown),
        }
    }

    fn answer(&mut self, tag: u32, answer: &[u8]) {
        if !lost(&mut self.lose_down) {
            self.terminal.hear(tag, answer, self.now);
        }
    }

    fn broker_says_all(&mut self) {
        for execution in std::mem::take(&mut self.open) {
            self.terminal.done(result(execution.order.id), self.now);
        }
    }

    /// The desk has a new order, and says so if it is asked.
    fn order(&mut self, instruction: Instruction) -> OrderId {
        self.given += 1;
        let id = order_id(1000 + u128::from(self.given));
        let order = Order { id, seq: self.given, instruction, deadline: None, stamps: Stamps::default(), ..order() };
        self.desk.outbox.push(order);
        self.settle();
        id
    }

    fn restart(&mut self) {
        self.terminal = Terminal::new(settings(), self.disk.clone());
        self.terminal.figures(figures());
        self.open.clear();
        self.desk.poll = None;
    }

    fn line_breaks(&mut self) {
        self.terminal.disconnected(self.now);
        self.desk.poll = None;
        self.settle();
    }

    fn told(&self, order: OrderId) -> Vec<Outcome> {
        self.desk.results.iter().filter(|result| result.order == order).map(|result| result.outcome).collect()
    }
    fn error(&self, order: OrderId) -> String {
        let last = self.desk.results.iter().rfind(|result| result.order == order).unwrap();
        last.error.clone().unwrap_or_default()
    }
}

fn lost(count: &mut usize) -> bool {
    let lost = *count > 0;
    *count = count.saturating_sub(1);
    lost
}

pub(crate) fn figures() -> Figures {
    Figures {
        balance: decimal("1000"),
        equity: decimal("1000"),
        free_margin: decimal("1000"),
        open_positions: 2,
        trade_allowed: true,
        state_hash: StateHash([1; 32]),
    }
}

pub(crate) fn open_order() -> Instruction {
    Instruction::Open {
        symbol: Symbol::new("EURUSD").unwrap(),
        side: Side::Buy,
        entry: Entry::Market,
        lots: decimal("0.1"),
        price: decimal("1.08"),
        sl: None,
        tp: None,
        slippage_max: None,
        retries_max: 0,
        magic: 0,
        comment: String::new(),
        expires_at: None,
    }
}

pub(crate) fn change(ticket: u64) -> Change {
    Change::Open(trade(ticket))
}

#[test]
fn it_says_hello_registers_and_polls() {
    let world = World::live();
    assert_eq!((world.terminal.epoch(), world.desk.epoch), (1, 1));
    assert!(world.desk.poll.is_some());
    let phases = [Phase::Greeting, Phase::Registering, Phase::Live].map(Shown::Phase);
    assert_eq!(world.shown, phases);
}

#[test]
fn a_code_becomes_a_key_that_is_remembered_and_signs_everything() {
    let mut world = World::new();
    world.terminal.pair("K7QM2XRD".into(), world.now);
    world.connect();
    assert_eq!((world.terminal.phase(), world.desk.keyed), (Phase::Live, true));
    let credentials = Credentials { desk: desk(), key_id: key_id(), key: key() };
    assert_eq!(world.disk.credentials, Some(credentials));
    world.terminal.changed(change(1), None, world.now);
    world.settle();
    world.restart();
    world.connect();
    assert_eq!((world.terminal.phase(), world.desk.signals.len()), (Phase::Live, 1));
}

#[test]
fn heartbeats_come_each_second_and_now_and_then_say_who_it_is() {
    let mut world = World::live();
    for _ in 0..60 {
        world.pass(Span::seconds(1));
    }
    let heartbeats = world.uplinked.iter().filter_map(|said| match said {
        Request::Heartbeat(heartbeat) => Some(heartbeat.identity.is_some()),
        _ => None,
    });
    let heartbeats: Vec<bool> = heartbeats.collect();
    assert_eq!(heartbeats.len(), 61);
    let with: Vec<usize> = (0..61).filter(|at| heartbeats[*at]).collect();
    assert_eq!(with, [0, 30, 60]);
}

#[test]
fn due_says_when_the_next_thing_is_to_be_done() {
    let mut world = World::live();
    assert_eq!(world.terminal.due(), Some(world.now + Span::seconds(1)), "the next heartbeat");
    world.lose_up = 1;
    world.terminal.changed(change(1), None, world.now);
    world.settle();
    for _ in 0..5 {
        let due = world.terminal.due().unwrap();
        assert!(due > world.now);
        world.pass(due.since(world.now));
    }
    assert_eq!(world.desk.signals, [Ticket(1)], "what was lost was said again when it was due");
    world.line_breaks();
    assert_eq!(world.terminal.due(), None);
}

#[test]
fn a_burst_of_signals_arrives_in_order_through_a_line_that_loses() {
    let mut world = World::live();
    (world.lose_up, world.lose_down) = (3, 0);
    (1..=50).for_each(|ticket| world.terminal.changed(change(ticket), None, world.now));
    world.settle();
    world.lose_down = 4;
    for _ in 0..10 {
        world.pass(Span::seconds(5));
    }
    assert_eq!(world.desk.signals, (1..=50).map(Ticket).collect::<Vec<_>>());
    assert!(world.terminal.is_settled());
}

#[test]
fn a_signal_that_the_desk_will_never_take_does_not_hold_up_the_others() {
    let mut world = World::live();
    world.desk.refuse = Some("text_invalid");
    world.terminal.changed(change(1), None, world.now);
    world.settle();
    world.desk.refuse = None;
    world.terminal.changed(change(2), None, world.now);
    world.settle();
    assert_eq!((&world.desk.signals[..], world.desk.signal_seq), (&[Ticket(2)][..], 1));
    assert_eq!(world.listed, 1, "the desk learns from the whole what it would not hear of");
}

#[test]
fn a_new_epoch_counts_signals_anew_and_repeats_none_that_was_taken() {
    let mut world = World::live();
    // The answers of the first two are lost, the third is never heard.
    world.lose_down = 2;
    (1..=2).for_each(|ticket| world.terminal.changed(change(ticket), None, world.now));
    world.settle();
    world.lose_up = 1;
    world.terminal.changed(change(3), None, world.now);
    world.settle();
    world.desk.refuse = Some(code::EPOCH_UNKNOWN);
    world.terminal.changed(change(4), None, world.now);
    world.settle();
    world.desk.refuse = None;
    world.pass(Span::seconds(5));
    assert_eq!(world.desk.signals, [1, 2, 3, 4].map(Ticket));
    assert_eq!((world.desk.epoch, world.desk.signal_seq), (2, 2));
}

#[test]
fn who_is_superseded_says_nothing_more_until_it_is_told_to() {
    let mut world = World::live();
    world.desk.refuse = Some(code::EPOCH_SUPERSEDED);
    world.terminal.changed(change(1), None, world.now);
    world.settle();
    world.desk.refuse = None;
    world.pass(Span::seconds(100));
    assert_eq!((world.terminal.phase(), world.desk.epoch), (Phase::Gone, 1));
    world.terminal.resume(world.now);
    world.settle();
    assert_eq!((world.terminal.phase(), world.desk.epoch), (Phase::Live, 2));
}

#[test]
fn a_refused_registration_is_tried_again_ever_more_slowly() {
    let mut world = World::new();
    world.desk.refuse = Some("account_identity_mismatch");
    world.connect();
    let mut waits = Vec::new();
    for _ in 0..7 {
        let wait = world.terminal.due().unwrap().since(world.now);
        waits.push(wait.0 / 1_000_000);
        world.pass(wait);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
}

#[test]
fn an_order_is_executed_once_and_its_result_told_until_it_is_heard() {
    let mut world = World::live();
    world.lose_down = 1;
    let id = world.order(open_order());
    // What was lost is the delivery itself: the poll is said again when it is late.
    world.pass(Span::seconds(15));
    world.lose_down = 2;
    world.pass(Span::seconds(5));
    world.pass(Span::seconds(5));
    assert_eq!((world.done[&id], world.told(id)), (1, vec![Outcome::Partial]));
    assert!(world.terminal.is_settled());
}

#[test]
fn an_order_that_is_offered_again_gets_its_recorded_result() {
    let mut world = World::live();
    let id = world.order(open_order());
    let again = Order { id, seq: 1, instruction: open_order(), deadline: None, ..order() };
    world.desk.deliver.push(Delivery::Order(Box::new(again)));
    world.settle();
    assert_eq!((world.done[&id], world.told(id).len()), (1, 2));
    assert_eq!(world.terminal.counts().orders_repeated, 1);
}

#[test]
fn orders_are_begun_in_the_order_of_their_numbers_and_wait_for_what_they_are_about() {
    let mut world = World::live();
    world.prompt = false;
    let first = world.order(open_order());
    let close = world.order(Instruction::Close { of: first, lots: None });
    let third = world.order(open_order());
    let begun = |world: &World| world.open.iter().map(|execution| execution.order.id).collect::<Vec<_>>();
    assert_eq!(begun(&world), [first]);
    world.broker_says_all();
    world.settle();
    assert_eq!(begun(&world), [close, third]);
    assert_eq!(world.open[0].ticket, Some(Ticket(5001)), "the ticket that the first one opened");
}

#[test]
fn the_terminal_has_limits_of_its_own_and_closes_know_none() {
    type Case = (&'static str, Outcome, fn(&mut World));
    let table: [Case; 4] = [
        ("deadline", Outcome::Expired, |world| {
            world.desk.outbox.iter_mut().for_each(|order| order.deadline = Some(Timestamp(1)))
        }),
        ("local_lots_max", Outcome::Rejected, |world| world.terminal.settings.lots_max = Some(decimal("0.09"))),
        ("local_positions_max", Outcome::Rejected, |world| world.terminal.settings.positions_max = Some(2)),
        ("desk_silent", Outcome::Rejected, |world| world.terminal.settings.silence_max = Span(-1)),
    ];
    for (why, outcome, change) in table {
        let mut world = World::live();
        let first = world.order(open_order());
        let poll = world.desk.poll.take();
        let id = world.order(open_order());
        let close = world.order(Instruction::Close { of: first, lots: None });
        change(&mut world);
        world.desk.poll = poll;
        world.settle();
        assert_eq!((world.done.get(&id), world.told(id)), (None, vec![outcome]), "{why}");
        assert!(world.error(id).contains(why), "{}", world.error(id));
        assert_eq!(world.done.get(&close), Some(&1), "{why}");
    }
}

#[test]
fn nothing_is_closed_of_an_order_that_came_to_nothing() {
    let mut world = World::live();
    world.terminal.settings.lots_max = Some(decimal("0.01"));
    let first = world.order(open_order());
    let close = world.order(Instruction::Close { of: first, lots: None });
    assert_eq!((world.told(close), world.done.len()), (vec![Outcome::Nothing], 0));
}

#[test]
fn a_pending_order_says_more_later() {
    let mut world = World::live();
    world.prompt = false;
    let id = world.order(open_order());
    world.open.clear();
    for outcome in [Outcome::Placed, Outcome::Filled] {
        world.terminal.done(OrderResult { outcome, ..result(id) }, world.now);
        world.settle();
    }
    assert_eq!(world.told(id), [Outcome::Placed, Outcome::Filled]);
    assert!(world.terminal.is_settled());
}

#[test]
fn after_a_restart_what_was_begun_is_looked_up_and_never_begun_again() {
    let mut world = World::live();
    world.prompt = false;
    let found = world.order(open_order());
    let never_came = world.order(open_order());
    world.done.remove(&never_came);
    world.restart();
    world.connect();
    assert_eq!((world.told(found), world.told(never_came)), (vec![Outcome::Partial], vec![Outcome::Unknown]));
    assert_eq!((world.done.get(&found), world.done.get(&never_came)), (Some(&1), None));
    assert!(world.shown.contains(&Shown::Unknown(never_came)));
}

#[test]
fn after_a_restart_what_changes_nothing_when_done_twice_is_done_again() {
    for (holding, twice) in [(Holding::Hedging, true), (Holding::Netting, false)] {
        let mut world = World::live();
        let first = world.order(open_order());
        world.prompt = false;
        let close = world.order(Instruction::Close { of: first, lots: None });
        world.prompt = true;
        world.restart();
        world.terminal = Terminal::new(Settings { holding, ..settings() }, world.disk.clone());
        world.terminal.figures(figures());
        world.connect();
        assert_eq!(world.done[&close] == 2, twice, "{holding:?}");
        assert_eq!(world.told(close).len(), 1);
    }
}

#[test]
fn after_a_restart_results_are_told_that_the_desk_does_not_have() {
    let mut world = World::live();
    let told = world.order(open_order());
    world.prompt = false;
    let id = world.order(open_order());
    world.lose_up = 1;
    world.broker_says_all();
    world.settle();
    world.restart();
    world.connect();
    assert_eq!((world.told(told).len(), world.told(id).len(), world.done[&id]), (1, 1, 1));
}

#[test]
fn a_number_that_was_used_for_another_order_is_not_executed() {
    let mut world = World::live();
    world.order(open_order());
    let other = Order { id: order_id(7), seq: 1, instruction: open_order(), deadline: None, ..order() };
    world.desk.deliver.push(Delivery::Order(Box::new(other)));
    world.settle();
    assert_eq!((world.told(order_id(7)), world.done.get(&order_id(7))), (vec![Outcome::Unknown], None));
}

/// An order that the desk gives while it cannot write its log.
fn unnumbered(world: &mut World, number: u128, instruction: Instruction) -> Order {
    let order = Order { id: order_id(number), seq: 0, instruction, deadline: None, ..order() };
    world.desk.deliver.push(Delivery::Order(Box::new(order.clone())));
    world.settle();
    order
}

fn begun(world: &World) -> Vec<OrderId> {
    world.open.iter().map(|execution| execution.order.id).collect()
}

#[test]
fn an_order_without_a_number_ends_something_at_once_and_is_the_same_when_it_gets_one() {
    let mut world = World::live();
    let first = world.order(open_order());
    let end = unnumbered(&mut world, 7, Instruction::Close { of: first, lots: None });
    unnumbered(&mut world, 7, end.instruction.clone());
    world.restart();
    world.connect();
    assert_eq!((world.done[&end.id], world.told(end.id)), (1, vec![]), "there is no log to take the result");
    world.desk.outbox.push(Order { seq: 2, ..end.clone() });
    world.settle();
    assert_eq!((world.done[&end.id], world.told(end.id).len()), (1, 1), "its result, and never another execution");
    world.pass(Span::seconds(1));
    world.desk.deliver.push(Delivery::RequestSnapshot {});
    world.settle();
    let (ack, shown) = (world.desk.acks.last().unwrap().order_seq, world.desk.snapshots[0].through_signal_seq);
    assert_eq!((ack, shown), (2, 2), "it is done with that number");
    world.given = 2;
    let next = world.order(open_order());
    assert_eq!((world.done[&next], world.told(next)), (1, vec![Outcome::Partial]), "the numbers go on behind it");
    world.restart();
    world.connect();
    world.desk.outbox.push(Order { seq: 2, ..end.clone() });
    world.settle();
    assert_eq!(world.done[&end.id], 1);
}

/// Also while it is with the broker: else the desk would offer it without end.
#[test]
fn a_poll_says_the_number_of_an_order_that_had_none() {
    let mut world = World::live();
    let first = world.order(open_order());
    world.prompt = false;
    let end = unnumbered(&mut world, 7, Instruction::Close { of: first, lots: None });
    world.desk.outbox.push(Order { seq: 2, ..end.clone() });
    world.settle();
    assert_eq!((begun(&world), world.desk.poll.as_ref().unwrap().2), (vec![end.id], 2));
}

#[test]
fn an_order_without_a_number_waits_for_what_it_ends_and_for_nothing_else() {
    let mut world = World::with(Settings { executions_max: 1, ..settings() }, Recollection::default());
    world.connect();
    let old = world.order(open_order());
    world.prompt = false;
    let (running, queued) = (world.order(open_order()), world.order(open_order()));
    let close = |of| Instruction::Close { of, lots: None };
    let ends = [
        unnumbered(&mut world, 71, close(queued)).id,
        unnumbered(&mut world, 72, close(running)).id,
        unnumbered(&mut world, 73, close(old)).id,
    ];
    assert_eq!(begun(&world), [running, ends[2]], "though the broker has as much to do as it may");
    world.broker_says_all();
    world.settle();
    assert_eq!(begun(&world), [ends[1]], "{queued} waits for room, and what ends it for that");
    world.broker_says_all();
    world.settle();
    assert_eq!(begun(&world), [queued]);
    world.broker_says_all();
    world.settle();
    assert_eq!(begun(&world), [ends[0]]);
    world.broker_says_all();
    world.settle();
    assert!(world.terminal.is_settled() && world.done.values().all(|times| *times == 1));
}

#[test]
fn nothing_is_opened_without_a_number() {
    let mut world = World::live();
    let entry = unnumbered(&mut world, 7, open_order());
    let result = world.terminal.memory().order(entry.id).unwrap().result.clone().unwrap();
    assert_eq!((result.outcome, world.done.get(&entry.id)), (Outcome::Rejected, None));
    assert!(result.error.as_ref().unwrap().starts_with("entry_unnumbered"), "{result:?}");
}

#[test]
fn answers_that_do_not_prove_to_be_the_desks_change_nothing() {
    let disk = {
        let mut disk = Recollection::default();
        disk.apply(&Record::Credentials(Credentials { desk: desk(), key_id: key_id(), key: key() }));
        disk
    };
    let mut world = World::with(settings(), disk);
    world.connect();
    assert_eq!(world.terminal.phase(), Phase::Live);
    let (tag, to, _) = world.desk.poll.clone().unwrap();
    let list = vec![Delivery::Order(Box::new(Order { instruction: open_order(), deadline: None, ..order() }))];
    let inner = encode(
        &Envelope {
            account: to.account.clone(),
            role: to.role,
            epoch: to.epoch,
            seq: to.seq,
            sent_at: world.now,
            body: Answer::from(Deliveries { list }),
        },
        Codec::Binary,
    );
    let forged = [
        inner.clone(),
        sign(&inner, key_id(), &Key([1; 32]), &place(Socket::Session, Direction::Down)),
        sign(&inner, key_id(), &key(), &place(Socket::Session, Direction::Up)),
    ];
    for message in &forged {
        world.terminal.hear(tag, message, world.now);
        world.settle();
    }
    assert!(world.done.is_empty());
    assert_eq!(world.terminal.counts().answers_unproven, 3);
    let honest = sign(&inner, key_id(), &key(), &place(Socket::Session, Direction::Down));
    world.terminal.hear(tag, &honest, world.now);
    world.settle();
    assert_eq!(world.done.len(), 1);
}

#[test]
fn an_answer_to_something_else_or_for_somebody_else_is_not_taken() {
    let mut world = World::live();
    let (tag, to, _) = world.desk.poll.clone().unwrap();
    let answer = |change: fn(&mut Envelope<Answer>)| {
        let (account, role, epoch, seq, sent_at) = (to.account.clone(), to.role, to.epoch, to.seq, to.sent_at);
        let mut envelope = Envelope { account, role, epoch, seq, sent_at, body: refused(code::EPOCH_UNKNOWN, None) };
        change(&mut envelope);
        encode(&envelope, Codec::Json)
    };
    for message in [
        answer(|envelope| envelope.account = account("S_12")),
        answer(|envelope| envelope.role = Role::Master),
        answer(|envelope| envelope.epoch += 1),
        answer(|envelope| envelope.seq += 1),
    ] {
        world.terminal.hear(tag, &message, world.now);
    }
    world.terminal.hear(tag + 1, &answer(|_| {}), world.now);
    assert_eq!((world.terminal.phase(), world.terminal.counts().answers_unasked), (Phase::Live, 5));
    world.terminal.hear(tag, &answer(|_| {}), world.now);
    assert_ne!(world.terminal.phase(), Phase::Live);
}

#[test]
fn the_newest_config_counts_and_is_acknowledged() {
    let mut world = World::live();
    world.desk.deliver = vec![Delivery::Config(config(4)), Delivery::Config(config(3))];
    world.settle();
    let shown = world.shown.iter().filter(|shown| matches!(shown, Shown::Config(_))).count();
    assert_eq!(shown, 1);
    world.pass(Span::seconds(1));
    assert_eq!(world.desk.acks, [Ack { order_seq: 0, config_version: 4 }]);
    world.order(open_order());
    world.pass(Span::seconds(1));
    assert_eq!(world.desk.acks.last(), Some(&Ack { order_seq: 1, config_version: 4 }));
}

#[test]
fn a_snapshot_is_sent_after_the_signals_that_it_covers() {
    let mut world = World::with(Settings { role: Role::Master, ..settings() }, Recollection::default());
    world.connect();
    world.lose_up = 1;
    world.terminal.changed(change(1), None, world.now);
    world.desk.deliver.push(Delivery::RequestSnapshot {});
    world.settle();
    assert_eq!((world.listed, world.desk.snapshots.len()), (1, 0));
    world.pass(Span::seconds(5));
    assert_eq!(world.desk.snapshots[0].through_signal_seq, 1);
}

/// Results that the desk took meanwhile are in no older list.
#[test]
fn a_snapshot_that_was_not_taken_is_made_anew() {
    let mut world = World::live();
    world.desk.deliver.push(Delivery::RequestSnapshot {});
    world.desk.refuse = Some(code::UNAVAILABLE);
    world.settle();
    assert_eq!((world.listed, world.desk.snapshots.len()), (1, 0));
    world.desk.refuse = None;
    world.pass(Span::seconds(2));
    assert_eq!((world.listed, world.desk.snapshots.len()), (2, 1));
}

#[test]
fn it_leaves_when_everything_is_said() {
    let mut world = World::live();
    world.lose_up = 1;
    world.terminal.changed(change(1), None, world.now);
    world.terminal.leave(world.now);
    world.settle();
    assert_eq!(world.desk.goodbyes, 0);
    world.pass(Span::seconds(5));
    assert_eq!((world.desk.signals.len(), world.desk.goodbyes, world.terminal.phase()), (1, 1, Phase::Gone));
}

#[derive(Debug, Clone)]
enum Step {
    Signal,
    Open,
    Close,
    LoseUp(usize),
    LoseDown(usize),
    Pass(i64),
    Break,
    Connect,
    BrokerSays,
    TerminalRestarts,
    EpochEnds,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Signal),
        4 => Just(Step::Open),
        2 => Just(Step::Close),
        2 => (1usize..4).prop_map(Step::LoseUp),
        2 => (1usize..4).prop_map(Step::LoseDown),
        3 => (1i64..12).prop_map(Step::Pass),
        1 => Just(Step::Break),
        2 => Just(Step::Connect),
        4 => Just(Step::BrokerSays),
        1 => Just(Step::TerminalRestarts),
        1 => Just(Step::EpochEnds),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever happens on the way: no order twice, no signal twice or out of order, and in the end every order has its result.
    #[test]
    fn exactly_once_through_everything(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::live();
        world.prompt = false;
        let (mut orders, mut tickets, mut restarted) = (Vec::new(), 0, false);
        for step in steps {
            match step {
                Step::Signal => {
                    tickets += 1;
                    world.terminal.changed(change(tickets), None, world.now);
                    world.settle();
                }
                Step::Open => orders.push(world.order(open_order())),
                Step::Close => if let Some(of) = orders.first().copied() {
                    let lots = Some(decimal("0.01"));
                    orders.push(world.order(Instruction::Close { of, lots }));
                },
                Step::LoseUp(count) => world.lose_up = count,
                Step::LoseDown(count) => world.lose_down = count,
                Step::Pass(seconds) => world.pass(Span::seconds(seconds)),
                Step::Break => world.line_breaks(),
                Step::Connect => world.connect(),
                Step::BrokerSays => {
                    world.broker_says_all();
                    world.settle();
                }
                Step::TerminalRestarts => {
                    restarted = true;
                    world.restart();
                }
                Step::EpochEnds => {
                    world.desk.epoch += 1;
                    world.desk.signal_seq = 0;
                    world.desk.answered.clear();
                }
            }
        }
        (world.lose_up, world.lose_down, world.prompt) = (0, 0, true);
        world.connect();
        for _ in 0..40 {
            world.broker_says_all();
            world.pass(Span::seconds(16));
        }
        prop_assert!(world.terminal.is_settled(), "{:?} {:?}", world.terminal.orders, world.terminal.signals);
        prop_assert!(world.desk.outbox.is_empty(), "{:?}", world.desk.outbox);
        for (id, count) in &world.done {
            prop_assert_eq!(*count, 1, "{}", id);
        }
        let told: BTreeSet<OrderId> = world.desk.results.iter().map(|result| result.order).collect();
        prop_assert_eq!(told, orders.into_iter().collect::<BTreeSet<_>>());
        let sorted = world.desk.signals.windows(2).all(|pair| pair[0] < pair[1]);
        prop_assert!(sorted, "{:?}", world.desk.signals);
        if !restarted {
            prop_assert_eq!(world.desk.signals.len() as u64, tickets);
        }
    }
}
