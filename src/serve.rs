//! A running desk: store, actors and HTTP, from the first start to a stop that loses nothing.

use crate::ambient::{self, DeskClock};
use crate::cli::output::{CliError, Exit};
use crate::config::{Auth, Loaded, check_exposure};
use crate::emergency::{Emergency, FileError};
use crate::endpoints::probe::HttpProber;
use crate::endpoints::secrets::Secrets;

use crate::history::{History, Known};
use crate::http::{self, App, auth::Strangers, people::INVITE_AGE};
use crate::keys::{Keys, Kind};
use crate::notify::Notify;
use crate::pairing::Pairings;
use crate::proxy::{self, Proxy};
use crate::seal::MasterFile;
use crate::store::{Mode, Store, StoreConfig};
use crate::telemetry::Metrics;
use crate::terminals::{self, Hub, Job, Terminals};
use actix_web::HttpServer;
use futures_util::FutureExt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tidehelm_actors::desk::{Host, Parts};
use tidehelm_actors::endpoint::{OnDesk, Tools, Watchers};
use tidehelm_actors::journal::Limits;
use tidehelm_actors::node::{Command, Order};
use tidehelm_actors::port::{Clock, Outlet};
use tidehelm_actors::projector::Policy;
use tidehelm_actors::writer;
use tidehelm_events::answer::{Answer, BodyHash};
use tidehelm_events::desk::{self as events, Access};
use tidehelm_events::id::{CommandId, DeskId, NodeId, Principal, StreamId, UserName};
use tidehelm_events::time::Span;

/// Answers that are under way have so long to come to their end.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// How long a stop waits until the log has all requests that were served.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// Streams to start without, because their records are not believed.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub quarantined: Vec<StreamId>,
}

/// Serves until it is told to stop.
pub fn run(loaded: Loaded, options: Options) -> Result<Exit, CliError> {
    check_exposure(&loaded.config)?;
    crate::telemetry::start_logs(&loaded.config.log).map_err(CliError::failed)?;
    stop_when_broken();
    actix::System::new().block_on(serve(loaded, options))?;
    Ok(Exit::Ok)
}

thread_local! {
    /// Set on the thread of the desk's actors.
    static OF_THE_DESK: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// A panic in a thread of the desk is a broken invariant: the process ends, and comes back from the log. One that is caught
/// while a log is read is told by whoever reads it.
fn stop_when_broken() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if tidehelm_actors::restore::is_believing() {
            return;
        }
        usual(panic);
        let thread = std::thread::current().name().unwrap_or("").to_string();
        let of_the_desk = thread == "log-writer" || thread == "projector" || OF_THE_DESK.get();
        if of_the_desk {
            tracing::error!(thread, %panic, "a broken invariant: the desk stops here and starts again from the log");
            std::process::exit(70);
        }
    }));
}

