//! What only the machine knows: its disks, how far behind the pages are, snapshots and backups.

use super::aside::Looking;
use crate::ambient::{Stopwatch, stopwatch};
use crate::http::Data;
use crate::store::Store;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};
use tidehelm_actors::port::Clock;
use tidehelm_events::alert::Subject;
use tidehelm_events::alert::watch::{Disk, Machine};
use tidehelm_events::time::{Span, Timestamp};

/// Disks and directories are looked at no more often.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// A snapshot that is due is given so long to be written.
const SNAPSHOT_GRACE: Span = Span::seconds(60);

/// What was seen last.
pub struct Eyes {
    store: Store,
    started_at: Timestamp,
    failures: u64,
    looked: Option<Stopwatch>,
    looking: Looking<Places>,
    places: Vec<(&'static str, PathBuf)>,
    backups: PathBuf,
    seen: Machine,
}

/// What the file systems show. A mount may hang: then it is as it was seen last.
struct Places {
    disks: Vec<Disk>,
    backup_at: Option<Timestamp>,
    /// Disks that did not say.
    unknown: Vec<Subject>,
}

fn snapshots() -> Subject {
    Subject::of("desk", "snapshots")
}

impl Eyes {
    pub fn new(app: &Data, store: Store) -> Self {
        let (data, backups) = (app.config.data.dir.clone(), app.config.alerts.backup_dir.clone());
        let mut places = vec![("data", data)];
        if !backups.as_os_str().is_empty() {
            places.push(("backup", backups.clone()));
        }
        let (started_at, looking) = (app.clock.now(), Looking::default());
        // Nothing is known before the first look.
        let disks = places.iter().map(|(name, _)| Subject::of("disk", name));
        let unknown = disks.chain([snapshots(), Subject::of("desk", "backups")]).collect();
        let seen = Machine { unknown, ..Machine::default() };
        Eyes { store, started_at, failures: 0, looked: None, looking, places, backups, seen }
    }

    pub async fn machine(&mut self, app: &Data) -> Machine {
        let gauges = &app.host.gauges;
        let shown = app.host.durable.read(|fold| fold.truth.position());
        self.seen.lag = gauges.durable.load(Ordering::Relaxed).saturating_sub(shown.0);
        let failures = gauges.failures.load(Ordering::Relaxed);
        if failures > self.failures {
            (self.failures, self.seen.log_failed_at) = (failures, Some(app.clock.now()));
        }
        if let Some(Places { disks, backup_at, unknown }) = self.looking.take() {
            (self.seen.disks, self.seen.backup_at) = (disks, backup_at);
            self.seen.unknown.retain(|subject| *subject == snapshots());
            self.seen.unknown.extend(unknown);
        }
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
            self.looked = Some(stopwatch());
            let (places, backups) = (self.places.clone(), self.backups.clone());
            self.looking.begin("alert-look", move || look(&places, &backups));
            self.seen.unsaved_since = self.unsaved_since(app).await;
        }
        self.seen.clone()
    }

    /// A snapshot is written with the first event after it is due; so one is missing only where something came later than that.
    /// Whether those of before the start were in time is not said any more: that is unknown until the next one is written.
    async fn unsaved_since(&mut self, app: &Data) -> Option<Timestamp> {
        let head = app.host.durable.head();
        let newest = match self.store.reader().list().await {
            Ok(list) => list.last().copied(),
            Err(error) => {
                tracing::debug!(%error, "snapshots cannot be listed");
                return self.seen.unsaved_since;
            }
        };
        let every = Span::millis(i64::try_from(app.config.snapshots.every.get()).unwrap_or(i64::MAX));
        let due = newest.map_or(self.started_at, |(_, at)| at.max(self.started_at)) + every;
        let behind = newest.is_none_or(|(position, _)| position < head.position);
        match behind && newest.is_none_or(|(_, at)| at < self.started_at) {
            true => drop(self.seen.unknown.insert(snapshots())),
            false => drop(self.seen.unknown.remove(&snapshots())),
        }
        (behind && head.committed_at > due + SNAPSHOT_GRACE).then_some(due)
    }
}

fn look(places: &[(&'static str, PathBuf)], backups: &Path) -> Places {
    let (mut disks, mut unknown) = (Vec::new(), Vec::new());
    for (name, path) in places {
        match disk(name, path) {
            Some(disk) => disks.push(disk),
            None => unknown.push(Subject::of("disk", name)),
        }
    }
    Places { disks, backup_at: last_backup(backups), unknown }
}

/// None where the system does not say.
fn disk(name: &str, path: &Path) -> Option<Disk> {
    let found = rustix::fs::statvfs(path).ok()?;
    let (all, free) = (found.f_blocks.saturating_sub(found.f_bfree).saturating_add(found.f_bavail), found.f_bavail);
    let percent = (u128::from(free) * 100).checked_div(u128::from(all))?;
    let free_mib = u64::try_from((u128::from(free) * u128::from(found.f_frsize)) >> 20).unwrap_or(u64::MAX);
    Some(Disk { name: name.into(), free_percent: u8::try_from(percent).unwrap_or(100), free_mib })
}

/// The newest file or directory in the directory of backups; 0 where there is none. None where nobody said where they are.
fn last_backup(dir: &Path) -> Option<Timestamp> {
    if dir.as_os_str().is_empty() {
        return None;
    }
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let times = entries.filter_map(|entry| entry.metadata().ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok());
    let newest = times.max().and_then(|since| i64::try_from(since.as_micros()).ok());
    Some(newest.map_or(Timestamp::ZERO, Timestamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_entry_is_the_last_backup() {
        let temp = tempfile::tempdir().unwrap();
        assert_eq!(last_backup(Path::new("")), None);
        assert_eq!(last_backup(&temp.path().join("none")), Some(Timestamp::ZERO));
        assert_eq!(last_backup(temp.path()), Some(Timestamp::ZERO));
        std::fs::write(temp.path().join("desk.db"), "x").unwrap();
        assert!(last_backup(temp.path()).unwrap() > Timestamp(1_700_000_000_000_000));
    }

    #[test]
    fn a_disk_says_how_much_of_it_is_free() {
        let temp = tempfile::tempdir().unwrap();
        let disk = disk("data", temp.path()).unwrap();
        assert!(disk.free_percent <= 100 && disk.name == "data");
        assert!(super::disk("data", Path::new("/nowhere/at/all")).is_none());
    }
}
