//! What only a connection can do: break at the worst moment, hang, and be shared with other servers.

use super::sample::{Tale, node};
use super::{Database, OnPostgres, STALL_AFTER, whole, write};
use crate::store::{Mode, Store, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;
use tidehelm_actors::port::{AppendFault, CommitLog};
use tidehelm_events::id::{Epoch, NodeId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

const PASS: u8 = 0;
/// The next thing that the server says is not heard: the connection ends instead.
const CUT_ANSWER: u8 = 1;
/// The next thing that is said to the server does not reach it: the connection ends instead.
const CUT_REQUEST: u8 = 2;
/// Nothing that the server says is heard, and nobody hangs up.
const LOSE_ANSWERS: u8 = 3;
/// Nothing goes through in either direction, and nobody hangs up.
const SILENCE: u8 = 4;
/// Whoever calls is hung up on.
const REFUSE: u8 = 5;

/// Stands between the store and its database.
#[derive(Clone)]
struct Proxy {
    mode: Arc<AtomicU8>,
    cuts: Arc<AtomicU64>,
}

impl Proxy {
    /// A site whose connections go through here.
    async fn before(site: &mut OnPostgres) -> Self {
        let proxy = Proxy { mode: Arc::default(), cuts: Arc::default() };
        let (rest, server) = site.url.rsplit_once('@').unwrap();
        let (server, database) = server.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (server, url) = (server.to_string(), format!("{rest}@{}/{database}", listener.local_addr().unwrap()));
        let accepting = proxy.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let upstream = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(accepting.clone().carry(client, upstream));
            }
        });
        site.url = url;
        proxy
    }

    fn set(&self, mode: u8) {
        self.mode.store(mode, Ordering::SeqCst);
    }

    async fn carry(self, mut client: TcpStream, mut server: TcpStream) {
        let (mut said, mut answered) = (vec![0; 64 << 10], vec![0; 64 << 10]);
        loop {
            let mode = || self.mode.load(Ordering::SeqCst);
            if mode() == REFUSE {
                break;
            }
            tokio::select! {
                read = client.read(&mut said) => match read {
                    Ok(length) if length > 0 => match mode() {
                        CUT_REQUEST => break,
                        SILENCE => {}
                        _ => server.write_all(&said[..length]).await.unwrap(),
                    },
                    _ => return,
                },
                read = server.read(&mut answered) => match read {
                    Ok(length) if length > 0 => match mode() {
                        CUT_ANSWER => break,
                        SILENCE | LOSE_ANSWERS => {}
                        _ if client.write_all(&answered[..length]).await.is_err() => return,
                        _ => {}
                    },
                    _ => return,
                },
            }
        }
        self.cuts.fetch_add(1, Ordering::SeqCst);
        let one_cut = [CUT_ANSWER, CUT_REQUEST];
        for mode in one_cut {
            let _ = self.mode.compare_exchange(mode, PASS, Ordering::SeqCst, Ordering::SeqCst);
        }
    }
}

/// A store behind a proxy that has written twice, so that its statements are prepared.
async fn behind_a_proxy(test: &str) -> Option<(OnPostgres, Proxy, Store, Tale)> {
    let mut site = OnPostgres::new(test)?;
    let proxy = Proxy::before(&mut site).await;
    let mut log = site.open(Mode::Write).await.unwrap();
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    write(&mut log, &mut tale, 2, 1).await.unwrap();
    write(&mut log, &mut tale, 2, 0).await.unwrap();
    Some((site, proxy, log, tale))
}