async fn serve(loaded: Loaded, options: Options) -> Result<(), CliError> {
    let started = ambient::stopwatch();
    let config = loaded.config.clone();
    if let Some(file) = config.endpoints.own_authorities() {
        let hint =
            "endpoints.ca_file names a PEM file with the certificates of authorities; leave it empty if there are none";
        crate::endpoints::tls::trust(file).map_err(|error| CliError::failed(error.to_string()).hint(hint))?;
    }
    let mut store = Store::open(&StoreConfig::from(&config), Mode::Write, ambient::wall()).await?;
    let node = NodeId(ambient::uuid_v7());
    let opened = writer::open(&mut store, node, &options.quarantined).await;
    let (restored, head, report) = opened.map_err(|error| unreadable(&error))?;
    let streams = restored.fold.truth.names().len();
    tracing::info!(
        position = head.position.0,
        snapshot = report.snapshot.map_or(0, |position| position.0),
        events = report.events,
        streams,
        millis = started.elapsed().as_millis() as u64,
        "restored from the log"
    );
    let desk = restored.fold.truth.desk().cloned().unwrap_or_default();
    let app_name = config.desk.name.clone();
    let keys = Arc::new(Keys::load(store.twin(), MasterFile::of(&config)?, &desk).await?);
    let secrets = Arc::new(Secrets::load(keys.clone(), &restored.fold.truth).await?);
    let history_store = store.twin();
    let (retention_store, table_store) = (store.twin(), store.twin());
    let (forget_store, alert_store) = (store.twin(), store.twin());
    let asked_store = store.twin();
    let clock = Arc::new(DeskClock::default());
    let emergency = Emergency::open(&config.emergency_log(), restored.fold.truth.desk_id(), clock.now());
    let emergency = Arc::new(emergency.map_err(|error| no_emergency_log(&error))?);
    let (hub, outbound) = Hub::new(clock.clone(), emergency.clone());
    let host = start_desk(&config, store, clock.clone(), Box::new(outbound.clone()), node, restored, head)?;
    let first = prepare(&host, &keys, &clock, &app_name).await?;
    let hub = hub.start(host.clone()).map_err(|error| CliError::failed(format!("cannot start the hub: {error}")))?;
    let strangers = Arc::new(Strangers::default());
    let pairings = Arc::new(Pairings::new(host.clone(), keys.clone(), clock.clone()));
    let terminals = Arc::new(Terminals::new(terminals::Parts {
        host: host.clone(),
        clock: clock.clone(),
        keys: keys.terminals.clone(),
        desk: host.durable.read(|fold| fold.truth.desk_id()).ok_or_else(|| CliError::failed("the log has no desk"))?,
        hub: outbound.clone(),
        pairing: Arc::new(terminals::listen::Exchange {
            pairings: pairings.clone(),
            runtime: tokio::runtime::Handle::current(),
        }),
        strangers: strangers.clone(),
    }));
    let prober = Arc::new(HttpProber::new(secrets.clone()));
    let watchers = Watchers::new(Tools {
        station: Arc::new(OnDesk { host: host.clone(), clock: clock.clone() }),
        prober: prober.clone(),
        clock: clock.clone(),
        jitter: || u16::from_le_bytes(ambient::random()) % 1_000,
    });
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let opened = secrets.clone();
    let proxy = Proxy::new(proxy::Parts {
        host: host.clone(),
        clock: clock.clone(),
        keys: keys.clone(),
        open: Box::new(move |id| opened.get(id)),
        settings: config.proxy.clone(),
        require_key: config.requires_key(),
    });
    let app = actix_web::web::Data::new(App {
        proxy,
        history: History::new(Box::new(history_store), Known::Live(host.durable.clone())),
        host: host.clone(),
        secrets,
        prober,
        watchers: watchers.clone(),
        pairings,
        terminals: terminals.clone(),
        traffic: std::sync::OnceLock::new(),
        emergency,
        keys,
        clock,
        settings_shown: serde_json::to_value(loaded.rows()).unwrap_or_default(),
        metrics: Metrics::new().map_err(|error| CliError::failed(error.to_string()))?,
        strangers,
        sse: Arc::new(tokio::sync::Semaphore::new(config.http.sse_clients_max)),
        live: http::live::Live::new(host.durable.head().position),
        live_places: Arc::new(tokio::sync::Semaphore::new(config.http.ws_clients_max)),
        tables: crate::tables::Reach::default(),
        stopping: stopping.clone(),
        sizes: tokio::sync::Mutex::new(None),
        store: asked_store,
        config,
    });
    crate::alerts::sweep(&app).await;
    let (server, address) = bind(&app)?;
    let scheme = if app.config.http.tls().is_some() { "https" } else { "http" };
    let tls = app.config.http.tls().map(|(cert, key)| tls(cert, key)).transpose()?.map(Arc::new);
    let sockets = Arc::new(terminals::listen::open(&app.config, tls, terminals)?);
    let _ = app.traffic.set(sockets.shared_counters());
    greet(scheme, address, terminals::listen::greeting(sockets.bound()).as_deref(), first.as_deref());
    let handle = server.handle();
    // Endpoints are asked on a thread of their own: neither the desk nor who opens a page waits for one.
    let watching = actix::Arbiter::new();
    watching.spawn(watchers.follow(host.clone()));
    let (broke, mut broken) = tokio::sync::mpsc::unbounded_channel();
    let beside = [
        guarded(&broke, record_strangers(app.clone())),
        guarded(&broke, http::stop::keep(app.clone())),
        guarded(&broke, http::live::keep(app.clone())),
        guarded(&broke, crate::retention::keep(app.clone(), retention_store)),
        guarded(&broke, crate::tables::keep(app.clone(), table_store)),
        guarded(&broke, crate::tables::forget(app.clone(), forget_store)),
        guarded(&broke, crate::pairing::keep(host.clone(), app.keys.clone())),
        guarded(&broke, app.secrets.clone().keep()),
        guarded(&broke, app.proxy.clone().keep()),
        guarded(&broke, terminals::feed::keep(app.clone(), sockets.clone())),
        guarded(&broke, crate::alerts::keep(app.clone(), alert_store)),
        guarded(&broke, crate::alerts::outbox::keep(app.clone())),
    ];
    let notify = Arc::new(Notify::from_environment());
    actix::spawn(notify.clone().keep(host.gauges.clone(), app.config.actors.timeout_tick.into()));
    let serving = actix::spawn(server);
    notify.say(&format!("READY=1\nSTATUS=serving at {scheme}://{address}"));
    let (why, broke_down) = tokio::select! {
        why = wait_for_signal() => (why, false),
        Some(()) = broken.recv() => ("a part of the desk broke down", true),
    };
    notify.say("STOPPING=1\nSTATUS=finishing what was accepted");
    tracing::info!(why, "stopping: finishing what was accepted");
    let _ = stop.send(true);
    let mut stopped = std::pin::pin!(handle.stop(true));
    if tokio::time::timeout(STOP_WITHIN - Duration::from_millis(500), &mut stopped).await.is_err() {
        // What is under way now is broken off.
        app.proxy.begin_to_stop();
        stopped.await;
    }
    let untold = app.proxy.drain(DRAIN_WITHIN).await;
    if untold > 0 {
        tracing::warn!(untold, "requests that were served are not in the log");
    }
    // Connections go back to their pool while there still is a runtime to take them there.
    for task in beside {
        task.abort();
        let _ = task.await;
    }
    watching.stop();
    record_counted(&app).await;
    outbound.send(Job::Stop);
    host.stop().await;
    drop(sockets);
    // It has answered whoever waited; there is nothing more to wait for.
    let _ = tokio::task::spawn_blocking(move || hub.join()).await;
    tracing::info!(position = host.durable.head().position.0, "stopped; everything accepted is in the log");
    let _ = serving.await;
    match broke_down {
        true => Err(CliError::failed("a part of the desk broke down; its log says which")),
        false => Ok(()),
    }
}

