//! A desk without a server: for tools that change something while none runs. The same journal and the same log, one command
//! at a time.

use crate::ambient::{self, DeskClock};
use crate::cli::output::{CliError, Exit};
use crate::config::Config;
use crate::keys::Keys;
use crate::seal::MasterFile;
use crate::serve::unreadable;
use crate::store::{Mode, Store, StoreConfig};
use tidehelm_actors::journal::{Journal, Limits, Reply};
use tidehelm_actors::node::{Command, Order};
use tidehelm_actors::port::{Clock, CommitLog, Depot, Saved};
use tidehelm_actors::writer::{self, restore};
use tidehelm_events::answer::{Answer, BodyHash, Status};
use tidehelm_events::commit::Hash;
use tidehelm_events::desk::{Command as DeskCommand, Desk};
use tidehelm_events::id::{CommandId, DeskId, NodeId, Position, Principal, StreamId};
use tidehelm_events::time::Timestamp;
use tidehelm_events::truth;

pub struct Offline {
    store: Store,
    journal: Journal<()>,
    clock: DeskClock,
    node: NodeId,
    pub keys: Keys,
}

impl Offline {
    /// Takes over the desk that is there. A directory with a mistake in its name makes no new one.
    pub async fn open(config: &Config) -> Result<Self, CliError> {
        Store::open(&StoreConfig::from(config), Mode::ReadOnly, ambient::wall()).await?.close().await?;
        let store = Store::open(&StoreConfig::from(config), Mode::Write, ambient::wall()).await?;
        Offline::over(store, MasterFile::of(config)?).await
    }

    /// Takes over a log that is open for writing; an empty one is begun.
    pub async fn over(mut store: Store, master: MasterFile) -> Result<Self, CliError> {
        let node = NodeId(ambient::uuid_v7());
        let (restored, head, _) = writer::open(&mut store, node, &[]).await.map_err(|error| unreadable(&error))?;
        let clock = DeskClock::default();
        clock.at_least(head.committed_at);
        let keys = Keys::load(store.twin(), master, &restored.fold.truth.desk().cloned().unwrap_or_default()).await?;
        let journal = Journal::new(restored, head, node, Limits::default());
        let mut offline = Offline { store, journal, clock, node, keys };
        if offline.journal.truth().desk_id().is_none() {
            let open = DeskCommand::Open { desk: DeskId(ambient::uuid()), build: env!("CARGO_PKG_VERSION").into() };
            offline.ask(StreamId::Desk, Command::Desk(open), Principal::Desk, None).await?;
        }
        offline.settle().await?;
        Ok(offline)
    }

    pub fn desk(&self) -> Desk {
        self.journal.truth().desk().cloned().unwrap_or_default()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Wants something of the desk, as somebody who has its data in hand.
    pub async fn want(&mut self, command: DeskCommand) -> Result<Reply, CliError> {
        let id = Some(CommandId(ambient::uuid_v7()));
        let reply = self.ask(StreamId::Desk, Command::Desk(command), Principal::Operator, id).await?;
        match &reply.answer {
            Answer::Done { .. } => Ok(reply),
            Answer::Refused(denial) => {
                let exit = match denial.status {
                    Status::NotFound => Exit::NotFound,
                    Status::Conflict | Status::Stale => Exit::Conflict,
                    Status::Invalid => Exit::Usage,
                    Status::Forbidden => Exit::Blocked,
                };
                Err(CliError::new(exit, denial.detail.clone()))
            }
        }
    }

    /// Submits one command and makes it durable.
    pub async fn ask(
        &mut self,
        to: StreamId,
        command: Command,
        by: Principal,
        id: Option<CommandId>,
    ) -> Result<Reply, CliError> {
        let now = self.clock.now();
        let order =
            Order { to, command, by, id, body: BodyHash(0), expected: None, occurred_at: now, received_at: now };
        let refused = |fault: tidehelm_actors::journal::Fault| CliError::failed(fault.to_string());
        self.journal.submit(order, (), now).map_err(|((), fault)| refused(fault))?;
        let mut replies = self.settle().await?;
        replies.pop().ok_or_else(|| CliError::failed("the command was not answered"))
    }

    /// Makes durable everything that was accepted, reactions that were owed included.
    async fn settle(&mut self) -> Result<Vec<Reply>, CliError> {
        let mut replies: Vec<Reply> = self.journal.release_ready().into_iter().map(|((), reply)| reply).collect();
        while let Some(sealed) = self.journal.seal(self.clock.now()) {
            let written = self.store.append(&sealed.commit, &sealed.audit, &sealed.expected).await;
            written.map_err(|fault| {
                CliError::failed(fault.to_string()).hint("the log tells what is true: look, then try again")
            })?;
            replies.extend(self.journal.durable().replies.into_iter().map(|((), reply)| reply));
        }
        Ok(replies)
    }

    /// Saves the state at the end of the log, for a faster start.
    pub async fn snapshot(&mut self) -> Result<Position, CliError> {
        let (restored, _) =
            restore(&mut self.store, Position(u64::MAX), &[]).await.map_err(|error| unreadable(&error))?;
        let (position, bytes) = (restored.fold.truth.position(), restored.fold.to_bytes());
        let build = env!("CARGO_PKG_VERSION").to_string();
        let (hash, at) = (Hash::of(&bytes), self.clock.now());
        self.store.save(&Saved { position, schema: truth::SCHEMA, build, at, hash, bytes }).await?;
        Ok(position)
    }

    pub fn store(&mut self) -> &mut Store {
        &mut self.store
    }

    /// Gives the log back.
    pub async fn close(mut self) -> Result<(), CliError> {
        self.store.release(self.node, self.journal.epoch()).await?;
        self.keys.close().await?;
        Ok(self.store.close().await?)
    }
}
