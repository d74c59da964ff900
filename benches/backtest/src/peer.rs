//! The quoter on hftbacktest.

use crate::tape::{LOT_SIZE, TICK_SIZE, Tape};
use crate::{Filled, LATENCY, LOTS, Model, Run};
use hftbacktest::backtest::assettype::LinearAsset;
use hftbacktest::backtest::data::Data;
use hftbacktest::backtest::models::{
    CommonFees, ConstantLatency, PowerProbQueueFunc3, ProbQueueModel, QueueModel, RiskAdverseQueueModel,
    TradingValueFeeModel,
};
use hftbacktest::backtest::{Backtest, DataSource, ExchangeKind, L2AssetBuilder};
use hftbacktest::depth::{HashMapMarketDepth, L2MarketDepth, MarketDepth, ROIVectorMarketDepth};
use hftbacktest::prelude::{Bot, ElapseResult, OrdType, Side, Status, TimeInForce};
use std::cell::RefCell;

#[derive(Debug, Clone, Copy)]
pub enum Depth {
    Map,
    Vector,
}

/// How far around the tape's prices the vector reaches.
const MARGIN: i64 = 100;

thread_local! {
    /// The tape in the peer's memory layout: made once, outside of what is measured.
    static DATA: RefCell<Option<Data<hftbacktest::types::Event>>> = const { RefCell::new(None) };
}

pub fn run(tape: &Tape, model: Model, hysteresis: i64, depth: Depth) -> Run {
    let data = DATA.with_borrow_mut(|data| data.get_or_insert_with(|| Data::from_data(&tape.events)).clone());
    match depth {
        Depth::Map => with(tape, data, model, hysteresis, || HashMapMarketDepth::new(TICK_SIZE, LOT_SIZE)),
        Depth::Vector => {
            let (low, high) = ((tape.lowest - MARGIN) as f64 * TICK_SIZE, (tape.highest + MARGIN) as f64 * TICK_SIZE);
            with(tape, data, model, hysteresis, move || ROIVectorMarketDepth::new(TICK_SIZE, LOT_SIZE, low, high))
        }
    }
}

fn with<MD: MarketDepth + L2MarketDepth + 'static>(
    tape: &Tape,
    data: Data<hftbacktest::types::Event>,
    model: Model,
    hysteresis: i64,
    depth: impl Fn() -> MD + 'static,
) -> Run {
    match model {
        Model::Shared => {
            let kind = ExchangeKind::NoPartialFillExchange;
            drive(tape, data, RiskAdverseQueueModel::new(), kind, hysteresis, depth)
        }
        Model::Parts => {
            let kind = ExchangeKind::PartialFillExchange;
            drive(tape, data, RiskAdverseQueueModel::new(), kind, hysteresis, depth)
        }
        Model::Likely => {
            let kind = ExchangeKind::PartialFillExchange;
            drive(tape, data, ProbQueueModel::new(PowerProbQueueFunc3::new(3.0)), kind, hysteresis, depth)
        }
    }
}

fn drive<MD: MarketDepth + L2MarketDepth + 'static, QM: QueueModel<MD> + 'static>(
    tape: &Tape,
    data: Data<hftbacktest::types::Event>,
    queue: QM,
    kind: ExchangeKind,
    hysteresis: i64,
    depth: impl Fn() -> MD + 'static,
) -> Run {
    let parts = matches!(kind, ExchangeKind::PartialFillExchange);
    let asset = L2AssetBuilder::new()
        .data(vec![DataSource::Data(data)])
        .latency_model(ConstantLatency::new(LATENCY.0, LATENCY.1))
        .asset_type(LinearAsset::new(1.0))
        .fee_model(TradingValueFeeModel::new(CommonFees::new(0.0, 0.0)))
        .queue_model(queue)
        .exchange(kind)
        .depth(depth)
        .build()
        .unwrap();
    let mut backtest = Backtest::builder().add_asset(asset).build().unwrap();
    let mut run = Run::default();
    // An order that a partial fill ends to the lot stays in the peer's book (0.9.4 asks for more than is left, not for as much), and
    // the next fill of it stops the run. With half a lot more no whole lots end it.
    let lots = if parts { LOTS as f64 + 0.5 } else { LOTS as f64 };
    // The order that stands for each side, and its tick.
    let mut quotes = [(0_u64, 0_i64); 2];
    let mut row = 0;
    loop {
        let result = backtest.wait_next_feed(false, 1 << 60).unwrap();
        let ended = matches!(result, ElapseResult::EndOfData);
        take(&mut backtest, &mut run);
        if ended {
            // By the venue's time and then in the order of the fills there, as ours are.
            run.fills.sort_by_key(|fill| (fill.3, fill.0));
            return run;
        }
        // All events of a row are at one time and come at once.
        debug_assert!(row < tape.rows.len());
        row += 1;
        let (bid, ask) = (backtest.depth(0).best_bid_tick(), backtest.depth(0).best_ask_tick());
        for (slot, side, target) in [(0, Side::Buy, bid - 1), (1, Side::Sell, ask + 1)] {
            let (order, tick) = quotes[slot];
            if let Some(known) = backtest.orders(0).get(&order) {
                let open = known.req == Status::None && matches!(known.status, Status::New | Status::PartiallyFilled);
                if !open || (tick - target).abs() < hysteresis {
                    continue;
                }
                backtest.cancel(0, order, false).unwrap();
            }
            run.orders += 1;
            quotes[slot] = (run.orders, target);
            let (price, size) = (target as f64 * TICK_SIZE, lots * LOT_SIZE);
            let post_only = TimeInForce::GTX;
            if side == Side::Buy {
                backtest.submit_buy_order(0, run.orders, price, size, post_only, OrdType::Limit, false).unwrap();
            } else {
                backtest.submit_sell_order(0, run.orders, price, size, post_only, OrdType::Limit, false).unwrap();
            }
        }
    }
}

/// Notes what was filled, and forgets what is over.
fn take<MD: MarketDepth>(backtest: &mut Backtest<MD>, run: &mut Run) {
    let mut over = false;
    for order in backtest.orders(0).values() {
        if order.status == Status::Filled {
            let buys = order.side == Side::Buy;
            run.fills.push(Filled(order.order_id, buys, order.exec_price_tick, order.exch_timestamp));
        }
        over |= matches!(order.status, Status::Filled | Status::Canceled | Status::Expired);
    }
    if over {
        backtest.clear_inactive_orders(Some(0));
    }
}
