//! A page of the browser: opened, asked, pointed at, photographed.

use std::path::Path;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::pipe::Pipe;

/// What the user prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// A part of a page, in CSS pixels from its top left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// One page.
#[derive(Debug)]
pub struct Page<'a> {
    pipe: &'a mut Pipe,
    session: String,
}

impl<'a> Page<'a> {
    pub(crate) fn begin(
        pipe: &'a mut Pipe,
        session: String,
        (width, height): (u32, u32),
        scheme: Scheme,
    ) -> Result<Self> {
        let mut page = Self { pipe, session };
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        page.ask("Emulation.setDeviceMetricsOverride", &size)?;
        let scheme = if scheme == Scheme::Dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        page.ask("Emulation.setEmulatedMedia", &media)?;
        for domain in ["Page.enable", "Network.enable", "Log.enable"] {
            page.ask(domain, &json!({}))?;
        }
        Ok(page)
    }

    /// Opens a file and waits until it and all of its pictures are there.
    ///
    /// # Errors
    /// That it can't be opened, or a picture of it can't be decoded.
    pub fn open(&mut self, file: &Path) -> Result<()> {
        let file = std::fs::canonicalize(file).with_context(|| format!("cannot find {}", file.display()))?;
        let opened = self.ask("Page.navigate", &json!({ "url": format!("file://{}", file.display()) }))?;
        if let Some(said) = opened["errorText"].as_str().filter(|said| !said.is_empty()) {
            bail!("cannot open {}: {said}", file.display());
        }
        self.pipe.wait_for(&self.session, "Page.loadEventFired")?;
        // Those further down would wait until somebody scrolls there.
        self.eval(
            "Promise.all([...document.images].map((image) => { image.loading = 'eager'; return image.decode(); }))",
        )?;
        Ok(())
    }

    /// The value of an expression of JavaScript, which may be a promise of one.
    ///
    /// # Errors
    /// What it throws.
    pub fn eval(&mut self, expression: &str) -> Result<Value> {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.ask("Runtime.evaluate", &asked)?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            bail!("`{expression}` threw {thrown}");
        }
        Ok(answer["result"]["value"].take())
    }

    /// Where the first element that a selector finds stands.
    ///
    /// # Errors
    /// That there is none.
    pub fn place(&mut self, selector: &str) -> Result<Shown> {
        let found = self.eval(&format!(
            "(() => {{ const box = document.querySelector({}).getBoundingClientRect(); \
             return [box.x + scrollX, box.y + scrollY, box.width, box.height]; }})()",
            json!(selector)
        ))?;
        let [x, y, width, height]: [f64; 4] = serde_json::from_value(found)?;
        Ok(Shown { x, y, width, height })
    }

    /// Moves the mouse over the middle of the first element that a selector finds, having scrolled there.
    ///
    /// # Errors
    /// That there is none.
    pub fn point_at(&mut self, selector: &str) -> Result<()> {
        self.eval(&format!("document.querySelector({}).scrollIntoView({{ block: 'center' }})", json!(selector)))?;
        let at = self.place(selector)?;
        let scrolled: [f64; 2] = serde_json::from_value(self.eval("[scrollX, scrollY]")?)?;
        let (x, y) = (at.x + at.width / 2.0 - scrolled[0], at.y + at.height / 2.0 - scrolled[1]);
        self.ask("Input.dispatchMouseEvent", &json!({ "type": "mouseMoved", "x": x, "y": y }))?;
        Ok(())
    }

    /// Presses and lets go of a key, such as `ArrowRight`.
    ///
    /// # Errors
    /// What the browser says.
    pub fn press(&mut self, key: &str) -> Result<()> {
        for kind in ["keyDown", "keyUp"] {
            self.ask("Input.dispatchKeyEvent", &json!({ "type": kind, "key": key }))?;
        }
        Ok(())
    }

    /// A picture of a part of the page as a WebP file.
    ///
    /// # Errors
    /// What the browser says.
    pub fn webp(&mut self, part: Shown, quality: u8) -> Result<Vec<u8>> {
        let clip = json!({ "x": part.x, "y": part.y, "width": part.width, "height": part.height, "scale": 1 });
        let shot = json!({ "format": "webp", "quality": quality, "clip": clip, "captureBeyondViewport": true });
        let taken = self.ask("Page.captureScreenshot", &shot)?;
        Ok(BASE64_STANDARD.decode(taken["data"].as_str().unwrap_or_default())?)
    }

    /// Addresses of everything that was asked for so far, the page itself included, what stands in it (`data:`) not.
    pub fn requests(&self) -> Vec<String> {
        let urls = self
            .pipe
            .events(&self.session, "Network.requestWillBeSent")
            .filter_map(|event| event["request"]["url"].as_str());
        urls.filter(|url| !url.starts_with("data:")).map(str::to_owned).collect()
    }

    /// What the browser complained of, such as a policy that was broken.
    pub fn complaints(&self) -> Vec<String> {
        let entries =
            self.pipe.events(&self.session, "Log.entryAdded").filter_map(|event| event["entry"]["text"].as_str());
        entries.map(str::to_owned).collect()
    }

    fn ask(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.pipe.ask(Some(&self.session), method, params)
    }
}
