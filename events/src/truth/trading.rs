//! What decisions of strategies and venues look at in other streams. All of it is in the log before them, so that they follow from
//! it again.

use super::Truth;
use crate::answer::Denial;
use crate::event::Event;
use crate::id::{MarketId, StrategyId, StreamId, VenueId};
use crate::market::{Features, Instrument, Market, Phase};
use crate::order::{self, Purpose, QuoteSeen, Venue};
use crate::react::Effect;
use crate::strategy::guard::{Conditions, Degree, Guard, Sight, Why, Wish};
use crate::strategy::maker::{Look, Maker, Reason, Reasons, Working};
use crate::strategy::taker::{self, Allowed, Leg, Taker};
use crate::strategy::{Command, Refusal, Shape, Strategy};
use crate::stream::{Decision, Seen, Stamp, Stream};
use crate::time::{Span, Timestamp};
use std::sync::LazyLock;
use uuid::Uuid;

/// So often within so long a venue may fail us before makers take it for troubled.
const TROUBLES_MAX: usize = 3;
const TROUBLES_WITHIN: Span = Span::seconds(30);

/// What goes for strategies while nobody said anything: nothing is let in.
static UNGUARDED: LazyLock<Guard> = LazyLock::new(Guard::default);

impl Truth {
    pub(super) fn decide_venue(
        &self,
        id: &VenueId,
        command: &order::Command,
        seen: &Seen<'_>,
    ) -> Result<Decision<Event>, Denial> {
        let new = Venue::new(id.clone());
        let around = order::Around { guard: self.guarding(), markets: self };
        let decided = self.venue(id).unwrap_or(&new).decide(command.clone(), &around, seen);
        let Decision { events, mut effects } = decided.map_err(|refusal| refusal.denial())?;
        let asks = events.iter().filter_map(order::Ask::of);
        effects.extend(asks.map(|ask| Effect::VenueAsked { venue: id.clone(), ask: Box::new(ask) }));
        Ok(Decision { events: events.into_iter().map(Event::Venue).collect(), effects })
    }

    pub(super) fn decide_strategy(
        &self,
        id: &StrategyId,
        command: &Command,
        seen: &Seen<'_>,
    ) -> Result<Decision<Event>, Denial> {
        let new = Strategy::new(id.clone());
        let strategy = self.strategy(id).unwrap_or(&new);
        match (command, &strategy.shape) {
            (Command::Maker(command), Some(Shape::Maker(maker))) => maker_decides(maker, command, seen),
            (Command::Maker(command), None) => maker_decides(&Maker::new(id.clone()), command, seen),
            (Command::Taker(command), Some(Shape::Taker(taker))) => self.taker_decides(taker, command, seen),
            (Command::Taker(command), None) => self.taker_decides(&Taker::new(id.clone()), command, seen),
            (Command::Maker(_), Some(Shape::Taker(_))) => Err(Refusal::ShapeDiffers(id.clone(), "taker").denial()),
            (Command::Taker(_), Some(Shape::Maker(_))) => Err(Refusal::ShapeDiffers(id.clone(), "maker").denial()),
            (Command::Hear(heard), Some(Shape::Taker(taker))) => self.taker_hears(taker, heard, seen),
            (Command::Hear(_), _) => Ok(Decision::nothing()),
            (Command::Tick { .. }, _) if strategy.failed.is_some() => Ok(Decision::nothing()),
            (Command::Tick { .. }, Some(Shape::Maker(maker))) => Ok(self.maker_ticks(strategy, maker, seen)),
            (Command::Tick { cause }, Some(Shape::Taker(taker))) => self.taker_ticks(taker, *cause, seen),
            (
                Command::Tick { .. } | Command::BindEndpoint { .. } | Command::Fail { .. } | Command::Restart { .. },
                _,
            ) => {
                let events = strategy.decide(command, seen.now).map_err(|refusal| refusal.denial())?;
                Ok(Decision::from(events).map(Event::Strategy))
            }
        }
    }

    /// The guard, or one that lets nothing in.
    pub fn guarding(&self) -> &Guard {
        self.guard().unwrap_or(&UNGUARDED)
    }

