//! What follows from markets, strategies, venues and the guard in one another.

use super::cause;
use crate::desk;
use crate::endpoint;
use crate::envelope::Record;
use crate::event::Event;
use crate::id::{EndpointId, MarketId, StrategyId, StreamId, VenueId};
use crate::market::{self, DealKind};
use crate::order::{self, ClientOrderId, Owner, Purpose, TradeId};
use crate::strategy::guard::{self, Flags};
use crate::strategy::taker::{ExitAction, Leg, News};
use crate::strategy::{self, Shape, Strategy, maker, taker};
use crate::time::{Span, Timestamp};
use crate::truth::{Command, Truth};

type Wanted = Vec<(StreamId, Command)>;

/// What follows from an event of a stream that has to do with strategies, or of one that they depend on.
pub(super) fn of(truth: &Truth, record: &Record, id: &StreamId) -> Wanted {
    match (id, &record.event) {
        (StreamId::Market(market), Event::Market(event)) => of_market(truth, record, market, event),
        (StreamId::Strategy(strategy), Event::Maker(event)) => of_maker(truth, record, strategy, event),
        (StreamId::Strategy(strategy), Event::Taker(event)) => of_taker(truth, strategy, event),
        (StreamId::Strategy(id), Event::Strategy(event)) => of_strategy(truth, record, id, event),
        (StreamId::Venue(venue), Event::Venue(event)) => of_venue(truth, record, venue, event),
        (StreamId::Guard, Event::Guard(event)) => of_guard(truth, record, event),
        (StreamId::Endpoint(id), Event::Endpoint(endpoint::Event::StatusChanged(_))) => bound_to(truth, record, *id),
        (
            StreamId::Desk,
            Event::Desk(
                desk::Event::Stopped(_) | desk::Event::Resumed(_) | desk::Event::Locked(_) | desk::Event::Unlocked(_),
            ),
        ) => everybody(truth, record, order::Command::Watch),
        _ => Vec::new(),
    }
}

fn tick(truth: &Truth, record: &Record, strategy: &StrategyId) -> (StreamId, Command) {
    let cause = cause(truth, record);
    (StreamId::Strategy(strategy.clone()), Command::Strategy(strategy::Command::Tick { cause }))
}

fn to_venue(venue: &VenueId, command: order::Command) -> (StreamId, Command) {
    (StreamId::Venue(venue.clone()), Command::Venue(command))
}

/// The venue of a strategy's market.
fn venue_of<'a>(truth: &'a Truth, strategy: &StrategyId) -> Option<&'a VenueId> {
    let market = truth.strategy(strategy)?.market()?;
    truth.venue(&market.venue).map(|venue| &venue.id)
}

fn of_market(truth: &Truth, record: &Record, market: &MarketId, event: &market::Event) -> Wanted {
    let concerned = truth.strategies_of(market).filter(|strategy| looks_at(truth, record, strategy, event));
    let mut wanted: Wanted = concerned.map(|strategy| tick(truth, record, &strategy.id)).collect();
    if let (market::Event::Set(set), Some(venue)) = (event, truth.venue(&market.venue)) {
        let instrument = Box::new(set.settings.instrument.clone());
        let market = market.clone();
        wanted.push(to_venue(&venue.id, order::Command::ListMarket { market, instrument }));
    }
    wanted
}

/// What may change what a strategy decides. Quotes are looked at once in a tick's length; what makes a maker careful, at once.
fn looks_at(truth: &Truth, record: &Record, strategy: &Strategy, event: &market::Event) -> bool {
    use market::Event as Fact;
    let now = record.recorded_at;
    match (&strategy.shape, event) {
        (None, _) => false,
        (Some(Shape::Maker(maker)), Fact::QuoteSeen(_)) => {
            let every = maker.parameters().map_or(Span::seconds(1), maker::Parameters::tick);
            let ticks = maker.market.as_ref().and_then(|market| truth.market(market)).map(|market| market.ticks());
            let before = ticks.and_then(|ticks| ticks.len().checked_sub(2).map(|place| ticks[place].at));
            before.is_none_or(|before| slice(before, every) != slice(now, every))
        }
        (Some(Shape::Maker(_)), Fact::DealSeen(seen)) => seen.deal.kind != DealKind::Normal,
        (Some(Shape::Maker(_)), Fact::MarkSeen(_) | Fact::IndexSeen(_)) => true,
        (Some(Shape::Taker(taker)), Fact::QuoteSeen(_)) => Leg::ALL.iter().any(|leg| taker.is_due(*leg, now)),
        (Some(Shape::Taker(_)), Fact::BarsClosed(_)) => true,
        (Some(_), Fact::PhaseChanged(_) | Fact::Set(_) | Fact::Removed(_)) => true,
        (
            Some(_),
            Fact::DealSeen(_)
            | Fact::MarkSeen(_)
            | Fact::IndexSeen(_)
            | Fact::FundingSeen(_)
            | Fact::BookSeen(_)
            | Fact::BookChanged(_)
            | Fact::BookLost(_)
            | Fact::BarsClosed(_)
            | Fact::BarsSeeded(_)
            | Fact::UnusedCounted(_)
            | Fact::RawSeen(_),
        ) => false,
    }
}

