//! The whole paper venue: what is on its way there and back, limits, faults, the dead-man switch, and its markets.

use super::matching::{Happened, Holding, Market, Resting};
use super::settings::{Rate, Settings};
use super::word::{Ended, Fill, MarketNo, Name, Rejection, Report, Request, State, Ticket, What};
use crate::world::rng::Rng;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use tidehelm_events::market::{Cash, Instrument, Price, Said, Size};
use tidehelm_events::time::{Span, Timestamp};

/// Orders that are over and fills are remembered up to so many, the newest.
const REMEMBERED_MAX: usize = 1024;

/// A venue account on paper. The same settings, seed, market and requests give the same reports on every machine.
#[derive(Debug, Clone)]
pub struct Paper<Id> {
    settings: Settings,
    rng: Rng,
    markets: Vec<Market<Id>>,
    /// In the order in which they arrive, which is that in which they were sent.
    to_venue: VecDeque<(Timestamp, Sent<Id>)>,
    to_desk: VecDeque<(Timestamp, Report<Id>)>,
    /// Where a reply does not come.
    timeouts: VecDeque<(Timestamp, Report<Id>)>,
    known: HashMap<Id, Known, BuildHasherDefault<Quick>>,
    over: VecDeque<Id>,
    clock: Timestamp,
    feed: Span,
    orders: Bucket,
    cancels: Bucket,
    dead_man: Option<Timestamp>,
    open: u32,
    fills: u64,
    recent: VecDeque<Fill<Id>>,
    counts: Counts,
    happened: Vec<Happened<Id>>,
}

#[derive(Debug, Clone)]
struct Sent<Id> {
    request: Request<Id>,
    at: Timestamp,
}

#[derive(Debug, Clone, Copy)]
enum Known {
    Open { market: MarketNo, size: Size },
    Over(State),
}

/// What was asked and what became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    pub requests: u64,
    pub submitted: u64,
    pub accepted: u64,
    pub rejected: u64,
    pub amended: u64,
    pub cancelled: u64,
    pub fills: u64,
    pub timed_out: u64,
    pub dead_man: u64,
}

/// What the venue holds, as a client that reconciles is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<Id> {
    pub at: Timestamp,
    pub open: Vec<(MarketNo, Resting<Id>)>,
    pub holdings: Vec<(MarketNo, Holding)>,
}

impl<Id: Name> Paper<Id> {
    pub fn new(settings: Settings, seed: u64) -> Self {
        Paper {
            orders: Bucket::full(settings.rates.orders),
            cancels: Bucket::full(settings.rates.cancels),
            settings,
            rng: Rng::new(seed),
            markets: Vec::new(),
            to_venue: VecDeque::new(),
            to_desk: VecDeque::new(),
            timeouts: VecDeque::new(),
            known: HashMap::default(),
            over: VecDeque::new(),
            clock: Timestamp(i64::MIN),
            feed: Span(0),
            dead_man: None,
            open: 0,
            fills: 0,
            recent: VecDeque::new(),
            counts: Counts::default(),
            happened: Vec::new(),
        }
    }

    /// One more market, which is named by the number that comes back.
    pub fn open_market(&mut self, instrument: Instrument) -> MarketNo {
        let no = MarketNo(u16::try_from(self.markets.len()).unwrap_or(u16::MAX));
        self.markets.push(Market::new(no, instrument, self.settings.model));
        no
    }
    /// What the desk knows of the venue after a restart: positions, open orders with what is filled of each, the last fill's number.
    pub fn adopt(&mut self, market: MarketNo, holding: Holding, open: Vec<(Ticket<Id>, Size, Timestamp)>, fills: u64) {
        for (ticket, _, _) in &open {
            self.known.insert(ticket.order.clone(), Known::Open { market, size: ticket.terms.size });
        }
        self.fills = self.fills.max(fills);
        self.markets[market.index()].adopt(holding, open);
        self.open = self.markets.iter().map(|market| market.open_count() as u32).sum();
    }

    pub fn markets(&self) -> &[Market<Id>] {
        &self.markets
    }
    pub fn market(&self, no: MarketNo) -> Option<&Market<Id>> {
        self.markets.get(no.index())
    }
    pub fn counts(&self) -> Counts {
        Counts { fills: self.fills, ..self.counts }
    }
    /// How many fills there were, which is the last one's number.
    pub fn fills(&self) -> u64 {
        self.fills
    }
    /// Fills after a number, oldest first, as far back as they are remembered.
    pub fn fills_after(&self, number: u64) -> impl Iterator<Item = &Fill<Id>> {
        let newer = usize::try_from(self.fills.saturating_sub(number)).unwrap_or(usize::MAX).min(self.recent.len());
        self.recent.range(self.recent.len() - newer..)
    }
    /// What the venue holds right now, whatever is on its way.
    pub fn list(&self) -> Listing<Id> {
        let numbered = || self.markets.iter().enumerate().map(|(no, market)| (MarketNo(no as u16), market));
        Listing {
            at: self.clock,
            open: numbered().flat_map(|(no, market)| market.open().map(move |order| (no, order.clone()))).collect(),
            holdings: numbered().map(|(no, market)| (no, *market.holding())).collect(),
        }
    }

