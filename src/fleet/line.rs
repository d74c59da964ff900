//! The connections of one station.

use std::sync::mpsc::Sender;
use std::time::Duration;
use tidehelm_terminal::client::{self, Addresses, Line, Reconnect, Word};

/// What happened on a line. Its number tells it from the one that the station had before.
#[derive(Debug)]
pub struct Happening {
    pub station: usize,
    pub line: u64,
    pub what: Word,
}

pub struct Numbered {
    pub number: u64,
    pub line: Line,
}

const RECONNECT: Reconnect = Reconnect { least: Duration::from_millis(50), most: Duration::from_secs(1) };

impl Numbered {
    pub fn dial(
        addresses: &Addresses,
        station: usize,
        number: u64,
        told: &Sender<Happening>,
    ) -> Result<Numbered, client::Error> {
        let told = told.clone();
        let line = Line::open(addresses, RECONNECT, move |what| {
            // The fleet may have ended.
            let _ = told.send(Happening { station, line: number, what });
        })?;
        Ok(Numbered { number, line })
    }
}
