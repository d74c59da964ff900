//! Values of trading for tests.

use super::{START, Word, account_id, reason, uuid, word};
use crate::account::protection as limits;
use crate::account::{self, AccountSettings, Drift};
use crate::copy::book::{Copy, Leg, LegState};
use crate::copy::settings::{
    AboveMax, BelowMin, LateOpens, Layer, Levels, Mapping, Mode, Naming, Overrides, Sides, SyncMode, Volume, WindDown,
};
use crate::copy::{Block, LOGIC, Origin, Plan, Rule, Step, StopDegree, Verdict};
use crate::id::Position;
use crate::money::{Factor, Lots, Money, Number, Price};
use crate::reason::{RuntimeStatus, Warning, Warnings};
use crate::time::{Span, Timestamp};
use crate::trade::{
    Affixes, Change, Contract, Entry, Holding, Instruction, Order, OrderId, OrderReason, OrderResult, Outcome, Side,
    Stamps, Symbol, Ticket, Trade,
};
use std::collections::BTreeMap;

pub fn symbol(text: &str) -> Symbol {
    Symbol::new(text).unwrap()
}
pub fn lots(text: &str) -> Lots {
    text.parse().unwrap()
}
pub fn price(text: &str) -> Price {
    text.parse().unwrap()
}
pub fn money(text: &str) -> Money {
    text.parse().unwrap()
}
pub fn factor(text: &str) -> Factor {
    text.parse().unwrap()
}
fn number(text: &str) -> Number {
    text.parse().unwrap()
}
pub fn order_id(number: u64) -> OrderId {
    OrderId(uuid(0x04de_0000, number))
}
fn at(seconds: i64) -> Timestamp {
    START + Span::seconds(seconds)
}

/// 100,000 of the base in a lot, in steps of 0.01.
pub fn contract() -> Contract {
    Contract {
        lots_step: lots("0.01"),
        lots_min: lots("0.01"),
        lots_max: lots("100"),
        size: factor("100000"),
        digits: 5,
        tick_value: money("1"),
        tick_size: price("0.00001"),
    }
}

/// Half a lot of EURUSD bought at once, with stop-loss and take-profit.
pub fn trade(ticket: u64) -> Trade {
    Trade {
        ticket: Ticket(ticket),
        symbol: symbol("EURUSD"),
        side: Side::Buy,
        entry: Entry::Market,
        lots: lots("0.5"),
        price: price("1.0845"),
        sl: Some(price("1.08")),
        tp: Some(price("1.095")),
        magic: -7,
        comment: "breakout".into(),
    }
}

pub fn affixes() -> Affixes {
    Affixes {
        prefix: "m.".into(),
        suffix: ".pro".into(),
        specials: BTreeMap::from([(symbol("XAUUSD"), symbol("GOLD#"))]),
    }
}

/// Every setting, so that one that is new must be named here.
pub fn overrides() -> Overrides {
    Overrides {
        mode: Some(Mode::Live),
        signal_age_max_ms: Some(4_000),
        late_opens: Some(LateOpens::Pending { expires_ms: 60_001 }),
        sides: Some(Sides::Buy),
        symbols_allow: Some(["EURUSD", "GBPUSD"].map(symbol).into()),
        symbols_deny: Some([symbol("XAUUSD")].into()),
        magics_allow: Some([-1, 20].into()),
        magics_deny: Some([30].into()),
        comment_contains: Some(vec!["breakout".into()]),
        comment_excludes: Some(vec!["test".into(), "by hand".into()]),
        copy_pending: Some(false),
        source_lots_min: Some(lots("0.02")),
        source_lots_max: Some(lots("50")),
        symbol_map: Some(vec![Mapping { from: symbol("DE40"), to: symbol("GER40.cash") }]),
        synonyms: Some(vec![vec![symbol("XAUUSD"), symbol("GOLD")]]),
        master_affixes: Some(Naming::Fixed { prefix: "p.".into(), suffix: ".s".into() }),
        slave_affixes: Some(Naming::Reported),
        reverse: Some(true),
        volume: Some(Volume::RatioEquity(factor("1.5"))),
        currency_rate: Some(factor("1.08")),
        figures_age_max_ms: Some(30_000),
        below_min: Some(BelowMin::Force),
        above_max: Some(AboveMax::Split),
        lots_total_max: Some(lots("12")),
        positions_max: Some(9),
        positions_per_symbol_max: Some(4),
        slippage_max: Some(price("0.0003")),
        retries_max: Some(2),
        copy_sl: Some(Levels::Distance),
        copy_tp: Some(Levels::Off),
        sync_mode: Some(SyncMode::MarketOrder { distance_max: price("0.002") }),
        wind_down: Some(WindDown::CloseOnlyBySymbol),
        closes_when_off: Some(false),
        order_deadline_ms: Some(8_000),
    }
}

