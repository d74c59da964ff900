//! `tidehelm completions` and `tidehelm man`

use super::output::{CliError, Done, Exit};
use clap::Args;
use clap_complete::Shell;
use std::path::PathBuf;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  tidehelm completions bash > /etc/bash_completion.d/tidehelm\n  tidehelm completions zsh > ~/.zfunc/_tidehelm"
)]
pub struct Completions {
    shell: Shell,
}

impl Completions {
    pub fn run(self) -> Done {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "tidehelm", &mut text);
        super::print(&String::from_utf8_lossy(&text))
    }
}

#[derive(Args)]
#[command(after_help = "Examples:\n  tidehelm man | man -l -\n  tidehelm man /usr/local/share/man/man1")]
pub struct Man {
    /// Write a page for each command here; without it the main page goes to standard output
    dir: Option<PathBuf>,
}

impl Man {
    pub fn run(self) -> Done {
        let unwritten = |error| CliError::failed("cannot write the manual").caused_by(error);
        match self.dir {
            Some(dir) => {
                std::fs::create_dir_all(&dir).map_err(unwritten)?;
                clap_mangen::generate_to(super::command(), &dir).map_err(unwritten)?;
                Ok(Exit::Ok)
            }
            None => {
                let mut page = Vec::new();
                clap_mangen::Man::new(super::command()).render(&mut page).map_err(unwritten)?;
                super::print(&String::from_utf8_lossy(&page))
            }
        }
    }
}