/// What a writer does after a doubt: takes over, and learns where the log ends.
async fn recover(log: &mut Store) -> Tale {
    for _ in 0..50 {
        match log.take_over(node()).await {
            Ok(head) => return Tale::new(head),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
    panic!("the store does not heal");
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_a_doubt_that_the_log_settles() {
    let Some((_site, proxy, mut log, mut tale)) = behind_a_proxy("answer_lost").await else { return };
    for kept in [0, 3] {
        let next = tale.next(2, kept);
        proxy.set(CUT_ANSWER);
        let doubt = log.append(&next.commit, &next.audit, &next.expected).await;
        assert!(matches!(doubt, Err(AppendFault::InDoubt(_))), "{doubt:?}");
        assert_eq!(log.head().await.unwrap(), tale.head, "it was written");
        tale = recover(&mut log).await;
        assert_eq!(tale.head.position, next.commit.header.last);
        write(&mut log, &mut tale, 1, 1).await.unwrap();
        write(&mut log, &mut tale, 1, 0).await.unwrap();
    }
    assert_eq!(proxy.cuts.load(Ordering::SeqCst), 2);
    assert_eq!(whole(&mut log).await.unwrap().len(), 8);
}

#[tokio::test]
async fn a_request_that_is_lost_leaves_a_doubt_that_the_log_settles() {
    let Some((_site, proxy, mut log, mut tale)) = behind_a_proxy("request_lost").await else { return };
    let next = tale.next(2, 2);
    proxy.set(CUT_REQUEST);
    let doubt = log.append(&next.commit, &next.audit, &next.expected).await;
    assert!(matches!(doubt, Err(AppendFault::InDoubt(_))), "{doubt:?}");
    assert_eq!(proxy.cuts.load(Ordering::SeqCst), 1);
    assert_eq!(log.head().await.unwrap(), next.expected, "it was not written");
    let mut tale = recover(&mut log).await;
    write(&mut log, &mut tale, 2, 2).await.unwrap();
    assert_eq!(whole(&mut log).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_store_that_falls_silent_is_noticed_and_heals() {
    for (mode, written) in [(LOSE_ANSWERS, true), (SILENCE, false)] {
        let Some((_site, proxy, mut log, mut tale)) = behind_a_proxy(&format!("silence_{mode}")).await else { return };
        let next = tale.next(2, 2);
        proxy.set(mode);
        let asked = Instant::now();
        let doubt = log.append(&next.commit, &next.audit, &next.expected).await;
        assert!(matches!(doubt, Err(AppendFault::InDoubt(_))), "{doubt:?}");
        assert!(log.head().await.is_err() && log.take_over(node()).await.is_err(), "nobody can tell yet");
        assert!(asked.elapsed() < STALL_AFTER * 4, "{:?}", asked.elapsed());
        proxy.set(PASS);
        let mut tale = recover(&mut log).await;
        assert_eq!(tale.head.position, if written { next.commit.header.last } else { next.expected.position });
        write(&mut log, &mut tale, 2, 2).await.unwrap();
        whole(&mut log).await.unwrap();
    }
}

#[tokio::test]
async fn a_store_that_is_away_refuses_quickly_and_heals() {
    let Some((_site, proxy, mut log, mut tale)) = behind_a_proxy("away").await else { return };
    proxy.set(CUT_REQUEST);
    let next = tale.next(2, 2);
    let _ = log.append(&next.commit, &next.audit, &next.expected).await;
    proxy.set(REFUSE);
    let asked = Instant::now();
    for _ in 0..20 {
        let refused = log.append(&next.commit, &next.audit, &next.expected).await;
        assert!(matches!(refused, Err(AppendFault::Unavailable(_))), "{refused:?}");
    }
    assert!(asked.elapsed() < STALL_AFTER, "{:?}", asked.elapsed());
    proxy.set(PASS);
    let mut tale = recover(&mut log).await;
    write(&mut log, &mut tale, 2, 2).await.unwrap();
}

fn other_node() -> NodeId {
    NodeId(Uuid::from_u128(8))
}

async fn two_servers(test: &str, lease: Duration) -> Option<(Store, Store)> {
    let mut site = OnPostgres::new(test)?;
    site.options.lease = lease;
    let (one, other) = tokio::join!(site.open(Mode::Write), site.open(Mode::Write));
    Some((one.unwrap(), other.unwrap()))
}

#[tokio::test]
async fn a_dead_writers_lease_runs_out_and_the_next_one_fences_it_off() {
    let lease = Duration::from_millis(700);
    let Some((mut one, mut other)) = two_servers("lease_dead", lease).await else { return };
    let mut tale = Tale::new(one.take_over(node()).await.unwrap());
    write(&mut one, &mut tale, 1, 1).await.unwrap();
    let asked = Instant::now();
    let head = other.take_over(other_node()).await.unwrap();
    let waited = asked.elapsed();
    assert!(waited > lease / 2 && waited < lease * 2, "{waited:?}");
    assert_eq!((head.position, head.epoch), (tale.head.position, Epoch(2)));
    let late = tale.next(1, 1);
    let fenced = one.append(&late.commit, &late.audit, &late.expected).await;
    assert!(matches!(fenced, Err(AppendFault::Fenced { ours: Epoch(1), found: Epoch(2) })), "{fenced:?}");
    assert!(matches!(one.renew(node(), Epoch(1)).await, Err(AppendFault::Fenced { .. })));
    write(&mut other, &mut Tale::new(head), 1, 1).await.unwrap();
}

#[tokio::test]
async fn a_living_writer_keeps_the_log() {
    let lease = Duration::from_millis(700);
    let Some((mut one, mut other)) = two_servers("lease_alive", lease).await else { return };
    let mut tale = Tale::new(one.take_over(node()).await.unwrap());
    let alive = tokio::spawn(async move {
        for _ in 0..20 {
            one.renew(node(), Epoch(1)).await.unwrap();
            sleep(Duration::from_millis(100)).await;
        }
        one
    });
    let refused = other.take_over(other_node()).await.unwrap_err().to_string();
    assert!(refused.contains(&node().to_string()) && refused.contains("renews its lease"), "{refused}");
    let mut one = alive.await.unwrap();
    write(&mut one, &mut tale, 1, 1).await.unwrap();
    one.release(node(), Epoch(1)).await.unwrap();
    let asked = Instant::now();
    other.take_over(other_node()).await.unwrap();
    assert!(asked.elapsed() < lease / 2, "a lease that was given back is not waited for: {:?}", asked.elapsed());
}

#[tokio::test]
async fn a_restarted_writer_need_not_wait_for_itself() {
    let Some((mut one, mut other)) = two_servers("lease_same", Duration::from_secs(60)).await else { return };
    one.take_over(node()).await.unwrap();
    let head = other.take_over(node()).await.unwrap();
    assert_eq!(head.epoch, Epoch(2));
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_named_without_its_password() {
    let Some(mut site) = OnPostgres::new("unreachable") else { return };
    site.url = "postgres://somebody:secret@127.0.0.1:1/nowhere".into();
    let error = site.open(Mode::Write).await.unwrap_err();
    assert!(matches!(error, StoreError::Database { .. }));
    let error = error.to_string();
    assert!(error.contains("database nowhere at 127.0.0.1:1") && !error.contains("secret"), "{error}");
}