pub fn rules() -> limits::Rules {
    use limits::*;
    Rules {
        trading_day: TradingDay { zone: "America/New_York".into(), reset: TimeOfDay::new(17, 30).unwrap() },
        warn_at_percent: 75,
        daily_loss: Some(Daily {
            amount: Amount::Percent(factor("5")),
            from: DayStart::Balance,
            action: Action::Flatten,
            lasts: Lasts::Day,
        }),
        daily_drawdown: Some(DailyDrawdown {
            amount: Amount::Money(money("400")),
            action: Action::CloseOnly,
            lasts: Lasts::Rearm,
        }),
        total_drawdown: Some(TotalDrawdown {
            amount: Amount::PercentOfInitial(factor("10")),
            from: TotalFrom::Peak,
            locks_at: Some(money("10000")),
            action: Action::Flatten,
        }),
        equity_floor: Some(Equity { equity: money("8000"), action: Action::Flatten }),
        equity_ceiling: Some(Equity { equity: money("20000"), action: Action::BlockEntry }),
        daily_target: Some(Daily {
            amount: Amount::Percent(factor("3")),
            from: DayStart::Higher,
            action: Action::BlockEntry,
            lasts: Lasts::Day,
        }),
        total_target: Some(Target { amount: Amount::Percent(factor("25")), action: Action::CloseOnly }),
        margin_level: Some(Margin { percent: factor("150"), action: Action::BlockEntry, lasts: Lasts::Day }),
        lots_max: Some(lots("15")),
        positions_max: Some(11),
    }
}

pub fn account_settings() -> AccountSettings {
    AccountSettings { copy: overrides(), require_all_masters: false, protection: rules() }
}

pub fn stamps() -> Stamps {
    let ms = |ms| Some(START + Span::millis(ms));
    Stamps { broker: ms(1), seen: ms(2), received: ms(3), decided: ms(4) }
}

pub fn open_instruction() -> Instruction {
    Instruction::Open {
        symbol: symbol("EURUSD.pro"),
        side: Side::Sell,
        entry: Entry::Limit,
        lots: lots("0.25"),
        price: price("1.0845"),
        sl: Some(price("1.095")),
        tp: Some(price("1.08")),
        slippage_max: Some(price("0.0003")),
        retries_max: 2,
        magic: -7,
        comment: "breakout".into(),
        expires_at: Some(at(60)),
    }
}

pub fn order() -> Order {
    Order {
        id: order_id(1),
        seq: 300,
        instruction: open_instruction(),
        deadline: Some(at(10)),
        reason: OrderReason::Signal,
        master: Some(account_id("IC_Markets_12345")),
        ticket: Some(Ticket(70_001)),
        signal: Some(Position(4_000)),
        stamps: stamps(),
    }
}

pub fn result() -> OrderResult {
    OrderResult {
        order: order_id(1),
        outcome: Outcome::Partial,
        ticket: Some(Ticket(80_001)),
        price: Some(price("1.0846")),
        lots: Some(lots("0.2")),
        sl: Some(price("1.0951")),
        tp: Some(price("1.0801")),
        error: Some("no more offers".into()),
        received_at: Some(at(1)),
        done_at: Some(at(2)),
    }
}