fn slice(at: Timestamp, every: Span) -> i64 {
    at.0.div_euclid(every.0.max(1))
}

fn of_maker(truth: &Truth, record: &Record, id: &StrategyId, event: &maker::Event) -> Wanted {
    let venue = venue_of(truth, id);
    match (event, venue) {
        (maker::Event::Opened(_), _) => vec![enroll(id)],
        (maker::Event::Closed(_), venue) => withdraw(id, venue),
        (maker::Event::Decided(decided), Some(venue)) => {
            let Some(market) = truth.strategy(id).and_then(Strategy::market) else { return Vec::new() };
            let cause = cause(truth, record);
            // Cancels first: what is placed may need the room.
            let cancels = decided
                .cancel
                .iter()
                .map(|cancel| order::Command::Cancel { order: cancel.order.clone(), by: Some(id.clone()) });
            let name = |index| ClientOrderId::derive(id, cause, index, record.recorded_at);
            let intents = decided
                .intents(id, market)
                .zip(0..)
                .map(|(intent, index)| order::Command::Submit { order: name(index), intent: Box::new(intent) });
            let commands: Vec<_> = cancels.chain(intents).collect();
            if commands.is_empty() { Vec::new() } else { vec![to_venue(venue, order::Command::Several(commands))] }
        }
        (
            maker::Event::ParametersSet(_)
            | maker::Event::ParametersActivated(_)
            | maker::Event::ModeChanged(_)
            | maker::Event::ReasonsChanged(_)
            | maker::Event::Decided(_)
            | maker::Event::Drained(_)
            | maker::Event::Ticked(_),
            _,
        ) => Vec::new(),
    }
}

fn of_taker(truth: &Truth, id: &StrategyId, event: &taker::Event) -> Wanted {
    let Some(venue) = venue_of(truth, id) else {
        return if let taker::Event::Registered(_) = event { vec![enroll(id)] } else { Vec::new() };
    };
    let orphan = |why| vec![to_venue(venue, order::Command::Orphan { strategy: id.clone(), why })];
    match event {
        taker::Event::Registered(_) => vec![enroll(id)],
        taker::Event::Removed(_) => withdraw(id, Some(venue)),
        taker::Event::EntryProposed(proposed) => {
            let (order, intent) = (proposed.order.clone(), Box::new(proposed.intent.clone()));
            vec![to_venue(venue, order::Command::Submit { order, intent })]
        }
        taker::Event::ExitDecided(decided) => {
            let asked = decided.steps.iter().filter_map(|step| match &step.action {
                ExitAction::Asked { order, intent } => {
                    Some(order::Command::Submit { order: order.clone(), intent: intent.clone() })
                }
                ExitAction::StopMoved { .. } | ExitAction::PartialSkipped | ExitAction::HeldBack { .. } => None,
            });
            let commands: Vec<_> = asked.collect();
            if commands.is_empty() { Vec::new() } else { vec![to_venue(venue, order::Command::Several(commands))] }
        }
        taker::Event::LegFailed(failed) if failed.leg == Leg::Exit => orphan(order::Orphaned::Failed),
        taker::Event::LegRestarted(started) if started.leg == Leg::Exit => {
            vec![to_venue(venue, order::Command::Adopt { strategy: id.clone() })]
        }
        taker::Event::ParamsPut(_)
        | taker::Event::ParamsActivated(_)
        | taker::Event::Ticked(_)
        | taker::Event::ExitMarked(_)
        | taker::Event::OrderHeard(_)
        | taker::Event::TradeClosed(_)
        | taker::Event::TradeCorrected(_)
        | taker::Event::LegFailed(_)
        | taker::Event::LegRestarted(_) => Vec::new(),
    }
}