    /// Sends a request; it arrives when the latency says.
    pub fn ask(&mut self, request: Request<Id>, now: Timestamp) {
        self.counts.requests += 1;
        let there = self.settings.latency.there(&mut self.rng, self.feed);
        if chance(&mut self.rng, self.settings.faults.lost_requests_permille) {
            return self.time_out(&request, now);
        }
        let last = self.to_venue.back().map_or(Timestamp(i64::MIN), |(at, _)| *at);
        self.to_venue.push_back(((now + there).max(last), Sent { request, at: now }));
    }

    /// When something happens at the venue by itself: a request arrives, an order or the dead man's time is over, funding is due.
    #[inline]
    pub fn next_at(&self) -> Option<Timestamp> {
        let arrival = self.to_venue.front().map(|(at, _)| *at);
        let mut next = earlier(arrival, self.dead_man);
        for market in &self.markets {
            next = earlier(next, market.next_at());
        }
        next
    }

    /// All that happens by itself until then, in its order.
    pub fn elapse(&mut self, until: Timestamp) {
        while let Some(at) = self.next_at()
            && at <= until
        {
            self.step(at);
        }
        self.clock = self.clock.max(until);
    }

    /// The market moves at the venue. What was to happen there before has happened: requests that arrive at the very time come after.
    #[inline]
    pub fn heard(&mut self, no: MarketNo, said: &Said, source_at: Timestamp, received_at: Timestamp) {
        let at = source_at.max(self.clock);
        if self.next_at().is_some_and(|next| next < at) {
            self.elapse(Timestamp(at.0 - 1));
        }
        self.clock = at;
        self.feed = received_at.since(source_at);
        let Some(market) = self.markets.get_mut(no.index()) else { return };
        market.heard(said, at, &mut self.happened);
        if !self.happened.is_empty() {
            self.settle(at);
        }
    }

    /// When the next report reaches the desk.
    #[inline]
    pub fn next_report_at(&self) -> Option<Timestamp> {
        earlier(self.to_desk.front().map(|(at, _)| *at), self.timeouts.front().map(|(at, _)| *at))
    }

    /// The next report that has reached the desk by now.
    pub fn told(&mut self, now: Timestamp) -> Option<Report<Id>> {
        let next = self.next_report_at().filter(|at| *at <= now)?;
        let from = if self.to_desk.front().is_some_and(|(at, _)| *at == next) {
            &mut self.to_desk
        } else {
            &mut self.timeouts
        };
        from.pop_front().map(|(_, report)| report)
    }

    fn step(&mut self, at: Timestamp) {
        self.clock = self.clock.max(at);
        let at = self.clock;
        if self.dead_man.is_some_and(|until| until <= at) {
            self.dead_man = None;
            self.counts.dead_man += 1;
            self.end_all(None, Ended::DeadMan);
            self.settle(at);
        }
        for index in 0..self.markets.len() {
            if let Some(amount) = self.markets[index].elapse(at, &mut self.happened) {
                let market = MarketNo(index as u16);
                self.report(at, What::FundingPaid { market, amount });
            }
            self.settle(at);
        }
        if self.to_venue.front().is_some_and(|(arrives, _)| *arrives <= at)
            && let Some((_, sent)) = self.to_venue.pop_front()
        {
            self.work(sent, at);
        }
    }

    /// Works a request off: the reply first, then what came of it.
    fn work(&mut self, sent: Sent<Id>, at: Timestamp) {
        let reply = self.answer(&sent.request, at);
        if chance(&mut self.rng, self.settings.faults.lost_replies_permille) {
            self.time_out(&sent.request, sent.at);
        } else if let Some(reply) = reply {
            self.report(at, reply);
        }
        self.settle(at);
    }

