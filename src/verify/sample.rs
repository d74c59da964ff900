//! A small log with something of everything.

use crate::ambient;
use crate::config::Config;
use crate::keys::Kind;
use crate::offline::Offline;
use crate::seal::MasterFile;
use crate::store::{Mode, Store, StoreConfig};
use std::path::Path;
use tidehelm_actors::node::Command;
use tidehelm_events::account::{self, HeartbeatSeen, Registered, StateHash};
use tidehelm_events::desk::{Access, Command as DeskCommand};
use tidehelm_events::id::{AccountId, CommandId, Principal, Role, StreamId, UserName};
use tidehelm_events::money::Money;
use tidehelm_events::reason::Reason;

pub fn config(dir: &Path) -> Config {
    let mut config = Config::default();
    config.data.dir = dir.to_path_buf();
    config
}

/// A log with a user, a master, a slave that follows it, heartbeats, a refusal and a snapshot in the middle.
pub async fn fill(dir: &Path) {
    let store = Store::open(&StoreConfig::from(&config(dir)), Mode::Write, ambient::wall()).await.unwrap();
    let mut desk = Offline::over(store, MasterFile::of(&config(dir)).unwrap()).await.unwrap();
    let (token, _) = desk.keys.issue(Kind::Token).await.unwrap();
    desk.want(DeskCommand::CreateToken { token, name: "job".into(), access: Access::Viewer, expires_at: None })
        .await
        .unwrap();
    let credential = desk.keys.set_password("correct horse".into()).await.unwrap();
    desk.want(DeskCommand::AddUser { name: UserName::new("ann").unwrap(), access: Access::Admin, credential })
        .await
        .unwrap();
    let master = AccountId::new("M_1").unwrap();
    let slave = AccountId::new("S_1").unwrap();
    for (role, id) in [(Role::Master, &master), (Role::Slave, &slave)] {
        say(&mut desk, role, id, account::Command::Register(Box::new(registered())), true).await;
    }
    say(
        &mut desk,
        Role::Slave,
        &slave,
        account::Command::Link { master: master.clone(), enabled: true, settings: Box::default() },
        true,
    )
    .await;
    desk.snapshot().await.unwrap();
    for round in 0..3 {
        for (role, id) in [(Role::Master, &master), (Role::Slave, &slave)] {
            say(&mut desk, role, id, account::Command::Heartbeat(heartbeat(round)), false).await;
        }
    }
    say(&mut desk, Role::Master, &master, account::Command::SetIntent { enabled: true }, true).await;
    let reason = Reason::new("lunch").unwrap();
    desk.want(DeskCommand::Lock { reason: reason.clone() }).await.unwrap();
    assert!(desk.want(DeskCommand::Lock { reason }).await.is_err(), "the log is to hold a refusal");
    desk.close().await.unwrap();
}

async fn say(desk: &mut Offline, role: Role, id: &AccountId, command: account::Command, answered: bool) {
    let by = if answered { Principal::Operator } else { Principal::Terminal };
    let command_id = answered.then(|| CommandId(ambient::uuid_v7()));
    desk.ask(StreamId::Account(role, id.clone()), Command::Account(command), by, command_id).await.unwrap();
}

fn registered() -> Registered {
    let text = |text: &str| text.to_string();
    Registered {
        platform: text("mt5"),
        broker: text("B"),
        server: text("S"),
        name: text("n"),
        currency: text("USD"),
        leverage: 100,
        trade_allowed: true,
        ea_version: text("1"),
        ..Registered::default()
    }
}

fn heartbeat(round: u64) -> HeartbeatSeen {
    HeartbeatSeen {
        balance: Money::ZERO,
        equity: Money::ZERO,
        free_margin: Money::ZERO,
        open_positions: round as u32,
        trade_allowed: true,
        state_hash: StateHash::default(),
        through_signal_seq: round,
    }
}
