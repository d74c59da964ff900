//! Values for tests: one event of every kind, with no two fields alike, so that exchanged fields are seen.

pub mod alert;
pub mod endpoint;
pub mod log;
pub mod taker;
pub mod trade;

use crate::account::{
    self, HeartbeatSeen, HeartbeatSeenV1, LinkAdded, LinkAddedV1, LinkRemoved, LinkRemovedV1, Registered, RegisteredV1,
    StateHash,
};
use crate::answer::{Answer, Answered, BodyHash, Denial, Status};
use crate::codec;
use crate::commit::Hash;
use crate::copy::StopDegree;
use crate::copy::settings::WindDown;
use crate::desk::{self, Access, KeyEnd, PairingEnd, SessionEnd, Settings};
use crate::endpoint::Api;
use crate::envelope::Record;
use crate::event::{Event, Kind};
use crate::id::{AccountId, CommandId, CredentialId, DeskId, Position, Principal, Role, StreamNo, UserName, Version};
use crate::reason::{Reason, RuntimeStatus, Warning, Warnings};
use crate::time::{Span, Timestamp};
use crate::trade::Holding;
use std::collections::BTreeMap;
use uuid::Uuid;

/// 2026-01-31T09:15:00Z
pub const START: Timestamp = Timestamp(1_769_850_900_000_000);

pub fn account_id(text: &str) -> AccountId {
    AccountId::new(text).unwrap()
}
pub fn user(text: &str) -> UserName {
    UserName::new(text).unwrap()
}
pub fn reason(text: &str) -> Reason {
    Reason::new(text).unwrap()
}
pub fn credential(number: u64) -> CredentialId {
    CredentialId(uuid(0xc4ed_0000, number))
}
pub fn command_id(number: u64) -> CommandId {
    CommandId(uuid(0xc033_a4d0, number))
}
pub fn desk_id() -> DeskId {
    DeskId(uuid(0xde5c_0000, 1))
}

fn uuid(what: u32, number: u64) -> Uuid {
    Uuid::from_u128(u128::from(what) << 96 | 0x7 << 76 | 0b10 << 62 | u128::from(number))
}

pub fn registered() -> Registered {
    Registered {
        platform: "mt5".into(),
        broker: "IC Markets".into(),
        server: "ICMarkets-Live07".into(),
        name: "Anna".into(),
        currency: "EUR".into(),
        leverage: 500,
        trade_allowed: true,
        ea_version: "1.4.2".into(),
        ..Registered::default()
    }
}

/// With everything that a terminal tells, and the number that the desk gave.
fn registered_in_full() -> Registered {
    Registered {
        holding: Holding::Netting,
        affixes: trade::affixes(),
        contracts: BTreeMap::from([(trade::symbol("EURUSD.pro"), trade::contract())]),
        epoch: 5,
        ..registered()
    }
}

pub fn heartbeat(trade_allowed: bool) -> HeartbeatSeen {
    HeartbeatSeen {
        balance: "10000.5".parse().unwrap(),
        equity: "9876.54".parse().unwrap(),
        free_margin: "-12.25".parse().unwrap(),
        open_positions: 3,
        trade_allowed,
        state_hash: StateHash(std::array::from_fn(|index| index as u8 + 1)),
        through_signal_seq: 4711,
    }
}

fn registered_v1() -> RegisteredV1 {
    let Registered { platform, broker, server, name, currency, leverage, trade_allowed, ea_version, .. } = registered();
    RegisteredV1 { platform, broker, server, name, currency, leverage, trade_allowed, ea_version }
}

fn heartbeat_v1() -> HeartbeatSeenV1 {
    let HeartbeatSeen { balance, equity, free_margin, open_positions, trade_allowed, state_hash, .. } = heartbeat(true);
    HeartbeatSeenV1 { balance, equity, free_margin, open_positions, trade_allowed, state_hash }
}

