//! Values of makers for tests: one event of every kind, with no two fields alike.

use super::*;
use crate::id::{MarketId, Principal, StrategyId};
use crate::market::{Bps, Cash, Features, Price, Quote, Ratio, Size};
use crate::order::ClientOrderId;
use crate::sample::{START, reason, user};
use crate::time::Span;
use crate::trade::Side;
use uuid::Uuid;

pub fn strategy() -> StrategyId {
    StrategyId::new("btc_maker").unwrap()
}
pub fn market() -> MarketId {
    "paper:BTC-USD".parse().unwrap()
}
pub fn order_id(index: u32) -> ClientOrderId {
    ClientOrderId::derive(&strategy(), Uuid::from_u128(0xda7e << 96), index, START)
}

pub fn features() -> Features {
    Features {
        quote: Some(Quote {
            bid: "99.99".parse().unwrap(),
            bid_size: "3.5".parse().unwrap(),
            ask: "100.01".parse().unwrap(),
            ask_size: "4.25".parse().unwrap(),
        }),
        quote_age: Some(Span::millis(120)),
        mid: Some(Price::whole(100)),
        spread_bps: Some(Bps::whole(2)),
        imbalance_1s: Some("0.2".parse().unwrap()),
        vol_10s: Some(Bps::whole(5)),
        mark_index_div_bps: Some(Bps::whole(3)),
        liq_count_10s: Some(1),
    }
}

fn parameters() -> Parameters {
    Parameters {
        model: Model::Glft(super::model::Glft {
            risk_aversion: "0.05".parse().unwrap(),
            decay: "0.3".parse().unwrap(),
            arrival: "1.5".parse().unwrap(),
            units: 12,
        }),
        base_half_spread_bps: Bps::whole(11),
        vol_spread_gain: "1.25".parse().unwrap(),
        tox_spread_gain: "1.75".parse().unwrap(),
        quote_size: Cash::whole(21),
        levels: 3,
        level_step_bps: Bps::whole(6),
        refresh_interval_ms: 1_001,
        min_requote_bps: Bps::whole(2),
        stale_cancel_ms: 5_001,
        tick_ms: 201,
        max_inventory: Size::whole(7),
        pause_inventory_ratio: "1.625".parse().unwrap(),
        inventory_skew_gain: Bps::whole(8),
        pause_mark_index_bps: Bps::whole(51),
        pause_liq_count_10s: 4,
        pause_min_duration_ms: 10_001,
        defensive_vol_bps: Bps::whole(52),
        defensive_imbalance: "0.75".parse().unwrap(),
        defensive_hysteresis: "0.125".parse().unwrap(),
        defensive_clear_ms: 10_002,
        defensive_widen: Ratio::whole(3),
        defensive_shrink: "0.375".parse().unwrap(),
        uses_mark_index: true,
        uses_liquidations: false,
        on_venue_errors: Response::Defensive,
        on_endpoint_down: Response::Pause,
    }
}

fn why() -> Why {
    Why {
        all: Reasons::of(Reason::DataStale).with(Reason::DefensiveVol).with(Reason::InventoryLimit),
        pausing: Reasons::of(Reason::DataStale),
        defensive: Reasons::of(Reason::DefensiveVol),
    }
}

/// One of every kind, in the order of their numbers.
pub fn samples() -> Vec<Event> {
    let (by, other) = (Principal::User(user("anna")), Principal::User(user("ben")));
    let place = Place {
        side: Side::Buy,
        level: 1,
        price: "99.84".parse().unwrap(),
        size: "0.2".parse().unwrap(),
        reduce_only: true,
    };
    let cancel = Cancel { order: order_id(3), side: Side::Sell, level: 2, why: CancelWhy::Moved };
    vec![
        Event::Opened(Opened { market: market() }),
        Event::ParametersSet(ParametersSet {
            set: SetId(4),
            by,
            comment: reason("wider at night"),
            values: Box::new(parameters()),
        }),
        Event::ParametersActivated(ParametersActivated { set: SetId(5), by: other }),
        Event::ModeChanged(Box::new(ModeChanged {
            old: Mode::Normal,
            new: Mode::Pause,
            why: why(),
            set: Some(SetId(6)),
            features: features(),
            inventory: Some("-1.5".parse().unwrap()),
        })),
        Event::ReasonsChanged(ReasonsChanged { why: Why { pausing: Reasons::NONE, ..why() } }),
        Event::Decided(Box::new(Decided {
            logic: 1,
            set: Some(SetId(7)),
            mode: Mode::Defensive,
            features: features(),
            inventory: Some("0.5".parse().unwrap()),
            half: Some("15.2".parse().unwrap()),
            skew: Some("-2.5".parse().unwrap()),
            place: vec![place],
            valid_until: START + Span::seconds(5),
            cancel: vec![cancel],
            verify: true,
        })),
        Event::Drained(Drained {}),
        Event::Ticked(Ticked {}),
        Event::Closed(Closed { reason: reason("the market is gone") }),
    ]
}
