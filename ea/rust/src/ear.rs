//! Messages of a socket, one after the other.

use nng::{Aio, AioResult, Message, Socket};
use std::sync::{Arc, Mutex, PoisonError};

/// Hands over what a socket receives, in its order.
///
/// It ends before its socket does: NNG never ends a receive that begins on a socket which is being closed, and whoever waits
/// for it waits for ever.
pub struct Ear {
    aio: Aio,
    over: Arc<Mutex<bool>>,
}

impl Ear {
    /// `take` is called by threads of NNG, never twice at once.
    pub fn open(socket: &Socket, take: impl Fn(Message) + Send + Sync + 'static) -> Result<Ear, nng::Error> {
        let over = Arc::new(Mutex::new(false));
        let (from, ended) = (socket.clone(), Arc::clone(&over));
        let aio = Aio::new(move |aio, done| {
            if let AioResult::Recv(Ok(message)) = done {
                take(message);
            }
            let over = ended.lock().unwrap_or_else(PoisonError::into_inner);
            if !*over {
                // It fails only while another one is under way.
                let _ = from.recv_async(&aio);
            }
        })?;
        socket.recv_async(&aio)?;
        Ok(Ear { aio, over })
    }

    /// Nothing is handed over any more when this returns. Not for the thread that takes a message.
    pub fn close(&self) {
        *self.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.aio.cancel();
        self.aio.wait();
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.close();
    }
}
