//! Says which page is embedded: the built one, or a placeholder while there is none.

use std::path::Path;

fn main() {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let built = Path::new(&root).join("web-ui/dist");
    let page = if built.join("index.html").exists() { built } else { Path::new(&root).join("web-ui/placeholder") };
    println!("cargo::rustc-env=TIDEHELM_PAGE={}", page.display());
    println!("cargo::rerun-if-changed=web-ui/dist");
    println!("cargo::rerun-if-changed=web-ui/placeholder");
    println!("cargo::rerun-if-changed=migrations");
}
