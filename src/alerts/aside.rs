//! Work that may hang, where nobody must wait for it: a mount that is gone, a name server that does not answer.

use tokio::sync::oneshot::{self, error::TryRecvError};

/// Does something on a thread of its own; what came out of it. Whoever stops waits for the threads of a pool, and not for this one.
pub fn aside<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<oneshot::Receiver<T>> {
    let (sender, receiver) = oneshot::channel();
    let run = move || {
        // Nobody may wait for it any more.
        let _ = sender.send(work());
    };
    std::thread::Builder::new().name(name.into()).spawn(run)?;
    Ok(receiver)
}

/// Something that is looked at again and again: one look at a time, however long it takes.
pub struct Looking<T>(Option<oneshot::Receiver<T>>);

impl<T> Default for Looking<T> {
    fn default() -> Self {
        Looking(None)
    }
}

impl<T: Send + 'static> Looking<T> {
    /// What the last look showed, if it came to its end since somebody asked.
    pub fn take(&mut self) -> Option<T> {
        let seen = self.0.as_mut()?.try_recv();
        if !matches!(seen, Err(TryRecvError::Empty)) {
            self.0 = None;
        }
        seen.ok()
    }

    /// Begins a look, unless one is under way.
    pub fn begin(&mut self, name: &str, look: impl FnOnce() -> T + Send + 'static) {
        if self.0.is_some() {
            return;
        }
        match aside(name, look) {
            Ok(looking) => self.0 = Some(looking),
            Err(error) => tracing::warn!(%error, name, "there is no thread to look at the machine"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_look_that_hangs_holds_up_nobody_and_is_the_only_one() {
        let (go_on, held) = mpsc::channel::<()>();
        let (ended, end) = mpsc::channel();
        let mut looking = Looking::default();
        looking.begin("look", move || {
            held.recv().unwrap();
            1
        });
        looking.begin("look", || unreachable!("a second look beside the first"));
        assert_eq!(looking.take(), None);
        go_on.send(()).unwrap();
        assert_eq!(looking.0.take().unwrap().await, Ok(1));
        looking.begin("look", move || {
            ended.send(()).unwrap();
            2
        });
        end.recv().unwrap();
        while looking.0.is_some() {
            if let Some(seen) = looking.take() {
                assert_eq!(seen, 2);
                return;
            }
            std::thread::yield_now();
        }
        unreachable!("what it showed is lost");
    }

    #[tokio::test]
    async fn a_look_that_broke_is_followed_by_another() {
        let mut looking: Looking<u8> = Looking::default();
        let (dropped, mut gone) = oneshot::channel::<u8>();
        drop(dropped);
        assert!(gone.try_recv().is_err());
        looking.0 = Some(gone);
        assert_eq!(looking.take(), None);
        looking.begin("look", || 3);
        assert_eq!(looking.0.take().unwrap().await, Ok(3));
    }
}
