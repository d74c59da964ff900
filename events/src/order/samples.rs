//! One event of each kind of a venue's gateway, with no two fields alike.

use super::*;
use crate::id::{MarketId, Principal, StrategyId, Version};
use crate::market::{Bps, Cash, Instrument, Price, Ratio, Size};
use crate::sample::{START, Word, reason, user, word};
use crate::time::{Span, Timestamp};
use crate::trade::Side;

pub(crate) fn strategy(name: &str) -> StrategyId {
    StrategyId::new(name).unwrap()
}
pub(crate) fn market(text: &str) -> MarketId {
    text.parse().unwrap()
}
pub(crate) fn price(text: &str) -> Price {
    text.parse().unwrap()
}
pub(crate) fn units(text: &str) -> Size {
    text.parse().unwrap()
}
pub(crate) fn cash(text: &str) -> Cash {
    text.parse().unwrap()
}
/// The strategy's order of this number.
pub(crate) fn order(of: &str, number: u32) -> ClientOrderId {
    let cause = uuid::Uuid::from_u128(0x0cde_5000 << 96 | u128::from(number));
    ClientOrderId::derive(&strategy(of), cause, 0, START + Span::seconds(number.into()))
}

pub(crate) fn instrument() -> Instrument {
    Instrument {
        tick: price("0.5"),
        step: units("0.001"),
        size_min: units("0.002"),
        size_max: Some(units("50")),
        notional_min: Some(Cash::whole(10)),
        pip: price("1"),
        fee_maker: -50,
        fee_taker: 450,
        deltas_add: true,
    }
}

/// With nothing as it is by default.
pub(crate) fn settings() -> Settings {
    Settings {
        limits: Limits {
            units_max: units("3"),
            units_max_of: [(market("paper:ETH-USD"), units("40"))].into(),
            loss_per_trade_max: Cash::whole(250),
            drawdown_day_max: Cash::whole(750),
            drawdown_total_max: Cash::whole(2_500),
            exposure_max: Some(Cash::whole(200_000)),
            direction_max: Some(Cash::whole(150_000)),
            leverage: Some(5),
            orders_max: 64,
            halt_flattens: true,
        },
        rate: Rate { per_second: 20, burst: 60, reserve: 15 },
        data_age_max_ms: 2_500,
        positions_age_max_ms: 25_000,
        unknown_grace_ms: 12_000,
        dead_man: true,
        guardian: GuardianSettings { time_stop_ms: 600_000, escalate_after_ms: 20_000, escalate_after_tries: 4 },
    }
}

fn bounds() -> Bounds {
    Bounds {
        shape: Shape::Taker { loss_exit: true },
        open_max: 2,
        units_max: units("1.5"),
        exposure_max: Some(Cash::whole(90_000)),
        loss_max: Cash::whole(120),
        cooldown_ms: 5_000,
        reentry_ms: 60_000,
        spread_max: Some(Bps::whole(4)),
        probability_min: Ratio(550_000_000),
    }
}

pub(crate) fn intent() -> Intent {
    Intent {
        strategy: strategy("btc_ping"),
        market: market("paper:BTC-USD"),
        purpose: Purpose::Entry,
        terms: Terms {
            side: Side::Buy,
            size: units("0.75"),
            price: Some(price("60000.5")),
            post_only: false,
            reduce_only: false,
        },
        trade: None,
        probability: Some("0.8".parse().unwrap()),
        loss_exit: Some(price("59800")),
        valid_until: Some(START + Span::seconds(9)),
        why: "momentum burst".into(),
    }
}

pub(crate) fn execution(id: &str, side: Side, size: &str, at: &str) -> Execution {
    Execution {
        id: id.into(),
        side,
        price: price(at),
        size: units(size),
        fee: cash("0.27"),
        liquidity: Liquidity::Taker,
        at: START,
    }
}

