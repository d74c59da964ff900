//! The power goes off: what was answered over HTTP is on every disk that a crash could leave behind.

use crate::desk::{Launch, heartbeat};
use crate::log::block_on;
use crate::shim::{Choice, CrashImage, Op, Recording, Rng};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use tidehelm::store::{Mode, SqliteOptions, SqliteStore};
use tidehelm_actors::journal::{Journal, Limits};
use tidehelm_actors::node::{self, Order};
use tidehelm_actors::port::CommitLog;
use tidehelm_actors::restore::Restored;
use tidehelm_actors::writer;
use tidehelm_events::answer::BodyHash;
use tidehelm_events::commit::{Hash, Head};
use tidehelm_events::desk;
use tidehelm_events::id::{CommandId, DeskId, NodeId, Principal, StreamId};
use tidehelm_events::reason::Reason;
use tidehelm_events::time::{Span, Timestamp};

/// The ends of all commits, in order.
type Chain = Vec<(u64, Hash)>;

/// What one image has lost, if anything.
fn lost(image: &Path, acked: u64, reference: &Chain) -> Result<Chain, String> {
    let chain = block_on(read(image)).map_err(|error| format!("cannot be opened: {error}"))?;
    let end = chain.last().map_or(0, |(position, _)| *position);
    if end < acked {
        return Err(format!("position {acked} was answered and the log ends at {end}"));
    }
    let known = |(position, hash): &(u64, Hash)| reference.contains(&(*position, *hash));
    match chain.iter().find(|entry| entry.0 <= acked && !known(entry)) {
        Some((position, _)) => Err(format!("the commit that ends at {position} is another one")),
        None => Ok(chain),
    }
}

/// Opens the store as a server would, believes the log link by link, and asks for every credential behind the state.
async fn read(dir: &Path) -> Result<Chain, String> {
    let options = SqliteOptions::default();
    let mut store = SqliteStore::open(dir, Mode::Write, options).await.map_err(|error| error.to_string())?;
    let node = NodeId(uuid::Uuid::from_u128(1));
    let (restored, head, _) = writer::open(&mut store, node, &[]).await.map_err(|error| error.to_string())?;
    let (mut chain, mut previous) = (Chain::new(), Head::default());
    while previous.position < head.position {
        for entry in store.read(previous.position, 256).await.map_err(|error| error.to_string())? {
            entry.check(&previous).map_err(|error| error.to_string())?;
            previous = entry.head();
            chain.push((previous.position.0, previous.hash));
        }
    }
    if let Some(desk) = restored.fold.truth.desk() {
        let users = desk.users.values().map(|user| user.credential);
        for id in users.chain(desk.tokens.keys().copied()).chain(desk.sessions.keys().copied()) {
            let secret = store.reader().secret(id).await.map_err(|error| error.to_string())?;
            secret.ok_or_else(|| format!("the log knows credential {id}, and nothing is behind it"))?;
        }
    }
    store.close().await.map_err(|error| error.to_string())?;
    Ok(chain)
}

/// Writes out images and looks what is lost, with what had been acknowledged before each.
struct Trial<'a> {
    scratch: &'a Path,
    /// Where the data directory lies in the image.
    data: &'a str,
    reference: Chain,
    images: usize,
    with_answers: usize,
    beyond: usize,
    losses: Vec<String>,
}

impl<'a> Trial<'a> {
    fn new(scratch: &'a Path, data: &'a str, reference: Chain) -> Self {
        Trial { scratch, data, reference, images: 0, with_answers: 0, beyond: 0, losses: Vec::new() }
    }

