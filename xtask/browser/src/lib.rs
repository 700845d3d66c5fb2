//! A headless Chromium, spoken to over its DevTools pipe: for the tests of pages and for their screenshots. What a page should look like is
//! for others to say.
//!
//! Two crates drive Chromium (`headless_chrome`, `chromiumoxide`) and bring some 140 others each; the few commands that are needed here are
//! JSON on two pipes.

mod page;
mod pipe;

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;

pub use page::{Page, Scheme, Shown};

use crate::pipe::Pipe;

/// Names under which systems install it.
const NAMES: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/// The browser that `CHROME` names, else the first of the usual names on the `PATH`.
pub fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROME").filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    NAMES
        .iter()
        .find_map(|name| std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file()))
}

/// A running browser; it ends when it is dropped.
#[derive(Debug)]
pub struct Browser {
    pipe: Pipe,
}

impl Browser {
    /// Starts the browser at `program` with a profile of its own, and no way to any host but this machine.
    ///
    /// # Errors
    /// That it can't be started, or does not answer.
    pub fn start(program: &Path) -> Result<Self> {
        Ok(Self { pipe: Pipe::open(program)? })
    }

    /// A new page of so many CSS pixels.
    ///
    /// # Errors
    /// What the browser says.
    pub fn page(&mut self, width: u32, height: u32, scheme: Scheme) -> Result<Page<'_>> {
        let target = self.pipe.ask(None, "Target.createTarget", &json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session =
            self.pipe.ask(None, "Target.attachToTarget", &attach)?["sessionId"].as_str().unwrap_or_default().to_owned();
        Page::begin(&mut self.pipe, session, (width, height), scheme)
    }
}