/// Something that runs beside the server. Where it breaks the desk ends in order, to come back whole.
fn guarded(
    broke: &tokio::sync::mpsc::UnboundedSender<()>,
    task: impl Future<Output = ()> + 'static,
) -> tokio::task::JoinHandle<()> {
    let broke = broke.clone();
    actix::spawn(async move {
        if std::panic::AssertUnwindSafe(task).catch_unwind().await.is_err() {
            tracing::error!("a part of the desk broke down; it ends in order and starts again from the log");
            let _ = broke.send(());
        }
    })
}

fn no_emergency_log(error: &FileError) -> CliError {
    let why = std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
    CliError::failed(format!("{error}{why}")).hint(
        "without it STOP could not be recorded while the log cannot be written; stop.emergency_log names another place",
    )
}

pub(crate) fn unreadable(error: &writer::OpenError) -> CliError {
    let said = |exit| CliError::new(exit, format!("cannot start from this log: {error}"));
    match error {
        writer::OpenError::Log(_) => said(Exit::Failed)
            .hint("if another server holds the log, stop that one, or start this one again: it takes over once the other is gone"),
        writer::OpenError::Restore(_) | writer::OpenError::Commit(_) => said(Exit::VerificationFailed)
            .hint("`tidehelm verify` names every commit that is not whole; `tidehelm restore` brings back a backup"),
    }
}

/// The desk's own thread: all actors of this node live on one arbiter.
fn start_desk(
    config: &crate::config::Config,
    store: Store,
    clock: Arc<DeskClock>,
    outlet: Box<dyn Outlet>,
    node: NodeId,
    restored: tidehelm_actors::restore::Restored,
    head: tidehelm_events::commit::Head,
) -> Result<Host, CliError> {
    let parts = Parts {
        store: Box::new(store),
        clock,
        outlet,
        node,
        new_desk: DeskId(ambient::uuid()),
        build: env!("CARGO_PKG_VERSION").into(),
        limits: Limits {
            batch_events_max: config.journal.batch_events_max,
            open_events_max: config.journal.open_events_max,
            telemetry_wait: Span::millis(config.journal.telemetry_wait.get() as i64),
        },
        policy: Policy {
            every_events: config.snapshots.every_events,
            every: Span::millis(config.snapshots.every.get() as i64),
        },
        mailbox: config.actors.mailbox,
        inflight_max: config.journal.inflight_commands_max,
        tick: config.actors.timeout_tick.into(),
        renew_every: Duration::from(config.store.lease) / 5,
        restored,
        head,
    };
    let (sender, receiver) = std::sync::mpsc::channel();
    let arbiter = actix::Arbiter::new();
    arbiter.spawn_fn(move || {
        OF_THE_DESK.set(true);
        let _ = sender.send(tidehelm_actors::desk::start(parts));
    });
    let started = receiver.recv().map_err(|_| CliError::failed("the desk's thread ended before it began"))?;
    started.map_err(|error| CliError::failed(format!("cannot start the desk: {error}")))
}