    fn check(&mut self, crash: &CrashImage, acked: u64) {
        let dir = self.scratch.join(format!("image-{}", self.images));
        crash.image.write_to(&dir);
        self.images += 1;
        self.with_answers += usize::from(acked > 0);
        match lost(&dir.join(self.data), acked, &self.reference) {
            Ok(chain) => self.beyond += usize::from(chain.last().is_some_and(|(end, _)| *end > acked)),
            Err(why) => self.losses.push(format!("after operation {} ({:?}): {why}", crash.index, crash.choice)),
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }

    /// Images of all kinds from all over the recording, and the poorest one of many moments.
    fn sweep(&mut self, recording: &Recording, images: usize, acked: impl Fn(usize) -> u64) {
        for crash in recording.images(11, images) {
            self.check(&crash, acked(crash.index));
        }
        let mut rng = Rng::new(12);
        let answers: Vec<usize> = (0..recording.ops.len())
            .filter(|at| matches!(recording.ops[*at], Op::Acked { .. } | Op::Sent { .. }))
            .collect();
        for index in answers.iter().copied().step_by(answers.len().div_ceil(images / 2).max(1)) {
            let image = recording.image_at(index, Choice::None, &mut rng);
            self.check(&CrashImage { index, choice: Choice::None, image }, acked(index));
        }
    }
}

/// The last position that had been answered over HTTP.
fn answered(recording: &Recording, index: usize) -> u64 {
    let mut last = 0;
    for stream in recording.sent_before(index) {
        let text = String::from_utf8_lossy(&stream);
        for line in text.split("\r\n") {
            if let Some((_, end)) = line.strip_prefix("tidehelm-events: ").and_then(|events| events.split_once("..")) {
                last = last.max(end.parse().unwrap());
            }
            if line.contains("\"accepted\":") && line.contains('}') {
                let taken: Value = serde_json::from_str(line).unwrap_or_default();
                last = last.max(taken["position"].as_u64().unwrap_or(0));
            }
        }
    }
    last
}

/// A recording without its syncs: what a server that never syncs would leave.
fn without_syncs(recording: &Recording) -> Recording {
    let syncs = |op: &Op| matches!(op, Op::Synced { .. } | Op::DataSynced { .. } | Op::AllSynced);
    Recording::new(recording.ops.iter().filter(|op| !syncs(op)).cloned().collect())
}

fn reference(dir: &Path) -> Chain {
    block_on(read(dir)).unwrap()
}

#[test]
fn shim_what_the_server_answered_survives_a_power_cut() {
    let temp = tempfile::tempdir().unwrap();
    let (watched, trace) = (temp.path().join("watched"), temp.path().join("trace"));
    std::fs::create_dir(&watched).unwrap();
    let shim = Recording::compile_shim(temp.path());
    let launch = Launch::new(&watched.join("data")).set("snapshots.every_events", "150");
    let mut command = launch.command();
    Recording::watch_sockets(&mut command, &shim, &watched, &trace);
    let desk = launch.start_as(command);
    let admin = desk.welcome("ann");
    let bot = desk.token(&admin, "bot", "operator");
    for account in ["master/Demo_1", "slave/Demo_2"] {
        bot.register(account).ok();
    }
    bot.call("PUT", "/api/links/Demo_2/Demo_1").send().ok();
    for round in 0..40u64 {
        let path = "/api/accounts/master/Demo_1/toggle";
        bot.call("POST", path).key(&format!("key-{round}")).json(&json!({"enabled": round % 2 == 0})).send().ok();
        let beats: Vec<Value> = (0..5).map(|beat| heartbeat("slave/Demo_2", round * 5 + beat)).collect();
        assert_eq!(bot.post("/api/heartbeats", &json!(beats)).ok()["accepted"], 5);
        if round % 10 == 0 {
            desk.token(&admin, &format!("bot-{round}"), "viewer");
        }
    }
    desk.stop();
    let recording = Recording::load(&trace);
    // A read model may be in the middle of a write when the process ends: the last operation can be missing, as after a kill.
    recording.assert_tracked();
    let reference = reference(&watched.join("data"));

    let mut trial = Trial::new(temp.path(), "data", reference.clone());
    trial.sweep(&recording, 220, |index| answered(&recording, index));
    assert_eq!(trial.losses, Vec::<String>::new());
    let mutant = without_syncs(&recording);
    let mut unsynced = Trial::new(temp.path(), "data", reference.clone());
    unsynced.sweep(&mutant, 40, |index| answered(&mutant, index));
    println!(
        "power cuts: {} operations recorded, {} commits, {} images ({} with answers to keep, {} with more than was answered), \
         nothing lost; without syncs {} of {} images lose an answer",
        recording.ops.len(),
        reference.len(),
        trial.images,
        trial.with_answers,
        trial.beyond,
        unsynced.losses.len(),
        unsynced.images,
    );
    assert!(trial.images >= 200 && trial.with_answers > 100 && trial.beyond > 0);
    assert!(!unsynced.losses.is_empty(), "a server that never syncs must be caught");
}

/// A writer of the real journal and store, in a process that the recorder can watch.
#[test]
#[ignore = "the process that shim_a_store_that_does_not_sync_is_caught starts"]
fn writer_process() {
    let Ok(dir) = std::env::var("WRITER_DIR") else { return };
    let durable = std::env::var("WRITER_DURABLE").unwrap() == "true";
    block_on(async {
        let options = SqliteOptions { durable, ..SqliteOptions::default() };
        let mut store = SqliteStore::open(Path::new(&dir), Mode::Write, options).await.unwrap();
        let node = NodeId(uuid::Uuid::from_u128(1));
        let head = store.take_over(node).await.unwrap();
        let mut journal = Journal::new(Restored::default(), head, node, Limits::default());
        let open = desk::Command::Open { desk: DeskId(uuid::Uuid::from_u128(2)), build: "test".into() };
        let mut now = Timestamp(1_000_000);
        for turn in 0..60u128 {
            let reason = Reason::new("on and off").unwrap();
            let command = match turn {
                0 => open.clone(),
                turn if turn % 2 == 1 => desk::Command::Lock { reason },
                _ => desk::Command::Unlock { reason },
            };
            let order = Order {
                to: StreamId::Desk,
                command: node::Command::Desk(command),
                by: Principal::Operator,
                id: Some(CommandId(uuid::Uuid::from_u128(100 + turn))),
                body: BodyHash(0),
                expected: None,
                occurred_at: now,
                received_at: now,
            };
            journal.submit(order, (), now).unwrap();
            let sealed = journal.seal(now).unwrap();
            store.append(&sealed.commit, &sealed.audit, &sealed.expected).await.unwrap();
            journal.durable();
            println!("\nacknowledged {}", sealed.commit.header.last);
            now = now + Span::millis(10);
        }
        store.close().await.unwrap();
    });
}

fn record_writer(scratch: &Path, durable: bool) -> (Recording, Chain) {
    let (dir, trace) = (scratch.join(format!("dir-{durable}")), scratch.join(format!("trace-{durable}")));
    std::fs::create_dir(&dir).unwrap();
    let shim = Recording::compile_shim(scratch);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "power::writer_process", "--ignored", "--nocapture", "--test-threads", "1"]);
    command.env("WRITER_DIR", &dir).env("WRITER_DURABLE", durable.to_string()).stdin(Stdio::null());
    Recording::watch(&mut command, &shim, &dir, &trace);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let recording = Recording::load(&trace);
    recording.assert_complete(&dir);
    (recording, reference(&dir))
}

fn acknowledged(recording: &Recording, index: usize) -> u64 {
    let acks = recording.acks_before(index);
    acks.iter().rev().find_map(|line| line.strip_prefix("acknowledged ")?.parse().ok()).unwrap_or(0)
}

#[test]
fn shim_a_store_that_does_not_sync_is_caught() {
    let temp = tempfile::tempdir().unwrap();
    for durable in [true, false] {
        let (recording, reference) = record_writer(temp.path(), durable);
        let mut trial = Trial::new(temp.path(), "", reference.clone());
        trial.sweep(&recording, 100, |index| acknowledged(&recording, index));
        println!(
            "synchronous {}: {} commits, {} images ({} with answers to keep), {} lose something",
            if durable { "FULL" } else { "OFF" },
            reference.len(),
            trial.images,
            trial.with_answers,
            trial.losses.len()
        );
        assert!(trial.with_answers > 50 && reference.len() == 60);
        assert_eq!(trial.losses.is_empty(), durable, "{:?}", trial.losses);
    }
}
