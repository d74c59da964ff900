//! The actor of one account in one role: a bounded mailbox in front of its stream.

use crate::desk::Shard;
use crate::journal::Fault;
use crate::node::Order;
use actix::{Actor, Addr, Context, Handler, Message};
use std::rc::Rc;
use tokio::sync::oneshot;

/// An order for this account, and where its answer goes.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Deliver {
    pub order: Order,
    pub ticket: Ticket,
}

/// Where an answer goes.
pub enum Ticket {
    /// Nobody waits.
    Tell,
    Ask(oneshot::Sender<Result<crate::journal::Reply, Fault>>),
    /// Called on the desk's thread, so it must not wait for anything.
    Call(Box<dyn FnOnce(Result<crate::journal::Reply, Fault>) + Send>),
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Ticket::Tell => "tell",
            Ticket::Ask(_) => "ask",
            Ticket::Call(_) => "call",
        })
    }
}

impl Ticket {
    pub fn answer(self, answer: Result<crate::journal::Reply, Fault>) {
        match self {
            Ticket::Tell => {}
            // Who asked may have gone; the answer is in the log.
            Ticket::Ask(sender) => drop(sender.send(answer)),
            Ticket::Call(call) => call(answer),
        }
    }
}

pub struct AccountActor {
    shard: Rc<Shard>,
}

impl AccountActor {
    /// Starts it with a mailbox that refuses more than so many orders.
    pub fn begin(shard: Rc<Shard>, mailbox: usize) -> Addr<Self> {
        AccountActor::create(|context| {
            context.set_mailbox_capacity(mailbox);
            AccountActor { shard }
        })
    }
}

impl Actor for AccountActor {
    type Context = Context<Self>;
}

impl Handler<Deliver> for AccountActor {
    type Result = ();

    fn handle(&mut self, deliver: Deliver, _: &mut Context<Self>) {
        self.shard.submit(deliver.order, deliver.ticket);
    }
}