fn of_strategy(truth: &Truth, record: &Record, id: &StrategyId, event: &strategy::Event) -> Wanted {
    let venue = venue_of(truth, id);
    match (event, venue) {
        (strategy::Event::EndpointBound(_), _) => vec![tick(truth, record, id)],
        (strategy::Event::Failed(_), Some(venue)) => {
            let why = order::Orphaned::Failed;
            vec![to_venue(venue, order::Command::Orphan { strategy: id.clone(), why })]
        }
        (strategy::Event::Restarted(_), Some(venue)) => {
            vec![to_venue(venue, order::Command::Adopt { strategy: id.clone() })]
        }
        (strategy::Event::Failed(_) | strategy::Event::Restarted(_), None) => Vec::new(),
    }
}

/// It may leave and not enter until somebody says so.
fn enroll(id: &StrategyId) -> (StreamId, Command) {
    let by = crate::id::Principal::Desk;
    let command = guard::Command::Enroll { strategy: id.clone(), flags: Flags::EXIT_ONLY, by };
    (StreamId::Guard, Command::Guard(command))
}

fn withdraw(id: &StrategyId, venue: Option<&VenueId>) -> Wanted {
    let mut wanted = vec![(StreamId::Guard, Command::Guard(guard::Command::Withdraw { strategy: id.clone() }))];
    wanted.extend(venue.map(|venue| to_venue(venue, order::Command::Unbind { strategy: id.clone() })));
    wanted
}

fn of_venue(truth: &Truth, record: &Record, id: &VenueId, event: &order::Event) -> Wanted {
    use order::Event as Fact;
    let hears = |order: &ClientOrderId, news: News| hear(truth, record, id, order, news);
    match event {
        Fact::OrderSubmitted(submitted) => hears(&submitted.order, News::Submitted),
        Fact::OrderRefused(refused) => {
            let trade = trade_of(&refused.order, refused.intent.purpose, refused.intent.trade.as_ref());
            let code = refused.finding.check.code().into();
            told(truth, record, &refused.order, trade, News::Refused { code })
        }
        Fact::OrderFilled(filled) => match &filled.order {
            Some(order) => {
                let order::Execution { price, size, fee, .. } = filled.execution;
                let mut wanted = hears(order, News::Filled { price, size, fee });
                // The last fill is the end of its order, too.
                for (_, command) in over(truth, record, id, order) {
                    match (wanted.first_mut().map(|(_, first)| first), command) {
                        (
                            Some(Command::Strategy(strategy::Command::Hear(heard))),
                            Command::Strategy(strategy::Command::Hear(more)),
                        ) => heard.extend(more),
                        _ => break,
                    }
                }
                wanted
            }
            None => Vec::new(),
        },
        Fact::OrderRejected(rejected) => over(truth, record, id, &rejected.order),
        Fact::OrderEnded(ended) => over(truth, record, id, &ended.order),
        Fact::OrderResolved(resolved) => over(truth, record, id, &resolved.order),
        Fact::PositionAdjusted(adjusted) => corrected(truth, record, id, adjusted),
        Fact::LinkChanged(_)
        | Fact::DeadManFailed(_)
        | Fact::PositionDiffers(_)
        | Fact::Reconciled(_)
        | Fact::RiskHalted(_)
        | Fact::RiskCleared(_) => {
            let there =
                truth.strategies().filter(|strategy| strategy.market().is_some_and(|market| market.venue == *id));
            there.map(|strategy| tick(truth, record, &strategy.id)).collect()
        }
        Fact::PositionsConfirmed(_) => {
            let drains = |strategy: &&Strategy| {
                let maker = strategy.maker().filter(|maker| maker.mode == maker::Mode::Pause && !maker.drained);
                maker.and_then(|maker| maker.market.as_ref()).is_some_and(|market| market.venue == *id)
            };
            truth.strategies().filter(drains).map(|strategy| tick(truth, record, &strategy.id)).collect()
        }
        Fact::StrategyBound(bound) => vec![tick(truth, record, &bound.strategy)],
        Fact::StrategyUnbound(unbound) => vec![tick(truth, record, &unbound.strategy)],
        Fact::Opened(_)
        | Fact::SettingsChanged(_)
        | Fact::MarketListed(_)
        | Fact::SessionChanged(_)
        | Fact::ControlAcknowledged(_)
        | Fact::DeadManArmed(_)
        | Fact::OrderAccepted(_)
        | Fact::OrderUnknown(_)
        | Fact::CancelRequested(_)
        | Fact::CancelRejected(_)
        | Fact::AmendRequested(_)
        | Fact::Amended(_)
        | Fact::AmendRejected(_)
        | Fact::OrderTold(_)
        | Fact::FillDoubted(_)
        | Fact::ForeignOrdersSeen(_)
        | Fact::StrategyOrphaned(_)
        | Fact::StrategyAdopted(_)
        | Fact::ExitBlocked(_)
        | Fact::ExitEscalated(_)
        | Fact::AccountSeen(_)
        | Fact::DayBegan(_) => Vec::new(),
    }
}