    fn maker_ticks(&self, strategy: &Strategy, maker: &Maker, seen: &Seen<'_>) -> Decision<Event> {
        let Some(market) = &maker.market else { return Decision::nothing() };
        let now = seen.now;
        let (listened, venue) = (self.market(market), self.venue(&market.venue));
        let features = listened.map_or_else(Features::default, |listened| listened.features(now));
        let orders = venue.map(|venue| working(venue, &maker.id, market)).unwrap_or_default();
        let carried_through = self.slot_of(&StreamId::Venue(market.venue.clone())).map(|slot| slot.reacted);
        let confirmed_at = venue.and_then(|venue| venue.book.confirmed_at);
        let look = Look {
            features: &features,
            instrument: instrument(listened),
            warm: listened.is_some_and(|listened| matches!(listened.phase, Phase::Warm | Phase::Stale)),
            inventory: venue.and_then(|venue| venue.position(&maker.id, market, now).known()),
            carried_through: carried_through.unwrap_or_default(),
            outside: self.outside(strategy, venue, market, seen),
            none_left_at: confirmed_at.filter(|_| orders.is_empty()),
            orders: &orders,
        };
        Decision::from(maker.tick(&look, now)).map(Event::Maker)
    }

    /// What keeps a maker from quoting that it cannot see itself.
    fn outside(&self, strategy: &Strategy, venue: Option<&Venue>, market: &MarketId, seen: &Seen<'_>) -> Reasons {
        let mut outside = Reasons::NONE;
        for why in self.whys(&strategy.id, Wish::Entry, venue, market, seen) {
            let reason = match why {
                // It sees these for itself, by its own measure.
                Why::PositionsUnknown | Why::MarketStale => continue,
                Why::RiskHalt => Reason::RiskHalt,
                Why::ControlStale => Reason::ControlStale,
                Why::StrategyUnknown
                | Why::GlobalLock
                | Why::Stopped
                | Why::DeskEntryOff
                | Why::DeskExitOff
                | Why::DeskExpired
                | Why::EntryOff
                | Why::ExitOff
                | Why::Expired => Reason::Guard,
            };
            outside = outside.with(reason);
        }
        let troubled =
            |venue: &Venue| !venue.link.up || venue.troubles_since(seen.now - TROUBLES_WITHIN) >= TROUBLES_MAX;
        let unarmed = |venue: &Venue| {
            let wanted = venue.settings.as_ref().is_some_and(|settings| settings.dead_man);
            wanted && venue.dead_man.is_none_or(|until| until <= seen.now)
        };
        let serves = |id| self.endpoint(id).is_some_and(|it| it.is_there() && it.health.status.serves());
        let down = strategy.endpoint.is_some_and(|id| !serves(id));
        outside
            .with_if(venue.is_none_or(troubled), Reason::VenueErrors)
            .with_if(venue.is_some_and(unarmed), Reason::DeadManUnarmed)
            .with_if(down, Reason::EndpointDown)
    }

    fn whys(
        &self,
        strategy: &StrategyId,
        wish: Wish,
        venue: Option<&Venue>,
        market: &MarketId,
        seen: &Seen<'_>,
    ) -> Vec<Why> {
        let given = Conditions {
            now: seen.now,
            desk_stop: seen.stopped.map(Degree::of_desk),
            market: Sight::Fresh,
            positions: venue
                .map_or(crate::strategy::guard::Knowing::Unavailable, |venue| venue.knowing(Some(market), seen.now)),
            trade_known: true,
            risk_halted: venue.is_some_and(|venue| venue.risk.halted().is_some()),
        };
        self.guarding().whys(strategy, wish, &given)
    }

    fn taker_decides(
        &self,
        taker: &Taker,
        command: &taker::Command,
        seen: &Seen<'_>,
    ) -> Result<Decision<Event>, Denial> {
        let decided = self.with_around(taker, Uuid::nil(), seen, |around| taker.decide(command.clone(), seen, around));
        decided.map(|decision| decision.map(Event::Taker)).map_err(|refusal| refusal.denial())
    }

