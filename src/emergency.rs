//! STOP while the log cannot be written.
//!
//! Pressing STOP blocks every entry at once, in memory. Then it is written to a file of its own (`file`), and then acted on: the
//! orders follow from the last durable state by the same decision that the log takes later. Once the log can be written again it
//! takes in what was pressed before anything else, under the same name, so that nothing happens twice.

mod file;

pub use file::{EmergencyFile, FileError, Press};

use file::{Page, Record};
use serde::Serialize;
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tidehelm_actors::node::{Command, Order};
use tidehelm_events::answer::BodyHash;
use tidehelm_events::copy::StopDegree;
use tidehelm_events::desk;
use tidehelm_events::id::{CommandId, DeskId, Principal, StreamId};
use tidehelm_events::react::Pressed;
use tidehelm_events::reason::Reason;
use tidehelm_events::time::Timestamp;
use utoipa::ToSchema;
use uuid::Uuid;

/// Where a STOP is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Recorded {
    Log,
    EmergencyLog,
    /// In memory only: a restart before the log is back forgets it.
    Nowhere,
}

/// What was pressed and is not in the log yet.
pub struct Emergency {
    pressed: Mutex<Vec<Pending>>,
    file: Mutex<EmergencyFile>,
    /// How far entries and orders are stopped: readable from every thread without waiting for anybody.
    degree: AtomicU8,
    /// How many presses wait for the log: nobody knows yet, so no entry goes out.
    held: AtomicUsize,
    news: tokio::sync::Notify,
}

#[derive(Debug, Clone)]
pub struct Pending {
    pub press: Press,
    pub written: bool,
    /// How far its orders went out.
    pub acted: Option<StopDegree>,
}

impl Press {
    /// The order that takes it into the log, the same each time.
    pub fn order(&self) -> Order {
        let (degree, reason, stop) = (self.degree, self.reason.clone(), self.stop);
        Order {
            to: StreamId::Desk,
            command: Command::Desk(desk::Command::Stop { degree, reason, stop }),
            by: self.by.clone(),
            id: Some(self.command),
            body: self.body,
            expected: None,
            occurred_at: self.at,
            received_at: self.at,
        }
    }

    fn pressed(&self) -> Pressed {
        Pressed { degree: self.degree, stop: self.stop }
    }
}

impl Emergency {
    /// Reads what was pressed before a restart, for this desk. Pages that cannot be read are named; the last one may be a STOP
    /// that was not written to its end, and counts as one that pauses.
    pub fn open(path: &Path, desk: Option<DeskId>, now: Timestamp) -> Result<Self, FileError> {
        EmergencyFile::open(path).map(|file| Emergency::over(file, desk, now))
    }

    pub fn over(file: EmergencyFile, desk: Option<DeskId>, now: Timestamp) -> Self {
        let pressed = found(&file, desk, now);
        let emergency = Emergency {
            pressed: Mutex::new(pressed),
            file: Mutex::new(file),
            degree: AtomicU8::new(0),
            held: AtomicUsize::new(0),
            news: tokio::sync::Notify::new(),
        };
        emergency.lift();
        emergency
    }

    /// How far the desk is stopped beside the log.
    pub fn degree(&self) -> Option<StopDegree> {
        match self.degree.load(Ordering::Acquire) {
            0 => None,
            1 => Some(StopDegree::Pause),
            2 => Some(StopDegree::Cancel),
            _ => Some(StopDegree::Flatten),
        }
    }