    fn answer(&mut self, request: &Request<Id>, at: Timestamp) -> Option<What<Id>> {
        Some(match request {
            Request::Submit(ticket) => match self.submit(ticket, at) {
                Ok(()) => What::Accepted { order: ticket.order.clone() },
                Err(why) => {
                    self.counts.rejected += 1;
                    What::Rejected { order: ticket.order.clone(), why }
                }
            },
            Request::Amend { order, price, size } => match self.amend(order, *price, *size, at) {
                Ok((price, leaves)) => What::Amended { order: order.clone(), price, size: *size, leaves },
                Err(why) => What::AmendRejected { order: order.clone(), why },
            },
            Request::Cancel { order } => match self.cancel(order, at) {
                // What happened tells that it is cancelled.
                Ok(()) => return self.happened.pop().map(|happened| self.told_of(happened)),
                Err(why) => What::CancelRejected { order: order.clone(), why },
            },
            Request::CancelAll { market } => {
                let before = self.happened.len();
                self.end_all(*market, Ended::Asked);
                What::AllCancelled { count: (self.happened.len() - before) as u32 }
            }
            Request::Arm { within } if within.0 <= 0 => What::ArmRejected { why: Rejection::Outlived },
            Request::Arm { within } => {
                let until = at + *within;
                self.dead_man = Some(until);
                What::Armed { until }
            }
            Request::Disarm => {
                self.dead_man = None;
                What::Disarmed
            }
            Request::List => {
                let open = self.markets.iter().flat_map(Market::open);
                What::Listed { open: open.map(|order| order.order.clone()).collect() }
            }
            Request::Look { order } => What::State { order: order.clone(), state: self.state(order) },
        })
    }

    /// Refuses in this order: duplicate, rate, made up, market, too many, the market's own, margin. Only what is taken is known by
    /// its name, so that the same may be sent again.
    fn submit(&mut self, ticket: &Ticket<Id>, at: Timestamp) -> Result<(), Rejection> {
        self.counts.submitted += 1;
        if self.known.contains_key(&ticket.order) {
            return Err(Rejection::Duplicate);
        }
        if !self.orders.take(self.settings.rates.orders, at) {
            return Err(Rejection::RateLimited);
        }
        if chance(&mut self.rng, self.settings.faults.rejects_permille) {
            return Err(Rejection::MadeUp(self.settings.faults.reject_as));
        }
        let market = self.markets.get_mut(ticket.market.index()).ok_or(Rejection::MarketUnknown)?;
        if self.open >= self.settings.open_orders_max {
            return Err(Rejection::TooManyOpen);
        }
        market.refuse(ticket, at)?;
        self.margin_holds(ticket)?;
        self.counts.accepted += 1;
        self.open += 1;
        let known = Known::Open { market: ticket.market, size: ticket.terms.size };
        self.known.insert(ticket.order.clone(), known);
        self.markets[ticket.market.index()].submit(ticket, at, &mut self.happened);
        Ok(())
    }

    fn margin_holds(&self, ticket: &Ticket<Id>) -> Result<(), Rejection> {
        let Some(margin) = self.settings.margin else { return Ok(()) };
        if ticket.terms.reduce_only {
            return Ok(());
        }
        let (mut worth, mut used) = (margin.deposit, Cash::ZERO);
        for market in &self.markets {
            let Some(mark) = market.mark() else { continue };
            worth = worth + market.holding().worth(mark);
            used = used + (mark * market.holding().size).abs();
            for resting in market.open().filter(|resting| !resting.reduce_only) {
                used = used + resting.price * resting.leaves();
            }
        }
        let market = &self.markets[ticket.market.index()];
        let price = ticket.terms.price.or_else(|| market.mark()).unwrap_or(Price::ZERO);
        used = used + price * ticket.terms.size;
        let most = worth.0.saturating_mul(i128::from(margin.leverage));
        if used.0 > most { Err(Rejection::MarginShort) } else { Ok(()) }
    }

    fn open_in(&self, order: &Id) -> Result<MarketNo, Rejection> {
        match self.known.get(order) {
            Some(Known::Open { market, .. }) => Ok(*market),
            Some(Known::Over(_)) => Err(Rejection::OrderOver),
            None => Err(Rejection::OrderUnknown),
        }
    }

    fn amend(&mut self, order: &Id, price: Price, size: Size, at: Timestamp) -> Result<(Price, Size), Rejection> {
        if !self.orders.take(self.settings.rates.orders, at) {
            return Err(Rejection::RateLimited);
        }
        let market = self.open_in(order)?;
        let amended = self.markets[market.index()].amend(order, price, size, at, &mut self.happened)?;
        self.counts.amended += 1;
        self.known.insert(order.clone(), Known::Open { market, size });
        Ok(amended)
    }

    fn cancel(&mut self, order: &Id, at: Timestamp) -> Result<(), Rejection> {
        if !self.cancels.take(self.settings.rates.cancels, at) {
            return Err(Rejection::RateLimited);
        }
        if chance(&mut self.rng, self.settings.faults.cancel_rejects_permille) {
            return Err(Rejection::MadeUp(self.settings.faults.reject_as));
        }
        let market = self.open_in(order)?;
        if self.markets[market.index()].cancel(order, &mut self.happened) { Ok(()) } else { Err(Rejection::OrderOver) }
    }