pub(crate) fn samples() -> Vec<Event> {
    let (btc, ping) = (market("paper:BTC-USD"), strategy("btc_ping"));
    let (one, two) = (order("btc_ping", 1), order("btc_ping", 2));
    let trade = TradeId(one.clone());
    let foreign = ListedOrder {
        order: None,
        venue_order: "x-99".into(),
        market: btc.clone(),
        side: Side::Sell,
        price: Some(price("61000")),
        size: units("0.3"),
        filled: units("0.1"),
    };
    let guard = Finding { check: Check::Guard, observed: Measure::Code("entry_off".into()), limit: Measure::Nothing };
    let submitted = OrderSubmitted {
        order: one.clone(),
        intent: Box::new(intent()),
        terms: Terms { size: units("0.6"), ..intent().terms },
        steps: vec![Step { check: Check::Probability, from: units("0.75"), to: units("0.6") }],
        control: Version(17),
    };
    let finding =
        Finding { check: Check::SpreadCap, observed: Measure::Bps(Bps::whole(7)), limit: Measure::Bps(Bps::whole(4)) };
    let filled = OrderFilled {
        order: Some(one.clone()),
        owner: Owner::Trade(trade.clone()),
        market: btc.clone(),
        execution: execution("t-1", Side::Buy, "0.2", "60000"),
        left: units("0.2"),
    };
    let doubted =
        FillDoubted { order: None, market: btc.clone(), execution: execution("t-0", Side::Sell, "0.4", "59000.5") };
    let blocked = ExitBlocked {
        strategy: ping.clone(),
        market: btc.clone(),
        trade: Some(trade.clone()),
        way: Way::Take,
        finding: guard,
    };
    let by = Principal::User(user("anna"));
    vec![
        Event::Opened(Opened { settings: Box::new(settings()) }),
        Event::SettingsChanged(SettingsChanged { settings: Box::default() }),
        Event::MarketListed(MarketListed { market: btc.clone(), instrument: Box::new(instrument()) }),
        Event::SessionChanged(SessionChanged { market: btc.clone(), open: false }),
        Event::StrategyBound(Box::new(StrategyBound { strategy: ping.clone(), bounds: bounds() })),
        Event::StrategyUnbound(StrategyUnbound { strategy: strategy("eth_maker") }),
        Event::ControlAcknowledged(ControlAcknowledged { revision: Version(18) }),
        Event::LinkChanged(LinkChanged { up: true, why: "logged in".into() }),
        Event::DeadManArmed(DeadManArmed { until: START + Span::seconds(30) }),
        Event::DeadManFailed(DeadManFailed { why: "no permission".into() }),
        Event::OrderSubmitted(Box::new(submitted)),
        Event::OrderRefused(Box::new(OrderRefused { order: two.clone(), intent: Box::new(intent()), finding })),
        Event::OrderAccepted(OrderAccepted { order: one.clone(), venue_order: Some("v-7".into()) }),
        Event::OrderRejected(OrderRejected {
            order: two.clone(),
            category: Category::Margin,
            detail: "too little".into(),
        }),
        Event::OrderUnknown(OrderUnknown { order: one.clone() }),
        Event::OrderResolved(OrderResolved { order: one.clone(), found: Found::There { venue_order: None } }),
        Event::OrderFilled(Box::new(filled)),
        Event::OrderEnded(OrderEnded { order: one.clone(), how: Ending::Gone, filled: units("0.2") }),
        Event::CancelRequested(CancelRequested { order: one.clone(), why: Why::Superseded }),
        Event::CancelRejected(CancelRejected {
            order: one.clone(),
            category: Category::Network,
            detail: "no reply".into(),
        }),
        Event::AmendRequested(AmendRequested { order: one.clone(), price: price("60001"), size: units("0.5") }),
        Event::Amended(Amended { order: one.clone(), price: price("60001.5"), size: units("0.4") }),
        Event::AmendRejected(AmendRejected { order: two, category: Category::Price, detail: "off tick".into() }),
        Event::OrderTold(OrderTold { order: one, filled: units("0.25") }),
        Event::FillDoubted(Box::new(doubted)),
        Event::PositionAdjusted(PositionAdjusted {
            market: btc.clone(),
            owner: Owner::Inventory(strategy("btc_maker")),
            by: units("-0.05"),
            why: Adjustment::Person { reason: reason("closed by hand"), by: by.clone() },
        }),
        Event::PositionsConfirmed(PositionsConfirmed { asked_at: Timestamp(START.0 - 70_000) }),
        Event::PositionDiffers(PositionDiffers {
            market: btc.clone(),
            ours: units("0.2"),
            theirs: Some(units("0.15")),
            asked_at: Timestamp(START.0 - 60_000),
        }),
        Event::Reconciled(Reconciled { orders: 3, fills: 2, differences: 1 }),
        Event::ForeignOrdersSeen(ForeignOrdersSeen { orders: vec![foreign] }),
        Event::StrategyOrphaned(StrategyOrphaned { strategy: ping.clone(), why: Orphaned::LegSilent }),
        Event::StrategyAdopted(StrategyAdopted { strategy: ping.clone() }),
        Event::ExitBlocked(Box::new(blocked)),
        Event::ExitEscalated(ExitEscalated { strategy: ping, market: btc, trade: Some(trade), tries: 3 }),
        Event::AccountSeen(AccountSeen { equity: cash("10500.5"), margin_free: Some(cash("9000")) }),
        Event::DayBegan(DayBegan { day: 20_484, equity: cash("11000.25") }),
        Event::RiskHalted(RiskHalted { halt: Halt::Day, observed: cash("800"), limit: cash("750") }),
        Event::RiskCleared(RiskCleared { reason: reason("understood"), by }),
    ]
}