    /// One after the other, each on what the one before made of it.
    fn taker_hears(&self, taker: &Taker, heard: &[taker::Command], seen: &Seen<'_>) -> Result<Decision<Event>, Denial> {
        let at = self.stamp_now(seen.now);
        let mut then = taker.clone();
        let mut events = Vec::new();
        for command in heard {
            let decided = self.taker_decides(&then, command, seen)?;
            for event in decided.events {
                if let Event::Taker(event) = &event {
                    then.evolve(event, &at);
                }
                events.push(event);
            }
        }
        Ok(Decision::from(events))
    }

    /// Both legs, ENTRY first. Each sees what the other did.
    fn taker_ticks(&self, taker: &Taker, cause: Uuid, seen: &Seen<'_>) -> Result<Decision<Event>, Denial> {
        let at = self.stamp_now(seen.now);
        self.with_around(taker, cause, seen, |around| {
            let mut events = Vec::new();
            let mut then = None;
            for leg in Leg::ALL {
                let now = then.as_ref().unwrap_or(taker);
                let decided =
                    now.decide(taker::Command::Tick(leg), seen, around).map_err(|refusal| refusal.denial())?;
                if leg == Leg::Entry && !decided.events.is_empty() {
                    let mut after = taker.clone();
                    decided.events.iter().for_each(|event| after.evolve(event, &at));
                    then = Some(after);
                }
                events.extend(decided.events.into_iter().map(Event::Taker));
            }
            Ok(Decision::from(events))
        })
    }

    fn stamp_now(&self, now: Timestamp) -> Stamp {
        Stamp { position: self.position(), version: Default::default(), received_at: now, recorded_at: now }
    }

    fn with_around<R>(
        &self,
        taker: &Taker,
        cause: Uuid,
        seen: &Seen<'_>,
        with: impl FnOnce(&taker::Around<'_>) -> R,
    ) -> R {
        let listened = taker.market.as_ref().and_then(|market| self.market(market));
        let venue = taker.market.as_ref().and_then(|market| self.venue(&market.venue));
        let allows = |wish| match &taker.market {
            Some(market) => self.whys(&taker.id, wish, venue, market, seen).is_empty(),
            None => false,
        };
        let allowed = Allowed { entry: allows(Wish::Entry), exit: allows(Wish::Exit) };
        let around = listened.and_then(|listened| taker::Around::of(listened, seen.now, cause, allowed));
        with(&around.unwrap_or(taker::Around {
            cause,
            instrument: &PLAIN,
            ticks: &[],
            bars: [&[]; 5],
            quote_age: None,
            is_warm: false,
            allowed,
        }))
    }
}

impl order::Markets for Truth {
    fn quote(&self, market: &MarketId) -> Option<QuoteSeen> {
        let kept = self.market(market)?.quote?;
        Some(QuoteSeen { quote: kept.value, source_at: kept.source_at, received_at: kept.received_at })
    }
}

fn maker_decides(
    maker: &Maker,
    command: &crate::strategy::maker::Command,
    seen: &Seen<'_>,
) -> Result<Decision<Event>, Denial> {
    let decided = maker.decide(command.clone(), seen);
    decided.map(|decision| decision.map(Event::Maker)).map_err(|refusal| refusal.denial())
}

static PLAIN: LazyLock<Instrument> = LazyLock::new(Instrument::plain);

fn instrument(listened: Option<&Market>) -> &Instrument {
    listened.and_then(|listened| listened.settings.as_deref()).map_or(&PLAIN, |settings| &settings.instrument)
}

fn working(venue: &Venue, strategy: &StrategyId, market: &MarketId) -> Vec<Working> {
    let level = |purpose| match purpose {
        Purpose::Quote { level } | Purpose::Reduce { level } => Some(level),
        Purpose::Entry | Purpose::Exit(_) => None,
    };
    let working = venue.working(strategy, market).filter_map(|order| {
        Some(Working {
            id: order.id.clone(),
            side: order.terms.side,
            level: level(order.intent.purpose)?,
            price: order.terms.price.unwrap_or_default(),
            left: order.remaining(),
            life: order.life,
            since: order.submitted_at,
        })
    });
    working.collect()
}