    fn end_all(&mut self, market: Option<MarketNo>, why: Ended) {
        for (index, known) in self.markets.iter_mut().enumerate() {
            if market.is_none_or(|market| market.index() == index) {
                known.cancel_all(why, &mut self.happened);
            }
        }
    }

    fn state(&self, order: &Id) -> State {
        match self.known.get(order) {
            None => State::Unheard,
            Some(Known::Over(state)) => *state,
            Some(Known::Open { market, .. }) => match self.markets[market.index()].find(order) {
                Some(resting) => State::Open { leaves: resting.leaves(), filled: resting.filled },
                None => State::Unheard,
            },
        }
    }

    /// Remembers and reports what happened in the markets.
    fn settle(&mut self, at: Timestamp) {
        let mut happened = std::mem::take(&mut self.happened);
        for happened in happened.drain(..) {
            let what = self.told_of(happened);
            self.report(at, what);
        }
        self.happened = happened;
    }

    fn told_of(&mut self, happened: Happened<Id>) -> What<Id> {
        match happened {
            Happened::Filled(mut fill) => {
                self.fills += 1;
                fill.number = self.fills;
                if fill.leaves.0 <= 0 {
                    let filled = match self.known.get(&fill.order) {
                        Some(Known::Open { size, .. }) => *size,
                        _ => fill.size,
                    };
                    self.end(&fill.order, State::Filled { filled });
                }
                if self.recent.len() >= REMEMBERED_MAX {
                    self.recent.pop_front();
                }
                self.recent.push_back(fill.clone());
                What::Filled(fill)
            }
            Happened::Ended { order, leaves, filled, why } => {
                self.counts.cancelled += 1;
                self.end(&order, State::Cancelled { filled, why });
                What::Cancelled { order, leaves, why }
            }
        }
    }

    fn end(&mut self, order: &Id, state: State) {
        self.open = self.open.saturating_sub(1);
        self.known.insert(order.clone(), Known::Over(state));
        if self.over.len() >= REMEMBERED_MAX
            && let Some(oldest) = self.over.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.over.push_back(order.clone());
    }

    /// Reports arrive in the order in which they were sent.
    fn report(&mut self, at: Timestamp, what: What<Id>) {
        let back = self.settings.latency.back(&mut self.rng, self.feed);
        let last = self.to_desk.back().map_or(Timestamp(i64::MIN), |(at, _)| *at);
        self.to_desk.push_back(((at + back).max(last), Report { at, what }));
    }

    fn time_out(&mut self, request: &Request<Id>, sent_at: Timestamp) {
        self.counts.timed_out += 1;
        let at = sent_at + self.settings.timeout;
        let what = What::TimedOut { order: request.order().cloned(), asked: request.asked() };
        let behind = self.timeouts.iter().rev().take_while(|(known, _)| *known > at).count();
        self.timeouts.insert(self.timeouts.len() - behind, (at, Report { at, what }));
    }
}

fn chance(rng: &mut Rng, permille: u16) -> bool {
    permille > 0 && rng.permille(u64::from(permille))
}

#[inline]
fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// A bucket that fills evenly: what is in it, in millionths of a request.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    millionths: i64,
    at: Option<Timestamp>,
}

impl Bucket {
    const ONE: i64 = 1_000_000;

    fn full(rate: Option<Rate>) -> Self {
        Bucket { millionths: rate.map_or(0, |rate| i64::from(rate.at_once) * Self::ONE), at: None }
    }
    fn take(&mut self, rate: Option<Rate>, now: Timestamp) -> bool {
        let Some(rate) = rate else { return true };
        let gone = self.at.map_or(0, |at| now.since(at).0.max(0));
        self.at = Some(now);
        let filled = self.millionths.saturating_add(gone.saturating_mul(i64::from(rate.a_second)));
        self.millionths = filled.min(i64::from(rate.at_once) * Self::ONE);
        let enough = self.millionths >= Self::ONE;
        self.millionths -= if enough { Self::ONE } else { 0 };
        enough
    }
}

/// A hash that is quick and the same in every run. Nothing goes through a map that uses it, it is only asked.
#[derive(Debug, Clone, Default)]
struct Quick(u64);

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }
    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    fn write_u128(&mut self, word: u128) {
        self.write_u64(word as u64);
        self.write_u64((word >> 64) as u64);
    }
    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}

impl<Id> Paper<Id> {
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
    pub fn clock(&self) -> Timestamp {
        self.clock
    }
    /// Until when it waits for a sign of life.
    pub fn dead_man(&self) -> Option<Timestamp> {
        self.dead_man
    }
}