/// The trade that an order of a taker is of.
fn trade_of(order: &ClientOrderId, purpose: Purpose, trade: Option<&TradeId>) -> Option<TradeId> {
    match purpose {
        Purpose::Entry => Some(TradeId(order.clone())),
        Purpose::Exit(_) => trade.cloned(),
        Purpose::Quote { .. } | Purpose::Reduce { .. } => None,
    }
}

fn hear(truth: &Truth, record: &Record, id: &VenueId, order: &ClientOrderId, news: News) -> Wanted {
    let Some(known) = truth.venue(id).and_then(|venue| venue.order(order)) else { return Vec::new() };
    let trade = trade_of(order, known.intent.purpose, known.intent.trade.as_ref());
    told(truth, record, order, trade, news)
}

fn over(truth: &Truth, record: &Record, id: &VenueId, order: &ClientOrderId) -> Wanted {
    match truth.venue(id).and_then(|venue| venue.order(order)) {
        Some(known) if known.life.is_over() => hear(truth, record, id, order, News::Over { life: known.life }),
        _ => Vec::new(),
    }
}

/// A taker hears of each of its orders; a maker looks again where something became of one.
fn told(truth: &Truth, record: &Record, order: &ClientOrderId, trade: Option<TradeId>, news: News) -> Wanted {
    match (truth.strategy(&order.strategy).and_then(|strategy| strategy.shape.as_ref()), trade, &news) {
        (Some(Shape::Taker(_)), Some(trade), _) => {
            let heard = vec![taker::Command::HearOrder { trade, order: order.clone(), news }];
            vec![(StreamId::Strategy(order.strategy.clone()), Command::Strategy(strategy::Command::Hear(heard)))]
        }
        (Some(Shape::Maker(_)), _, News::Filled { .. } | News::Over { .. }) => {
            vec![tick(truth, record, &order.strategy)]
        }
        _ => Vec::new(),
    }
}

fn corrected(truth: &Truth, record: &Record, id: &VenueId, adjusted: &order::PositionAdjusted) -> Wanted {
    match &adjusted.owner {
        Owner::Nobody => Vec::new(),
        Owner::Inventory(strategy) => vec![tick(truth, record, strategy)],
        Owner::Trade(trade) => {
            let held = truth.venue(id).map(|venue| venue.book.of(&adjusted.market, &adjusted.owner).abs());
            let command = taker::Command::CorrectTrade { trade: trade.clone(), held: held.unwrap_or_default() };
            let strategy = trade.0.strategy.clone();
            vec![(StreamId::Strategy(strategy), Command::Strategy(strategy::Command::Taker(command)))]
        }
    }
}

fn of_guard(truth: &Truth, record: &Record, event: &guard::Event) -> Wanted {
    match event {
        guard::Event::Beaten(_) | guard::Event::Enrolled(_) | guard::Event::Withdrawn(_) => Vec::new(),
        guard::Event::Changed(_) | guard::Event::Expired(_) | guard::Event::Stopped(_) | guard::Event::Resumed(_) => {
            everybody(truth, record, order::Command::AcknowledgeControl)
        }
    }
}

/// Every venue is told, and every strategy looks again.
fn everybody(truth: &Truth, record: &Record, command: order::Command) -> Wanted {
    let venues = truth.venues().map(|venue| to_venue(&venue.id, command.clone()));
    let strategies = truth.strategies().filter(|strategy| strategy.is_open());
    venues.chain(strategies.map(|strategy| tick(truth, record, &strategy.id))).collect()
}

fn bound_to(truth: &Truth, record: &Record, endpoint: EndpointId) -> Wanted {
    let bound = truth.strategies().filter(|strategy| strategy.endpoint == Some(endpoint));
    bound.map(|strategy| tick(truth, record, &strategy.id)).collect()
}

#[cfg(test)]
mod tests;