pub fn answered(id: u64, answer: Answer) -> Event {
    Event::Answered(Box::new(Answered {
        principal: Principal::User(user("anna")),
        command_id: command_id(id),
        body: BodyHash(0x0123_4567_89ab_cdef),
        answer,
    }))
}

pub fn denial() -> Denial {
    Denial {
        code: "account_unknown".into(),
        detail: "no terminal has registered this account yet".into(),
        status: Status::NotFound,
        field: Some("account".into()),
    }
}

/// One of every kind, in the order of their numbers.
pub fn events() -> Vec<Event> {
    let mut events = vec![answered(9, Answer::Refused(denial()))];
    events.extend(desk_events().into_iter().map(Event::Desk));
    events.extend(account_events().into_iter().map(Event::Account));
    events.extend(endpoint::endpoint_events().into_iter().map(Event::Endpoint));
    events.extend(alert::alert_events().into_iter().map(Event::Alert));
    events.extend(crate::market::samples().into_iter().map(Event::Market));
    events.extend(crate::strategy::guard::samples::samples().into_iter().map(Event::Guard));
    events.extend(crate::strategy::maker::sample::samples().into_iter().map(Event::Maker));
    events.extend(crate::strategy::samples().into_iter().map(Event::Strategy));
    events.extend(taker::samples().into_iter().map(Event::Taker));
    events.extend(crate::order::samples::samples().into_iter().map(Event::Venue));
    events
}

pub fn desk_events() -> Vec<desk::Event> {
    use desk::*;
    let at = |seconds| START + Span::seconds(seconds);
    vec![
        Event::Opened(Opened { desk: desk_id(), build: "0.1.0+abc".into() }),
        Event::SettingsChanged(SettingsChanged {
            settings: Settings { name: "North desk".into(), timeout_seconds: 45, session_hours: 8 },
        }),
        Event::Locked(Locked { reason: reason("news at noon") }),
        Event::Unlocked(Unlocked { reason: reason("news is over") }),
        Event::CopyDefaultsChanged(CopyDefaultsChanged { defaults: Box::new(trade::overrides()) }),
        Event::Stopped(Stopped { degree: StopDegree::Flatten, reason: reason("the news"), stop: uuid(0x570b_0000, 1) }),
        Event::Resumed(Resumed { reason: reason("all is calm") }),
        Event::UserInvited(UserInvited {
            name: user("ben"),
            access: Access::Operator,
            credential: credential(1),
            expires_at: at(1),
        }),
        Event::UserAdded(UserAdded { name: user("anna"), access: Access::Admin, credential: credential(2) }),
        Event::UserRemoved(UserRemoved { name: user("carl") }),
        Event::RoleChanged(RoleChanged { name: user("dora"), access: Access::Viewer }),
        Event::PasswordChanged(PasswordChanged { name: user("emil"), credential: credential(3) }),
        Event::SessionStarted(SessionStarted {
            session: credential(4),
            name: user("fritz"),
            expires_at: at(2),
            peer: "192.0.2.7".into(),
        }),
        Event::SessionEnded(SessionEnded { session: credential(5), why: SessionEnd::Revoked }),
        Event::TokenCreated(TokenCreated {
            token: credential(6),
            name: "grafana".into(),
            access: Access::Viewer,
            expires_at: Some(at(3)),
        }),
        Event::TokenRevoked(TokenRevoked { token: credential(7) }),
        Event::ApiKeyIssued(ApiKeyIssued {
            key: credential(16),
            name: "chat page".into(),
            scope: Box::new(KeyScope {
                models: ["llama-3".to_string(), "qwen*".into()].into(),
                apis: [Api::ChatCompletions, Api::Models].into(),
                requests_per_minute: 60,
                in_flight_max: 4,
                tokens_per_day: 1_000_000,
            }),
            expires_at: Some(at(5)),
        }),
        Event::AccessDenied(AccessDenied { action: "settings.write".into(), needs: Access::Admin }),
        Event::StrangerRefused(StrangerRefused { peer: "198.51.100.9".into(), count: 17, why: "no key".into() }),
        Event::ClockStepped(ClockStepped { by: Span::seconds(-90) }),
        Event::ServerStarted(ServerStarted { node: "node-1".into(), build: "0.1.0+def".into(), desk_time: at(4) }),
        Event::TelemetryCut(TelemetryCut { through: Position(12_345), base_hash: Hash([0xba; 32]), events: 678 }),
        Event::PairingOpened(PairingOpened {
            pairing: credential(8),
            account: Some(account_id("IC_Markets_12")),
            role: Some(Role::Slave),
            expires_at: at(5),
        }),
        Event::PairingFailed(PairingFailed {
            pairing: credential(9),
            account: account_id("IC_Markets_13"),
            role: Role::Master,
            peer: "192.0.2.8".into(),
        }),
        Event::PairingUsed(PairingUsed {
            pairing: credential(10),
            account: account_id("IC_Markets_14"),
            role: Role::Slave,
            peer: "192.0.2.9".into(),
        }),
        Event::PairingEnded(PairingEnded { pairing: credential(11), why: PairingEnd::TooManyTries }),
        Event::KeyIssued(KeyIssued { key: credential(12), account: account_id("IC_Markets_15"), role: Role::Master }),
        Event::KeyRevoked(KeyRevoked {
            key: credential(13),
            account: account_id("IC_Markets_16"),
            role: Role::Slave,
            why: KeyEnd::Replaced,
        }),
        Event::SecretsResealed(SecretsResealed { master_key: "3f9a1c20b7e4d581".into(), sealed: 17 }),
    ]
}