pub fn copy() -> Copy {
    let leg = Leg {
        order: order_id(3),
        entry: Entry::Stop,
        asked: lots("0.3"),
        share: factor("0.8333"),
        state: LegState::Open,
        filled: lots("0.28"),
        told_to_close: lots("0.14"),
        closed: lots("0.07"),
        ticket: Some(Ticket(80_003)),
        price: Some(price("1.0847")),
    };
    Copy {
        symbol: symbol("EURUSD.pro"),
        side: Side::Sell,
        master_lots: lots("0.6"),
        master_left: lots("0.5"),
        kept: number("-0.004"),
        price: price("1.0845"),
        sl: Some(price("1.095")),
        tp: Some(price("1.08")),
        legs: vec![leg],
    }
}

pub fn plan() -> Plan {
    let (from, link) = (Layer::Link, RuntimeStatus::Connected);
    let winding = Some(WindDown::CloseNow);
    Plan {
        logic: LOGIC,
        verdict: Verdict::Resized,
        rule: Rule::BelowMinForced,
        steps: vec![
            Step::Link { mode: Mode::Observe, from: Layer::Global, enabled: true, status: link, winding },
            Step::Age { age_ms: 12, max_ms: 5_000, from: Layer::Default },
            Step::LotsTotal { held: lots("1"), adding: lots("2"), max: lots("4"), from },
            Step::Barred(Block::Protection { limit: "daily_loss".into(), seen: money("500"), bound: money("499.5") }),
        ],
        asked: lots("0.304"),
        begins: None,
        instructions: vec![],
    }
}

pub fn drift() -> Drift {
    Drift { order: order_id(4), ticket: Some(Ticket(80_004)), expected: lots("0.3"), found: lots("0.1") }
}

