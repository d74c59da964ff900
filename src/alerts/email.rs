//! Mail.

use super::message::Message;
use super::send::{Failed, Sender, Sent};
use tidehelm_events::alert::Way;

pub fn send(_sender: &Sender, _way: &Way, _secret: Option<&str>, _message: &Message) -> Result<Sent, Failed> {
    Err(Failed::for_good("mail is not sent yet"))
}