pub(crate) fn words(words: &mut Vec<Word>) {
    words.extend(Check::ALL.map(|check| word("order_check", &check)));
    words.extend(Category::ALL.map(|category| word("order_category", &category)));
    let measures = [
        Measure::Nothing,
        Measure::Count(3),
        Measure::Span(Span::millis(5)),
        Measure::Time(START),
        Measure::Size(units("1.5")),
        Measure::Price(price("2.5")),
        Measure::Cash(cash("3.5")),
        Measure::Bps(Bps::whole(4)),
        Measure::Ratio(Ratio::whole(1)),
        Measure::Code("closed".into()),
    ];
    words.extend(measures.map(|measure| word("measure", &measure)));
    use Why as Because;
    let whys = [
        Because::Strategy,
        Because::Operator,
        Because::Control,
        Because::RiskHalt,
        Because::Orphaned,
        Because::Superseded,
        Because::TradeEnding,
        Because::NothingHeld,
    ];
    words.extend(whys.map(|why| word("cancel_why", &why)));
    words.extend([Ending::Cancelled, Ending::Expired, Ending::Gone].map(|how| word("order_ending", &how)));
    let orphaned = [Orphaned::Unbound, Orphaned::LegSilent, Orphaned::Failed, Orphaned::Unknown];
    words.extend(orphaned.map(|why| word("orphaned", &why)));
    words.extend([Halt::Day, Halt::Total].map(|halt| word("risk_halt", &halt)));
    words.extend(
        [Found::There { venue_order: Some("v".into()) }, Found::Never].map(|found| word("order_found", &found)),
    );
    let owner = TradeId(order("a", 1));
    let owners = [Owner::Nobody, Owner::Inventory(strategy("a")), Owner::Trade(owner)];
    words.extend(owners.map(|owner| word("position_owner", &owner)));
    words.extend([Shape::Maker, Shape::Taker { loss_exit: true }].map(|shape| word("strategy_shape", &shape)));
    words.extend([Liquidity::Maker, Liquidity::Taker].map(|liquidity| word("liquidity", &liquidity)));
    let ways = [
        Way::Take,
        Way::Partial,
        Way::Trail,
        Way::Signal,
        Way::Stop,
        Way::MaxAdverse,
        Way::TimeStop,
        Way::RiskFlatten,
        Way::Orphan,
    ];
    words.extend(ways.map(|way| word("exit_way", &way)));
    let purposes = [Purpose::Quote { level: 1 }, Purpose::Reduce { level: 2 }, Purpose::Entry];
    words.extend(purposes.map(|purpose| word("order_purpose", &purpose)));
    words.push(word("adjustment", &Adjustment::Reconciled));
}
