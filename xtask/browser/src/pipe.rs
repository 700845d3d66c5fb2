//! The pipe: commands in, answers and events out, each a JSON text that ends in a zero byte.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[rustfmt::skip]
const FLAGS: [&str; 14] = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-default-browser-check", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-color-profile=srgb",
    // No name is looked up: what a page asks for elsewhere is seen and not got.
    "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe",
];

#[derive(Debug)]
pub(crate) struct Pipe {
    child: Child,
    commands: Option<ChildStdin>,
    messages: Receiver<Value>,
    next: u64,
    events: VecDeque<Value>,
    _profile: TempDir,
}

impl Pipe {
    pub(crate) fn open(program: &Path) -> Result<Self> {
        let profile = tempfile::tempdir()?;
        // The browser reads from descriptor 3 and writes to 4; a shell puts this program's pipes there.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>/dev/null"#])
            .arg(program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let commands = child.stdin.take();
        let answers = child.stdout.take().context("the browser has no output")?;
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut answers = BufReader::new(answers);
            let mut text = Vec::new();
            while answers.read_until(0, &mut text).is_ok_and(|read| read > 0) {
                text.pop();
                let Ok(message) = serde_json::from_slice(&text) else { break };
                text.clear();
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut pipe = Self { child, commands, messages, next: 1, events: VecDeque::new(), _profile: profile };
        pipe.ask(None, "Browser.getVersion", &json!({}))
            .with_context(|| format!("{} does not answer", program.display()))?;
        Ok(pipe)
    }

    /// Gives a command, to the browser or to a page, and waits for its result. Events that come meanwhile are kept.
    pub(crate) fn ask(&mut self, session: Option<&str>, method: &str, params: &Value) -> Result<Value> {
        let id = self.next;
        self.next += 1;
        let mut command = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            command["sessionId"] = json!(session);
        }
        let commands = self.commands.as_mut().context("the browser is gone")?;
        commands
            .write_all(format!("{command}\0").as_bytes())
            .and_then(|()| commands.flush())
            .context("the browser is gone")?;
        let until = Instant::now() + PATIENCE;
        loop {
            let mut message = self.receive(until).with_context(|| format!("no answer to {method}"))?;
            if message["id"] != id {
                self.events.push_back(message);
                continue;
            }
            if let Some(said) = message["error"]["message"].as_str() {
                bail!("{method}: {said}");
            }
            return Ok(message["result"].take());
        }
    }

    /// Waits for an event of a page; those before it are kept.
    pub(crate) fn wait_for(&mut self, session: &str, method: &str) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        let is_it = |event: &Value| event["sessionId"] == session && event["method"] == method;
        while !self.events.iter().any(is_it) {
            let event = self.receive(until).with_context(|| format!("{method} did not come"))?;
            self.events.push_back(event);
        }
        Ok(())
    }

    /// The events of a page by that name, so far.
    pub(crate) fn events<'a>(&'a self, session: &'a str, method: &'a str) -> impl Iterator<Item = &'a Value> {
        let of_page = move |event: &&Value| event["sessionId"] == session && event["method"] == method;
        self.events.iter().filter(of_page).map(|event| &event["params"])
    }

    fn receive(&self, until: Instant) -> Result<Value> {
        let left = until.saturating_duration_since(Instant::now());
        self.messages.recv_timeout(left).map_err(|error| anyhow!("{error}"))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let _ = self.ask(None, "Browser.close", &json!({}));
        // Without its pipe it ends; where it does not, it is ended.
        self.commands = None;
        for _ in 0..50 {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