    /// Entries wait until as many times [`Emergency::release`] is called.
    pub fn hold(&self) {
        self.held.fetch_add(1, Ordering::AcqRel);
    }
    pub fn release(&self) {
        self.held.fetch_sub(1, Ordering::AcqRel);
    }
    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire) > 0
    }

    /// Says anew how far the desk is stopped, once those who block by it know what the log says.
    pub fn lift(&self) {
        let pending = self.pending();
        let degree = pending.iter().map(|pending| pending.press.degree as u8 + 1).max();
        self.degree.store(degree.unwrap_or(0), Ordering::Release);
    }

    /// What is not in the log yet, oldest first.
    pub fn all(&self) -> Vec<Pending> {
        self.pending().clone()
    }
    pub fn oldest(&self) -> Option<Press> {
        self.pending().first().map(|pending| pending.press.clone())
    }
    /// What the log has to take in before anything else.
    pub fn orders(&self) -> Vec<Order> {
        self.pending().iter().map(|pending| pending.press.order()).collect()
    }
    /// Returns when something was pressed since it returned last.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// Blocks every entry from here on, and says what is to be written and acted on: this, or an earlier one that goes as far and
    /// did not come through. Where that one did, the answer is how far.
    pub fn begin(&self, press: Press) -> Result<Press, StopDegree> {
        let begun = {
            let mut pending = self.pending();
            let known =
                pending.iter().find(|known| known.press.stop == press.stop || known.press.degree >= press.degree);
            match known {
                Some(known) if known.press.stop != press.stop && known.acted >= Some(known.press.degree) => {
                    return Err(known.press.degree);
                }
                Some(known) => known.press.clone(),
                None => {
                    pending.push(Pending { press: press.clone(), written: false, acted: None });
                    press
                }
            }
        };
        self.lift();
        self.news.notify_one();
        Ok(begun)
    }

    /// Puts it on the disk, unless it is there or in the log. May take as long as the disk does.
    pub fn write(&self, press: &Press) -> Result<(), FileError> {
        let mut file = self.file();
        let waits = |pending: &Pending| pending.press.stop == press.stop && !pending.written;
        if !self.pending().iter().any(waits) {
            return Ok(());
        }
        file.append(Record::Pressed(Box::new(press.clone())))?;
        self.change(press.stop, |pending| pending.written = true);
        Ok(())
    }

    /// What was pressed before it and is not in the log either.
    pub fn before(&self, stop: Uuid) -> Vec<Pressed> {
        let pending = self.pending();
        pending.iter().map(|pending| pending.press.pressed()).take_while(|pressed| pressed.stop != stop).collect()
    }

    /// Its orders are out, so far.
    pub fn acted(&self, stop: Uuid, degree: StopDegree) {
        self.change(stop, |pending| pending.acted = pending.acted.max(Some(degree)));
    }

    /// The log has it. What blocks by [`Emergency::degree`] goes on until [`Emergency::lift`].
    pub fn taken(&self, stop: Uuid) {
        self.pending().retain(|pending| pending.press.stop != stop);
    }

    /// Writes down that the log has it. May take as long as the disk does; if it fails, the log is told again after a restart, and
    /// knows.
    pub fn note_taken(&self, stop: Uuid) -> Result<(), FileError> {
        let mut file = self.file();
        if file.pages().iter().all(|page| *page == Page::Blank) {
            return Ok(());
        }
        file.append(Record::Taken { stop })?;
        if self.pending().iter().any(|pending| pending.written) { Ok(()) } else { file.clear() }
    }

    fn change(&self, stop: Uuid, change: impl FnOnce(&mut Pending)) {
        if let Some(pending) = self.pending().iter_mut().find(|pending| pending.press.stop == stop) {
            change(pending);
        }
    }
    fn pending(&self) -> MutexGuard<'_, Vec<Pending>> {
        self.pressed.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn file(&self) -> MutexGuard<'_, EmergencyFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a file says that the log may not have yet.
fn found(file: &EmergencyFile, desk: Option<DeskId>, now: Timestamp) -> Vec<Pending> {
    let pages = file.pages();
    let path = file.path().display();
    let last = pages.iter().rposition(|page| *page != Page::Blank);
    let mut pressed: Vec<Press> = Vec::new();
    for (at, page) in pages.iter().enumerate() {
        match (page, desk) {
            (Page::Blank, _) => {}
            (Page::Record(Record::Taken { stop }), _) => pressed.retain(|press| press.stop != *stop),
            (Page::Record(Record::Pressed(press)), desk) if Some(press.desk) == desk => {
                pressed.push(press.as_ref().clone())
            }
            (Page::Record(Record::Pressed(press)), _) => {
                tracing::warn!(page = at + 1, desk = %press.desk, %path, "the emergency log has a STOP for another desk; it is not taken in");
            }
            (Page::Damaged(why, name), Some(desk)) if Some(at) == last => {
                tracing::warn!(page = at + 1, %why, %path, "the last record of the emergency log cannot be read; the desk is paused");
                pressed.extend(unreadable(at + 1, *name, desk, now));
            }
            (Page::Damaged(why, _), _) => {
                tracing::warn!(page = at + 1, %why, %path, "a record of the emergency log cannot be read");
            }
        }
    }
    pressed.into_iter().map(|press| Pending { press, written: true, acted: None }).collect()
}

/// Somebody pressed STOP, and nobody knows how far it was to go: nothing is opened until a person has looked.
fn unreadable(page: usize, name: Uuid, desk: DeskId, at: Timestamp) -> Option<Press> {
    let text = format!(
        "page {page} of the emergency log cannot be read: STOP was pressed as the machine failed, or the disk is bad"
    );
    Some(Press {
        desk,
        degree: StopDegree::Pause,
        reason: Reason::new(text).ok()?,
        stop: name,
        by: Principal::Desk,
        command: CommandId(name),
        body: BodyHash(0),
        at,
    })
}
