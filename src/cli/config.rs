//! `tidehelm config`

use super::Shared;
use super::output::{Column, Done, Exit, print as print_rows};
use crate::config::{Loaded, template};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  tidehelm config show\n  tidehelm config template > tidehelm.toml\n  tidehelm config check tidehelm.toml"
)]
pub struct Config {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Every setting with its value and where that came from
    Show,
    /// Check a settings file and say everything that is wrong with it
    Check { file: PathBuf },
    /// A settings file with every setting, its default and what it means
    Template,
}

impl Config {
    pub fn run(self, shared: &Shared) -> Done {
        match self.what {
            What::Show => {
                let columns = [
                    Column { header: "setting", field: "key" },
                    Column { header: "value", field: "value" },
                    Column { header: "from", field: "origin" },
                ];
                print_rows(&mut std::io::stdout(), shared.output, &columns, &shared.load(&[])?.rows())?;
            }
            What::Check { file } => {
                let loaded = Loaded::load(Some(&file), std::iter::empty(), &[])?;
                crate::config::check_exposure(&loaded.config)?;
                super::print(&format!("{} is good\n", file.display()))?;
            }
            What::Template => {
                super::print(&template())?;
            }
        }
        Ok(Exit::Ok)
    }
}