/// One of every kind from 210 on.
pub(super) fn account_events() -> Vec<account::Event> {
    use account::*;
    let master = || account_id("IC_Markets_12345");
    let warnings: Warnings = [Warning::MasterOffline, Warning::LotBelowMin].into_iter().collect();
    let hash = |first: u8| StateHash(std::array::from_fn(|index| index as u8 + first));
    let (settings, name) = (|| Box::new(overrides()), "Scalpers".to_string());
    let change = |ticket| Change::Close {
        ticket: Ticket(ticket),
        ratio: Some(factor("0.25")),
        remaining: Some(lots("0.75")),
        price: Some(price("1.09")),
    };
    vec![
        Event::GroupCreated(GroupCreated { name: "London".into(), settings: Box::default() }),
        Event::GroupChanged(GroupChanged { name, settings: settings() }),
        Event::GroupRemoved(GroupRemoved { settings: settings() }),
        Event::LinkSwitched(LinkSwitched { master: master(), enabled: true }),
        Event::LinkChanged(LinkChanged { master: master(), settings: settings() }),
        Event::LinkEnded(LinkEnded { master: master() }),
        Event::LinkStatusChanged(LinkStatusChanged {
            master: master(),
            old: RuntimeStatus::Connected,
            new: RuntimeStatus::Enabled,
            warnings,
        }),
        Event::SyncWanted(SyncWanted { master: master() }),
        Event::SettingsChanged(SettingsChanged { settings: Box::new(account_settings()) }),
        Event::WarningRaised(WarningRaised { warning: Warning::SymbolUnmapped, why: "no such symbol".into() }),
        Event::WarningCleared(WarningCleared { warning: Warning::ClockSkew }),
        Event::QuoteSeen(QuoteSeen { symbol: symbol("GBPUSD"), bid: price("1.2501"), ask: price("1.2503") }),
        Event::SignalTaken(SignalTaken {
            signal_seq: 17,
            origin: Origin::Signal,
            change: change(70_002),
            before: Some(Box::new(trade(70_002))),
            broker_at: Some(at(1)),
            seen_at: Some(at(2)),
        }),
        Event::StateDiffered(StateDiffered { through_signal_seq: 18, reported: hash(1), expected: hash(2) }),
        Event::SnapshotTaken(SnapshotTaken {
            trades: 3,
            through_signal_seq: 19,
            drifted: vec![drift()],
            unknown: vec![Ticket(80_005)],
            agreed: hash(3),
        }),
        Event::CopyDecided(CopyDecided {
            master: master(),
            signal: Position(4_000),
            ticket: Ticket(70_001),
            origin: Origin::Sync,
            plan: Box::new(plan()),
            orders: vec![order_id(1), order_id(2)],
            master_lots: lots("0.6"),
            master_left: lots("0.5"),
            copy: Some(Box::new(copy())),
        }),
        Event::OrderIssued(OrderIssued { order: Box::new(order()) }),
        Event::OrderAnswered(OrderAnswered {
            seq: 300,
            result: Box::new(result()),
            durable_at: Some(at(3)),
            sent_at: Some(at(4)),
        }),
        Event::StopTaken(StopTaken { degree: StopDegree::Cancel, orders: 5 }),
        Event::NumbersSkipped(NumbersSkipped { through: 9 }),
        Event::DayStarted(limits::TradingDayStarted {
            day: 12,
            started_at: at(-60),
            next_reset_at: at(3_600),
            balance: money("10000.5"),
            equity: money("9876.54"),
        }),
        Event::LimitNear(limits::LimitNear {
            limit: limits::Limit::DailyLoss,
            used: number("401.5"),
            allowed: number("500"),
            percent: factor("80.3"),
        }),
        Event::LimitHit(limits::LimitHit {
            limit: limits::Limit::TotalDrawdown,
            used: number("1001"),
            allowed: number("1000"),
            balance: money("9500"),
            equity: money("8999"),
            action: limits::Action::CloseOnly,
            lasts: Some(limits::Lasts::Rearm),
        }),
        Event::LimitCleared(limits::LimitCleared { limit: limits::Limit::LotsMax, why: limits::Cleared::Eased }),
        Event::Rearmed(limits::ProtectionRearmed {
            limits: vec![limits::Limit::DailyLoss, limits::Limit::MarginLevel],
            baseline: limits::Baseline {
                initial_balance: Some(money("1")),
                peak: Some(money("2")),
                end_of_day_peak: Some(money("3")),
                day_balance: Some(money("4")),
                day_equity: Some(money("5")),
                day_high: Some(money("6")),
            },
            reason: reason("a payout"),
        }),
    ]
}

