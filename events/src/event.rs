//! Every kind of event with its number, name, schema and class, and how each becomes bytes and JSON.

use crate::account;
use crate::alert;
use crate::answer::Answered;
use crate::codec::{self, CodecError};
use crate::desk;
use crate::endpoint;
use crate::envelope::Class;
use crate::market;
use crate::order;
use crate::strategy::{self, guard, maker, taker};

/// What the log knows about a kind of event. Numbers and names are never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    pub number: u16,
    pub name: &'static str,
    pub schema: u16,
    pub class: Class,
    pub doc: &'static str,
}

/// Makes an event enum of one module: a struct per kind, its number, name, current schema and class, and how older schemas
/// are lifted to the current one.
macro_rules! events {
    ($(#[$meta:meta])* pub enum $name:ident { $(
        #[doc = $doc:literal]
        $variant:ident($payload:ty) = $number:literal $kind:literal v $schema:literal $class:ident
        $(, lifts $old:literal from $old_type:ty)*;
    )* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $name { $( #[doc = $doc] $variant($payload), )* }

        impl $name {
            pub const KINDS: &'static [$crate::event::Kind] = &[$( $crate::event::Kind {
                number: $number, name: $kind, schema: $schema, class: $crate::envelope::Class::$class, doc: $doc,
            } ),*];

            pub fn number(&self) -> u16 {
                match self { $( $name::$variant(_) => $number, )* }
            }
            pub(crate) fn kind(&self) -> $crate::event::Kind {
                match self { $( $name::$variant(_) => $crate::event::Kind {
                    number: $number, name: $kind, schema: $schema, class: $crate::envelope::Class::$class, doc: $doc,
                }, )* }
            }
            pub(crate) fn encode(&self, out: &mut Vec<u8>) {
                match self { $( $name::$variant(payload) => $crate::codec::write(payload, out), )* }
            }
            /// None where the kind or its schema is not of this module and build.
            pub(crate) fn decode(number: u16, schema: u16, bytes: &[u8]) -> Option<Result<Self, $crate::codec::CodecError>> {
                match (number, schema) {
                    $( ($number, $schema) => Some($crate::codec::read::<$payload>(bytes).map($name::$variant)),
                       $( ($number, $old) => Some($crate::codec::read::<$old_type>(bytes).map(|old| $name::$variant(old.into()))), )* )*
                    _ => None,
                }
            }
            pub(crate) fn to_json(&self) -> serde_json::Value {
                match self { $( $name::$variant(payload) => $crate::event::json(payload), )* }
            }
            pub(crate) fn from_json(kind: &str, payload: &serde_json::Value) -> Option<Result<Self, serde_json::Error>> {
                match kind {
                    $( $kind => Some(serde_json::from_value::<$payload>(payload.clone()).map($name::$variant)), )*
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use events;

/// An event of any stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// What a command was answered, in the stream that it was for.
    Answered(Box<Answered>),
    Desk(desk::Event),
    Account(account::Event),
    /// Of an endpoint, or of the proxy as a whole.
    Endpoint(endpoint::Event),
    Alert(alert::Event),
    Market(market::Event),
    Guard(guard::Event),
    /// Of a strategy of either shape.
    Strategy(strategy::Event),
    Maker(maker::Event),
    Taker(taker::Event),
    /// Of a venue's gateway.
    Venue(order::Event),
    /// Of a kind or schema that this build does not know: carried, never lost.
    Unknown(Unknown),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Unknown {
    pub number: u16,
    pub schema: u16,
    pub bytes: Vec<u8>,
}

const ANSWERED: Kind = Kind {
    number: 1,
    name: "command_answered",
    schema: 1,
    class: Class::Business,
    doc: "A command of an authenticated principal was answered; a repeat gets the same answer.",
};

impl Event {
    /// Every kind that this build writes, in the order of their numbers.
    pub fn kinds() -> Vec<Kind> {
        let mut kinds = vec![ANSWERED];
        kinds.extend_from_slice(desk::Event::KINDS);
        kinds.extend_from_slice(account::Event::KINDS);
        kinds.extend_from_slice(endpoint::Event::KINDS);
        kinds.extend_from_slice(alert::Event::KINDS);
        kinds.extend_from_slice(market::Event::KINDS);
        kinds.extend_from_slice(guard::Event::KINDS);
        kinds.extend_from_slice(strategy::Event::KINDS);
        kinds.extend_from_slice(maker::Event::KINDS);
        kinds.extend_from_slice(taker::Event::KINDS);
        kinds.extend_from_slice(order::Event::KINDS);
        kinds.sort_by_key(|kind| kind.number);
        kinds
    }

    pub fn kind(&self) -> Kind {
        match self {
            Event::Answered(_) => ANSWERED,
            Event::Desk(event) => event.kind(),
            Event::Account(event) => event.kind(),
            Event::Endpoint(event) => event.kind(),
            Event::Alert(event) => event.kind(),
            Event::Market(event) => event.kind(),
            Event::Guard(event) => event.kind(),
            Event::Strategy(event) => event.kind(),
            Event::Maker(event) => event.kind(),
            Event::Taker(event) => event.kind(),
            Event::Venue(event) => event.kind(),
            Event::Unknown(unknown) => Kind {
                number: unknown.number,
                name: "unknown",
                schema: unknown.schema,
                class: Class::Business,
                doc: "",
            },
        }
    }

    pub fn class(&self) -> Class {
        self.kind().class
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Event::Answered(answered) => codec::write(answered, out),
            Event::Desk(event) => event.encode(out),
            Event::Account(event) => event.encode(out),
            Event::Endpoint(event) => event.encode(out),
            Event::Alert(event) => event.encode(out),
            Event::Market(event) => event.encode(out),
            Event::Guard(event) => event.encode(out),
            Event::Strategy(event) => event.encode(out),
            Event::Maker(event) => event.encode(out),
            Event::Taker(event) => event.encode(out),
            Event::Venue(event) => event.encode(out),
            Event::Unknown(unknown) => out.extend_from_slice(&unknown.bytes),
        }
    }

    pub fn decode(number: u16, schema: u16, bytes: &[u8]) -> Result<Event, CodecError> {
        macro_rules! known {
            ($($variant:ident $module:ident),*) => { $(
                if let Some(event) = $module::Event::decode(number, schema, bytes) {
                    return event.map(Event::$variant);
                }
            )* };
        }
        known!(Account account, Endpoint endpoint, Market market, Maker maker, Taker taker, Venue order, Alert alert, Guard guard, Strategy strategy);
        if (number, schema) == (ANSWERED.number, ANSWERED.schema) {
            return codec::read(bytes).map(Event::Answered);
        }
        match desk::Event::decode(number, schema, bytes) {
            Some(event) => event.map(Event::Desk),
            None => Ok(Event::Unknown(Unknown { number, schema, bytes: bytes.to_vec() })),
        }
    }

    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Event::Answered(answered) => json(answered),
            Event::Desk(event) => event.to_json(),
            Event::Account(event) => event.to_json(),
            Event::Endpoint(event) => event.to_json(),
            Event::Alert(event) => event.to_json(),
            Event::Market(event) => event.to_json(),
            Event::Guard(event) => event.to_json(),
            Event::Strategy(event) => event.to_json(),
            Event::Maker(event) => event.to_json(),
            Event::Taker(event) => event.to_json(),
            Event::Venue(event) => event.to_json(),
            Event::Unknown(unknown) => serde_json::json!({
                "number": unknown.number,
                "schema": unknown.schema,
                "bytes": unknown.bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            }),
        }
    }

    /// The event that [`Event::to_json`] wrote at the current schema.
    pub fn from_json(kind: &str, payload: &serde_json::Value) -> Result<Event, CodecError> {
        let not = |error: serde_json::Error| CodecError::Json { kind: kind.to_string(), why: error.to_string() };
        if kind == ANSWERED.name {
            return serde_json::from_value(payload.clone()).map(Event::Answered).map_err(not);
        }
        macro_rules! known {
            ($($variant:ident $module:ident),*) => { $(
                if let Some(event) = $module::Event::from_json(kind, payload) {
                    return event.map(Event::$variant).map_err(not);
                }
            )* };
        }
        known!(Desk desk, Account account, Endpoint endpoint, Alert alert, Market market, Guard guard, Strategy strategy, Maker maker, Taker taker, Venue order);
        if kind == "unknown" {
            return unknown_from(payload).ok_or_else(|| CodecError::UnknownKind(kind.to_string()));
        }
        Err(CodecError::UnknownKind(kind.to_string()))
    }
}

fn unknown_from(payload: &serde_json::Value) -> Option<Event> {
    let number = |name: &str| payload.get(name)?.as_u64().and_then(|value| u16::try_from(value).ok());
    let text = payload.get("bytes")?.as_str()?;
    let bytes = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok());
    let bytes = bytes.collect::<Option<Vec<u8>>>()?;
    Some(Event::Unknown(Unknown { number: number("number")?, schema: number("schema")?, bytes }))
}

/// Payloads have string keys and no floats, so that this cannot fail.
pub(crate) fn json<T: serde::Serialize>(payload: &T) -> serde_json::Value {
    match serde_json::to_value(payload) {
        Ok(value) => value,
        Err(error) => unreachable!("a payload that is no JSON: {error}"),
    }
}