/// Makes a way in where nobody has one. Answers the code of the one-time link.
async fn prepare(host: &Host, keys: &Keys, clock: &DeskClock, name: &str) -> Result<Option<String>, CliError> {
    name_new_desk(host, clock, name).await?;
    if host.durable.read(|fold| fold.truth.desk().is_some_and(|desk| !desk.users.is_empty())) {
        return Ok(None);
    }
    let (credential, code) = keys.issue(Kind::Invite).await?;
    let name = UserName::new("admin").map_err(|error| CliError::failed(error.to_string()))?;
    let expires_at = clock.now() + INVITE_AGE;
    ask(host, clock, events::Command::Invite { name, access: Access::Admin, credential, expires_at }).await?;
    Ok(Some(code))
}

/// The configured name is for a desk that nobody has set up yet; after that it is a setting like the others.
async fn name_new_desk(host: &Host, clock: &DeskClock, name: &str) -> Result<(), CliError> {
    let settings = host.durable.read(|fold| {
        let untouched = fold.truth.desk().filter(|desk| desk.revision.0 == 0 && desk.users.is_empty());
        untouched.map(|desk| desk.settings.clone())
    });
    match settings {
        Some(settings) if settings.name != name => {
            ask(host, clock, events::Command::ChangeSettings(events::Settings { name: name.into(), ..settings })).await
        }
        _ => Ok(()),
    }
}

async fn ask(host: &Host, clock: &DeskClock, command: events::Command) -> Result<(), CliError> {
    let now = clock.now();
    let order = Order {
        to: StreamId::Desk,
        command: Command::Desk(command),
        by: Principal::Operator,
        id: Some(CommandId(ambient::uuid_v7())),
        body: BodyHash(0),
        expected: None,
        occurred_at: now,
        received_at: now,
    };
    let reply = host.ask(order).await.map_err(|fault| CliError::failed(fault.to_string()))?;
    host.durable.shows(reply.position, Duration::from_secs(5)).await;
    match reply.answer {
        Answer::Done { .. } => Ok(()),
        Answer::Refused(denial) => Err(CliError::failed(denial.detail)),
    }
}

fn bind(app: &http::Data) -> Result<(actix_web::dev::Server, SocketAddr), CliError> {
    let config = &app.config.http;
    let data = app.clone();
    let server = HttpServer::new(move || http::application(data.clone()))
        .workers(config.workers)
        .on_connect(http::live::prepare)
        // Who hangs up while an answer is on its way does not want it any more: then the upstream hears of it.
        .h1_allow_half_closed(false)
        .shutdown_timeout(STOP_WITHIN.as_secs())
        .disable_signals();
    let busy = |error: std::io::Error| {
        CliError::failed(format!("cannot listen on {}: {error}", config.bind))
            .hint("another program may use the port; choose one with `--bind 127.0.0.1:PORT`")
    };
    let bound = match config.tls() {
        None => server.bind(config.bind).map_err(busy)?,
        Some((cert, key)) => server.bind_rustls_0_23(config.bind, tls(cert, key)?).map_err(busy)?,
    };
    let address = bound.addrs().first().copied().unwrap_or(config.bind);
    Ok((bound.run(), address))
}

fn tls(cert: &std::path::Path, key: &std::path::Path) -> Result<rustls::ServerConfig, CliError> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let bad = |path: &std::path::Path, error: &dyn std::fmt::Display| {
        CliError::failed(format!("cannot use {}: {error}", path.display()))
            .hint("http.tls_cert and http.tls_key name PEM files: a certificate chain and its private key")
    };
    let chain = CertificateDer::pem_file_iter(cert).map_err(|error| bad(cert, &error))?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|error| bad(cert, &error))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| bad(cert, &error))?.with_no_client_auth();
    config.with_single_cert(chain, secret).map_err(|error| bad(cert, &error))
}

/// What the person who started it reads. The first line is for programs too.
fn greet(scheme: &str, address: SocketAddr, terminals: Option<&str>, first: Option<&str>) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "Tidehelm is at {scheme}://{address}");
    if let Some(terminals) = terminals {
        let _ = writeln!(out, "{terminals}");
    }
    if let Some(code) = first {
        let _ = writeln!(
            out,
            "\nNobody has an account yet. Open this link once to make the first admin (good for 24 hours):"
        );
        let _ = writeln!(out, "  {scheme}://{address}/#/welcome?code={code}\n");
    }
    let _ = out.flush();
}

async fn record_strangers(app: http::Data) {
    let mut minute = tokio::time::interval(Duration::from_secs(60));
    loop {
        minute.tick().await;
        record_counted(&app).await;
        if app.config.http.auth == Auth::Off {
            return;
        }
    }
}

async fn record_counted(app: &http::Data) {
    for stranger in app.strangers.take() {
        if let Err(error) = ask(&app.host, &app.clock, events::Command::NoteStranger(stranger)).await {
            tracing::warn!(%error, "strangers could not be recorded");
        }
    }
}

async fn wait_for_signal() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(term), Ok(int)) => (term, int),
        _ => return std::future::pending().await,
    };
    tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    }
}