pub fn account_events() -> Vec<account::Event> {
    use account::*;
    let warnings: Warnings = [Warning::MasterOffline, Warning::SlaveWebUiDisabled].into_iter().collect();
    let mut events = vec![
        Event::Registered(registered_in_full()),
        Event::Unregistered(Unregistered {}),
        Event::HeartbeatSeen(heartbeat(true)),
        Event::IntentSet(IntentSet { enabled: true }),
        Event::Connected(Connected {}),
        Event::Disconnected(Disconnected { last_heartbeat_at: START }),
        Event::StatusChanged(StatusChanged { old: RuntimeStatus::Connected, new: RuntimeStatus::Enabled, warnings }),
        Event::LinkAdded(LinkAdded {
            master: account_id("IC_Markets_12345"),
            enabled: false,
            settings: Box::new(trade::overrides()),
        }),
        Event::LinkRemoved(LinkRemoved { master: account_id("IC_Markets_1234"), wind_down: WindDown::CloseNow }),
        Event::MasterNoted(MasterNoted {
            master: account_id("IC_Markets_123"),
            status: RuntimeStatus::Disabled,
            warnings,
        }),
    ];
    events.extend(trade::account_events());
    events
}

/// What a build that wrote this schema would have written, and what it means now.
pub fn bytes_of(event: &Event, kind: Kind, schema: u16) -> (Vec<u8>, Event) {
    let mut bytes = Vec::new();
    match (event, schema) {
        (event, schema) if schema == kind.schema => {
            event.encode(&mut bytes);
            (bytes, event.clone())
        }
        (Event::Account(account::Event::HeartbeatSeen(now)), 1) => {
            codec::write(&heartbeat_v1(), &mut bytes);
            let lifted = HeartbeatSeen { through_signal_seq: 0, ..now.clone() };
            (bytes, Event::Account(account::Event::HeartbeatSeen(lifted)))
        }
        (Event::Account(account::Event::Registered(_)), 1) => {
            codec::write(&registered_v1(), &mut bytes);
            (bytes, Event::Account(account::Event::Registered(registered())))
        }
        (Event::Account(account::Event::LinkAdded(LinkAdded { master, .. })), 1) => {
            codec::write(&LinkAddedV1 { master: master.clone() }, &mut bytes);
            let lifted = LinkAdded { master: master.clone(), enabled: true, settings: Box::default() };
            (bytes, Event::Account(account::Event::LinkAdded(lifted)))
        }
        (Event::Account(account::Event::LinkRemoved(LinkRemoved { master, .. })), 1) => {
            codec::write(&LinkRemovedV1 { master: master.clone() }, &mut bytes);
            let lifted = LinkRemoved { master: master.clone(), wind_down: WindDown::Keep };
            (bytes, Event::Account(account::Event::LinkRemoved(lifted)))
        }
        (_, schema) => panic!("schema {schema} of {} has no sample", kind.name),
    }
}

