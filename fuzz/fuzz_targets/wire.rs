//! The decoder of what terminals and desks send: nothing makes it panic or allocate beyond its input, and what it reads it
//! writes so that it is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidehelm_events::id::DeskId;
use tidehelm_terminal::wire::{self, Answer, Body, Codec, Direction, Key, Place, Request, Socket};
use uuid::Uuid;

fuzz_target!(|message: &[u8]| {
    for frame in wire::split(message).flatten() {
        let Ok(frame) = wire::open(frame) else { continue };
        let place = Place { socket: Socket::Session, direction: Direction::Up, desk: DeskId(Uuid::nil()) };
        assert!(frame.signature.is_none() || !frame.is_by(&Key([7; 32]), &place), "a MAC was guessed");
        read::<Request>(frame.inner);
        read::<Answer>(frame.inner);
    }
});

fn read<B: Body + PartialEq + std::fmt::Debug>(inner: &[u8]) {
    let Ok(envelope) = wire::decode::<B>(inner) else { return };
    for codec in [Codec::Json, Codec::Binary] {
        let written = wire::encode(&envelope, codec);
        // JSON is longer than bincode: what was near the limit may be beyond it.
        if written.len() <= envelope.body.kind().size_max() {
            assert_eq!(wire::decode::<B>(&written).as_ref(), Ok(&envelope));
        }
    }
}