/// Every value of the enums of trading. Where one has fields, their bytes are in it.
pub(super) fn words(words: &mut Vec<Word>) {
    fn all<T: serde::Serialize>(words: &mut Vec<Word>, of: &'static str, values: impl IntoIterator<Item = T>) {
        words.extend(values.into_iter().map(|value| word(of, &value)));
    }
    all(words, "side", [Side::Buy, Side::Sell]);
    all(words, "entry", [Entry::Market, Entry::Limit, Entry::Stop]);
    all(words, "holding", [Holding::Hedging, Holding::Netting]);
    let (of, ticket, lots) = (order_id(1), Ticket(1), Some(lots("0.25")));
    let (sl, tp) = (Some(price("1.1")), None);
    let close = Instruction::Close { of, lots };
    all(words, "instruction", [open_instruction(), Instruction::Modify { of, price: None, sl, tp }, close]);
    let modify = Change::Modify { ticket, price: None, sl, tp, lots };
    let close = Change::Close { ticket, ratio: Some(factor("0.5")), remaining: lots, price: None };
    all(words, "change", [Change::Open(trade(1)), modify, close]);
    let (signal, sync, correction) = (OrderReason::Signal, OrderReason::Sync, OrderReason::Correction);
    let rest = [OrderReason::WindDown, OrderReason::Protection, OrderReason::Stop];
    all(words, "order_reason", [signal, sync, correction].into_iter().chain(rest));
    let (placed, filled, partial, rejected) = (Outcome::Placed, Outcome::Filled, Outcome::Partial, Outcome::Rejected);
    let rest = [Outcome::Expired, Outcome::Cancelled, Outcome::Nothing, Outcome::Unknown];
    all(words, "outcome", [placed, filled, partial, rejected].into_iter().chain(rest));
    let (sent, pending, open) = (LegState::Sent, LegState::Pending, LegState::Open);
    all(words, "leg_state", [sent, pending, open, LegState::Over, LegState::Unknown]);
    all(words, "origin", [Origin::Signal, Origin::Sync, Origin::Snapshot]);
    all(words, "stop_degree", [StopDegree::Pause, StopDegree::Cancel, StopDegree::Flatten]);
    all(words, "rule", Rule::ALL.iter().copied());
    let (copied, resized, skipped) = (Verdict::Copied, Verdict::Resized, Verdict::Skipped);
    all(words, "verdict", [copied, resized, skipped, Verdict::Blocked, Verdict::Observed]);
    let (default, global, master) = (Layer::Default, Layer::Global, Layer::Master);
    all(words, "layer", [default, global, master, Layer::Group, Layer::Link, Layer::Slave]);
    settings_words(words);
    let limits_all = limits::Limit::ALL.into_iter();
    words.extend(limits_all.map(|limit| word("limit", &limit)));
    use limits::{Action, Cleared, Lasts, TotalFrom};
    words.extend([Action::BlockEntry, Action::CloseOnly, Action::Flatten].map(|action| word("action", &action)));
    words.extend([Lasts::Day, Lasts::Rearm].map(|lasts| word("lasts", &lasts)));
    words.extend([Cleared::Eased, Cleared::NewDay, Cleared::Removed].map(|why| word("cleared", &why)));
    words.extend([TotalFrom::Initial, TotalFrom::Peak, TotalFrom::EndOfDay].map(|from| word("total_from", &from)));
}

fn settings_words(words: &mut Vec<Word>) {
    let one = factor("1");
    words.extend([Mode::Off, Mode::Observe, Mode::Live].map(|mode| word("mode", &mode)));
    words.extend([Sides::Both, Sides::Buy, Sides::Sell].map(|sides| word("sides", &sides)));
    words.extend([BelowMin::Skip, BelowMin::Force].map(|below| word("below_min", &below)));
    words.extend([AboveMax::Clamp, AboveMax::Split].map(|above| word("above_max", &above)));
    words.extend([Levels::Price, Levels::Distance, Levels::Off].map(|levels| word("levels", &levels)));
    let (keep, by_position) = (WindDown::Keep, WindDown::CloseOnlyByPosition);
    let ends = [keep, by_position, WindDown::CloseOnlyBySymbol, WindDown::CloseNow];
    words.extend(ends.map(|wind_down| word("wind_down", &wind_down)));
    words.extend([LateOpens::Skip, LateOpens::Pending { expires_ms: 300 }].map(|late| word("late_opens", &late)));
    let (limit, market) = (SyncMode::LimitOrder { expires_ms: 300 }, price("0.1"));
    let modes = [SyncMode::Skip, limit, SyncMode::MarketOrder { distance_max: market }];
    words.extend(modes.map(|mode| word("sync_mode", &mode)));
    let (fixed, multiplier, equity) = (Volume::Fixed(lots("1")), Volume::Multiplier(one), Volume::RatioEquity(one));
    let (balance, margin) = (Volume::RatioBalance(one), Volume::RatioFreeMargin(one));
    let (notional, risk) = (Volume::MultiplierNotional(one), Volume::RiskPercent(one));
    let volumes = [fixed, multiplier, equity, balance, margin, notional, risk, Volume::Leverage(one)];
    words.extend(volumes.map(|volume| word("volume", &volume)));
    let fixed = Naming::Fixed { prefix: "a".into(), suffix: "b".into() };
    words.extend([Naming::Reported, fixed].map(|naming| word("naming", &naming)));
}