/// A record as a terminal would cause it, alone and the first of its chain.
pub fn record(position: u64, stream: u32, version: u64, event: Event) -> Record {
    let at = START + Span::millis(position as i64);
    Record {
        position: Position(position),
        stream: StreamNo(stream),
        version: Version(version),
        occurred_at: at - Span::millis(40),
        received_at: at - Span::millis(2),
        recorded_at: at,
        by: Principal::Terminal,
        command: None,
        causation: None,
        correlation: Position(position),
        event,
    }
}

/// Of which enum, its bytes and its JSON.
pub type Word = (&'static str, Vec<u8>, serde_json::Value);

pub(crate) fn word<T: serde::Serialize>(of: &'static str, value: &T) -> Word {
    let mut bytes = Vec::new();
    codec::write(value, &mut bytes);
    (of, bytes, crate::event::json(value))
}

/// Every value of the enums that events hold, which a golden event shows only one of.
pub fn words() -> Vec<Word> {
    let mut words = Vec::new();
    for access in [Access::Viewer, Access::Operator, Access::Admin] {
        words.push(word("access", &access));
    }
    let (out, revoked, expired) = (SessionEnd::LoggedOut, SessionEnd::Revoked, SessionEnd::Expired);
    for why in [out, revoked, expired, SessionEnd::PasswordChanged, SessionEnd::UserRemoved] {
        words.push(word("session_end", &why));
    }
    use PairingEnd::{Cancelled, Expired, Replaced, TooManyTries};
    for why in [Expired, Cancelled, TooManyTries, Replaced] {
        words.push(word("pairing_end", &why));
    }
    for why in [KeyEnd::Revoked, KeyEnd::Replaced] {
        words.push(word("key_end", &why));
    }
    let (token, anna) = (Principal::Token(credential(1)), Principal::User(user("anna")));
    for principal in [Principal::Desk, Principal::Terminal, Principal::Operator, anna, token] {
        words.push(word("principal", &principal));
    }
    for status in [Status::NotFound, Status::Conflict, Status::Stale, Status::Invalid, Status::Forbidden] {
        words.push(word("denial_status", &status));
    }
    let done = Answer::Done { first: Position(300), last: Position(301), changed: true };
    for answer in [done, Answer::Refused(denial()), Answer::Refused(Denial { field: None, ..denial() })] {
        words.push(word("answer", &answer));
    }
    for status in [RuntimeStatus::Disabled, RuntimeStatus::Enabled, RuntimeStatus::Connected] {
        words.push(word("runtime_status", &status));
    }
    for warning in Warning::ALL {
        words.push(word("warnings", &Warnings::NONE.with(*warning)));
    }
    trade::words(&mut words);
    crate::order::samples::words(&mut words);
    crate::strategy::guard::samples::words(&mut words);
    taker::words(&mut words);
    endpoint::words(&mut words);
    alert::words(&mut words);
    for decimal in ["0", "-0.01", "123456.789", "0.000000000001", "9223372036854775807"] {
        words.push(word("money", &decimal.parse::<crate::money::Money>().unwrap()));
    }
    words
}
