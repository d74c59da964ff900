//! `tidehelm top`

use super::Shared;
use super::output::{CliError, Done, Exit, Output};
use super::state::accounts;
use super::target::{Target, block_on};
use crate::ambient;
use crate::source::Source;
use clap::Args;
use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use tidehelm_actors::port::CommitLog;
use tidehelm_actors::restore::Restorer;
use tidehelm_actors::writer::restore;
use tidehelm_events::id::Position;
use tidehelm_events::view::Fold;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  tidehelm top\n  tidehelm top --every 5 --url http://127.0.0.1:8787\n  tidehelm top --times 1 | head"
)]
pub struct Top {
    /// Seconds between two looks
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    every: f64,
    /// Look so often and end; without it until q or ctrl-c
    #[arg(long)]
    times: Option<u64>,
    #[command(flatten)]
    target: Target,
}

impl Top {
    pub fn run(self, shared: &Shared) -> Done {
        if !(self.every.is_finite() && self.every >= 0.1) {
            return Err(CliError::usage("--every is at least 0.1"));
        }
        block_on(async {
            let mut source = self.target.source(shared).await?;
            let (restored, _) = restore(&mut source, Position(u64::MAX), &[])
                .await
                .map_err(|error| crate::serve::unreadable(&error))?;
            let mut restorer = Restorer::new(restored.fold, []);
            let keys = std::io::stdout().is_terminal().then(keys);
            let (mut since, mut before) = (ambient::stopwatch(), restorer.position());
            let mut times = 0;
            loop {
                follow(&mut source, &mut restorer).await?;
                let now = restorer.position();
                let rate = (now.0 - before.0) as f64 / since.elapsed().as_secs_f64().max(1e-6);
                draw(restorer.fold(), rate, source.place(), shared.output, keys.is_some())?;
                (since, before) = (ambient::stopwatch(), now);
                times += 1;
                if self.times.is_some_and(|wanted| times >= wanted)
                    || wait(keys.as_ref(), Duration::from_secs_f64(self.every))
                {
                    return Ok(Exit::Ok);
                }
            }
        })
    }
}

async fn follow(source: &mut Source, restorer: &mut Restorer) -> Result<(), CliError> {
    loop {
        let entries = source.read(restorer.position(), 256).await?;
        if entries.is_empty() {
            return Ok(());
        }
        for entry in &entries {
            restorer.entry(entry).map_err(|error| CliError::new(Exit::VerificationFailed, error.to_string()))?;
        }
    }
}

fn draw(fold: &Fold, rate: f64, place: &str, output: Output, clear: bool) -> Result<(), CliError> {
    let mut text = Vec::new();
    accounts(fold, &mut text, output)?;
    let mut text = String::from_utf8_lossy(&text).into_owned();
    if output == Output::Table {
        let online = fold
            .truth
            .accounts()
            .filter(|(_, account)| account.connection == tidehelm_events::account::Connection::Online);
        let desk = fold.truth.desk().cloned().unwrap_or_default();
        let locked = desk.locked.map_or_else(String::new, |why| format!("  LOCKED: {why}"));
        let head = format!(
            "{}  {place}  position {}  {rate:.0} events/s  {} of {} accounts online  {} commands  {} refused{locked}\n\n",
            desk.settings.name,
            fold.truth.position(),
            online.count(),
            fold.truth.accounts().count(),
            fold.views.activity.commands,
            fold.views.activity.refusals.values().sum::<u64>(),
        );
        text.insert_str(0, &head);
    }
    if clear {
        let rows = usize::from(console::Term::stdout().size().0).saturating_sub(1);
        let shown: Vec<&str> = text.lines().take(rows).collect();
        text = format!("\x1b[H\x1b[J{}\n", shown.join("\n"));
    }
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::writing)
}

/// Tells when somebody wants to leave.
fn keys() -> Receiver<()> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let terminal = console::Term::stdout();
        while let Ok(key) = terminal.read_key() {
            if matches!(key, console::Key::Char('q' | 'Q') | console::Key::Escape | console::Key::CtrlC) {
                // The one who waits may have ended already.
                let _ = sender.send(());
                return;
            }
        }
    });
    receiver
}

/// True if it is time to leave.
fn wait(keys: Option<&Receiver<()>>, every: Duration) -> bool {
    match keys.map(|keys| keys.recv_timeout(every)) {
        Some(Ok(())) => true,
        Some(Err(RecvTimeoutError::Timeout)) => false,
        // Without a terminal to read from there is only ctrl-c.
        Some(Err(RecvTimeoutError::Disconnected)) | None => {
            std::thread::sleep(every);
            false
        }
    }
}
