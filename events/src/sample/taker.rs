//! Values of takers for tests: one event of every kind, with no two fields alike.

use super::{START, Word, credential, reason, user, uuid, word};
use crate::id::{MarketId, Principal, StrategyId};
use crate::market::{Cash, Price, Ratio, Size, Tick};
use crate::order::{ClientOrderId, Intent, Life, Purpose, Terms, TradeId, Way};
use crate::strategy::taker::*;
use crate::time::Span;
use crate::trade::Side;

fn strategy() -> StrategyId {
    StrategyId::new("eur_taker").unwrap()
}
fn market() -> MarketId {
    "paper:EURUSD".parse().unwrap()
}
pub fn order(index: u32) -> ClientOrderId {
    ClientOrderId::derive(&strategy(), uuid(0x7a4e_0000, 1), index, START)
}
pub fn trade_id() -> TradeId {
    TradeId(order(0))
}
fn price(text: &str) -> Price {
    text.parse().unwrap()
}

pub fn plan() -> Plan {
    Plan {
        stop: Some(price("0.00021")),
        adverse_max: Some(price("0.00035")),
        take: Some(price("0.00042")),
        time_stop: Some(Span::seconds(150)),
        losers_out: Some(Span::seconds(420)),
        partial: Some(Partial { at: price("0.00009"), share: "0.4".parse().unwrap(), stop_to: price("0.00006") }),
        lock: Some(Lock { from: price("0.00012"), share: "0.5".parse().unwrap() }),
    }
}

fn set(no: u32) -> Set {
    let family = AnyFamily::Ping(Ping { spread_max_pips: Ratio(700_000_000), ..Ping::default() });
    let host = Host { size: Size::whole(10), cooldown_ms: 45_000, ..Host::default() };
    let by = Principal::User(user("anna"));
    Set { no, by, comment: reason("a narrower spread"), settings: Settings { family, host } }
}

fn saw() -> Tick {
    Tick { at: START + Span::millis(40), bid: price("1.1001"), ask: price("1.10014") }
}

fn intent(purpose: Purpose) -> Intent {
    let is_entry = purpose == Purpose::Entry;
    let side = if is_entry { Side::Buy } else { Side::Sell };
    Intent {
        strategy: strategy(),
        market: market(),
        purpose,
        terms: Terms { side, size: Size::whole(7), price: None, post_only: false, reduce_only: !is_entry },
        trade: (!is_entry).then(trade_id),
        probability: is_entry.then(|| "0.62".parse().unwrap()),
        loss_exit: is_entry.then(|| price("1.09979")),
        valid_until: is_entry.then(|| START + Span::seconds(2)),
        why: "a burst over 0.00012".into(),
    }
}

pub fn proposed() -> EntryProposed {
    EntryProposed {
        logic: 1,
        order: order(0),
        intent: intent(Purpose::Entry),
        plan: plan(),
        set: 1,
        saw: saw(),
        bar: Some(START - Span::seconds(60)),
    }
}

/// One of every kind, in the order of their numbers, as they may follow each other in one stream.
pub fn samples() -> Vec<Event> {
    let peak = |price| Peak { trade: trade_id(), price };
    let step = |action| ExitStep { trade: trade_id(), action };
    let asked = ExitAction::Asked { order: order(1), intent: Box::new(intent(Purpose::Exit(Way::Partial))) };
    let filled = News::Filled { price: price("1.10015"), size: Size::whole(7), fee: Cash(350_000_000_000_000) };
    vec![
        Event::Registered(Registered { market: market(), set: Box::new(set(1)) }),
        Event::ParamsPut(ParamsPut { set: Box::new(set(2)) }),
        Event::ParamsActivated(ParamsActivated { set: 2, by: Principal::Token(credential(1)) }),
        Event::Removed(Removed {}),
        Event::Ticked(Ticked { leg: Leg::Entry, quiet: Quiet::SpreadWide, bar: Some(START - Span::seconds(60)) }),
        Event::EntryProposed(Box::new(proposed())),
        Event::ExitMarked(ExitMarked { peaks: vec![peak(price("1.10022"))], quiet: Quiet::Holds }),
        Event::ExitDecided(ExitDecided {
            logic: 1,
            saw: Some(saw()),
            peaks: vec![peak(price("1.10024"))],
            steps: vec![step(asked), step(ExitAction::StopMoved { to: price("1.1002") })],
        }),
        Event::OrderHeard(OrderHeard { trade: trade_id(), order: order(0), news: filled }),
        Event::TradeClosed(TradeClosed {
            trade: trade_id(),
            result: "0.0042".parse().unwrap(),
            way: Some(Way::Take),
            opened_at: START + Span::millis(90),
            is_corrected: true,
        }),
        Event::TradeCorrected(TradeCorrected { trade: trade_id(), held: Size::whole(3) }),
        Event::LegFailed(LegFailed { leg: Leg::Exit, why: "index out of bounds".into() }),
        Event::LegRestarted(LegRestarted { leg: Leg::Exit, by: Principal::Operator, why: reason("a new build") }),
    ]
}

/// Every value of the enums that its events hold.
pub fn words(words: &mut Vec<Word>) {
    words.extend(Quiet::ALL.iter().map(|quiet| word("taker_quiet", quiet)));
    words.extend(Leg::ALL.map(|leg| word("taker_leg", &leg)));
    let filled = News::Filled { price: Price::ONE, size: Size::ONE, fee: Cash(-1) };
    let news = [News::Submitted, News::Refused { code: "MARGIN".into() }, filled, News::Over { life: Life::Expired }];
    words.extend(news.map(|news| word("taker_news", &news)));
    let asked = ExitAction::Asked { order: order(1), intent: Box::new(intent(Purpose::Exit(Way::Stop))) };
    let moved = ExitAction::StopMoved { to: Price::ONE };
    let actions = [asked, moved, ExitAction::PartialSkipped, ExitAction::HeldBack { way: Way::Take }];
    words.extend(actions.map(|action| word("taker_exit_action", &action)));
    words.extend(AnyFamily::all().map(|family| word("taker_family", &family)));
}
