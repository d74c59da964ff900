//! One of everything that is said, with no field left at what it would be by itself.

use super::*;
use std::collections::BTreeMap;
use tidehelm_events::account::StateHash;
use tidehelm_events::id::{AccountId, DeskId, Position, Role};
use tidehelm_events::reason::{RuntimeStatus, Warning, Warnings};
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::*;
use uuid::Uuid;

pub(crate) fn account(name: &str) -> AccountId {
    AccountId::new(name).unwrap()
}
pub(crate) fn desk() -> DeskId {
    DeskId(Uuid::from_u128(0xde5c))
}
pub(crate) fn key_id() -> KeyId {
    tidehelm_events::id::CredentialId(Uuid::from_u128(0x1d))
}
pub(crate) fn key() -> Key {
    Key([0x5e; 32])
}
pub(crate) fn decimal<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}
pub(crate) fn order_id(number: u128) -> OrderId {
    OrderId(Uuid::from_u128(number))
}

pub(crate) fn envelope<B>(body: B) -> Envelope<B> {
    let sent_at = Timestamp(1_767_225_600_000_001);
    Envelope { account: account("IC_Markets_12345"), role: Role::Slave, epoch: 3, seq: 300, sent_at, body }
}

pub(crate) fn identity() -> Identity {
    Identity {
        platform: "mt5".into(),
        account_number: 12345,
        broker: "IC Markets".into(),
        server: "ICMarkets-Live01".into(),
        name: "Ännä \"A\"".into(),
        currency: "USD".into(),
        leverage: 500,
        ea_version: "1.0.0".into(),
    }
}

pub(crate) fn trade(ticket: u64) -> Trade {
    Trade {
        ticket: Ticket(ticket),
        symbol: Symbol::new("XAUUSD.pro").unwrap(),
        side: Side::Sell,
        entry: Entry::Market,
        lots: decimal("0.3"),
        price: decimal("2345.67"),
        sl: Some(decimal("2350")),
        tp: None,
        magic: -7,
        comment: "grid 3".into(),
    }
}

pub(crate) fn order() -> Order {
    let instruction = Instruction::Open {
        symbol: Symbol::new("EURUSD").unwrap(),
        side: Side::Buy,
        entry: Entry::Market,
        lots: decimal("0.1"),
        price: decimal("1.08"),
        sl: None,
        tp: Some(decimal("1.1")),
        slippage_max: Some(decimal("0.0003")),
        retries_max: 2,
        magic: 42,
        comment: "th0123456789".into(),
        expires_at: Some(Timestamp(9)),
    };
    Order {
        id: order_id(0x0de),
        seq: 17,
        instruction,
        deadline: Some(Timestamp(1_767_225_605_000_000)),
        reason: OrderReason::Signal,
        master: Some(account("M_1")),
        ticket: Some(Ticket(900)),
        signal: Some(Position(77)),
        stamps: Stamps {
            broker: Some(Timestamp(1)),
            seen: Some(Timestamp(2)),
            received: None,
            decided: Some(Timestamp(4)),
        },
    }
}

pub(crate) fn result(order: OrderId) -> OrderResult {
    OrderResult {
        order,
        outcome: Outcome::Partial,
        ticket: Some(Ticket(5001)),
        price: Some(decimal("1.0801")),
        lots: Some(decimal("0.07")),
        sl: None,
        tp: Some(decimal("1.1")),
        error: Some("no more liquidity".into()),
        received_at: Some(Timestamp(5)),
        done_at: Some(Timestamp(6)),
    }
}

pub(crate) fn config(version: u64) -> Config {
    let warnings: Warnings = [Warning::MasterOffline].into_iter().collect();
    let link =
        LinkConfig { master: account("M_1"), runtime_status: RuntimeStatus::Enabled, warnings, allow_new_orders: true };
    Config {
        version,
        runtime_status: RuntimeStatus::Connected,
        warnings,
        allow_new_orders: true,
        links: vec![link],
        lots_max: Some(decimal("5")),
        positions_max: Some(20),
    }
}

pub(crate) fn requests() -> Vec<Request> {
    let contract = Contract {
        lots_step: decimal("0.01"),
        lots_min: decimal("0.02"),
        lots_max: decimal("100"),
        size: decimal("100000"),
        digits: 5,
        tick_value: decimal("1.25"),
        tick_size: decimal("0.00001"),
    };
    let symbol = |name: &str| Symbol::new(name).unwrap();
    let specials = BTreeMap::from([(symbol("XAUUSD"), symbol("GOLD"))]);
    vec![
        Hello {}.into(),
        Pair { code: "K7QM2XRD".into() }.into(),
        Register {
            nonce: Nonce([0xa5; 16]),
            identity: identity(),
            holding: Holding::Netting,
            trade_allowed: true,
            affixes: Affixes { prefix: "m.".into(), suffix: ".pro".into(), specials },
            contracts: BTreeMap::from([(symbol("EURUSD"), contract)]),
        }
        .into(),
        Heartbeat {
            balance: decimal("10000.5"),
            equity: decimal("-9990.25"),
            free_margin: decimal("9000"),
            open_positions: 3,
            trade_allowed: true,
            state_hash: StateHash([0xab; 32]),
            through_signal_seq: 41,
            identity: Some(identity()),
        }
        .into(),
        Quote { symbol: symbol("EURUSD"), bid: decimal("1.08"), ask: decimal("1.0801"), source_at: Timestamp(7) }
            .into(),
        Unregister {}.into(),
        RequestConfig {}.into(),
        Signal {
            signal_seq: 41,
            change: Change::Open(trade(900)),
            broker_at: Some(Timestamp(1)),
            seen_at: Timestamp(2),
        }
        .into(),
        PositionSnapshot {
            trades: vec![
                Held { trade: trade(900), order: None },
                Held { trade: trade(901), order: Some(order_id(0x0de)) },
            ],
            through_signal_seq: 41,
        }
        .into(),
        result(order_id(0x0de)).into(),
        Ack { order_seq: 17, config_version: 4 }.into(),
        Next { wait_ms: WAIT_MS_MAX, order_seq: 18, config_version: 4 }.into(),
    ]
}

pub(crate) fn answers() -> Vec<Answer> {
    vec![
        Welcome { desk: desk(), nonce: Nonce([0xa5; 16]) }.into(),
        Paired { key_id: key_id(), key: key() }.into(),
        Registered {
            epoch: 4,
            now: Timestamp(1_767_225_600_000_000),
            heartbeat_ms: 1000,
            previous: Some(Previous { epoch: 3, signal_seq: 41 }),
        }
        .into(),
        Accepted { position: Some(Position(77)) }.into(),
        Refused {
            code: code::SIGNAL_GAP.into(),
            detail: "signal 43 came after 41; send 42 first".into(),
            field: Some("signal_seq".into()),
            expected: Some(42),
        }
        .into(),
        Deliveries {
            list: vec![
                Delivery::Config(config(4)),
                Delivery::Order(Box::new(order())),
                Delivery::RequestSnapshot {},
                Delivery::Notice(Notice { code: "desk_locked".into(), detail: "The desk is locked.".into() }),
            ],
        }
        .into(),
    ]
}
