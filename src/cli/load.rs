//! `tidehelm load`

use super::output::Done;
use clap::Args;
#[derive(Args)]
pub struct Load {}
impl Load {
    pub fn run(self) -> Done {
        Ok(super::output::Exit::Ok)
    }
}
