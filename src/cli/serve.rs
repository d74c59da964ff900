//! `tidehelm serve`

use super::Shared;
use super::output::Done;
use clap::Args;
use tidehelm_events::id::StreamId;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  tidehelm serve\n  tidehelm serve --data /var/lib/tidehelm --bind 127.0.0.1:9000\n  \
                        tidehelm serve --set store.url=postgres://tidehelm@localhost/desk"
)]
pub struct Serve {
    /// Address to listen on (setting http.bind)
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<String>,
    /// Start without a stream whose records are not believed; may be given again
    #[arg(long, value_name = "STREAM")]
    quarantine: Vec<StreamId>,
}

impl Serve {
    pub fn run(self, shared: &Shared) -> Done {
        let loaded = shared.load(&[("http.bind", self.bind)])?;
        crate::serve::run(loaded, crate::serve::Options { quarantined: self.quarantine })
    }
}
