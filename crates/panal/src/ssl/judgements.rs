//! What `panal ssl eval` finds, as a file that grows judgement by judgement and that a later run goes on with. Judging is `judge`'s.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::protocol::{Protocol, Settings};
use crate::config::EVALUATION;
use crate::unfinished;

/// What `kind` is in the file.
const KIND: &str = "evaluation of features";

/// The file's format.
pub(super) const FORMAT: u32 = 1;

/// One evaluation: one row's features, one protocol, one seed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Judgement {
    /// What was judged.
    pub(crate) init: String,
    pub(crate) protocol: Protocol,
    pub(crate) seed: u64,
    /// Share of the evaluated images that are right.
    pub(crate) accuracy: f64,
    /// Whether each evaluated image is right, in their order.
    pub(crate) correct: Vec<bool>,
    /// The penalty that a linear evaluation chose on its own validation images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) l2: Option<f64>,
    pub(crate) seconds: f64,
}

/// All that was found on one data set, so far.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Judgements {
    pub(crate) format: u32,
    pub(crate) kind: String,
    pub(crate) data: Value,
    /// Title of the data, for tables.
    pub(crate) title: String,
    pub(crate) settings: Settings,
    pub(crate) inits: Vec<Value>,
    pub(crate) judgements: Vec<Judgement>,
    /// Judgements that were asked for and are still to come; none once the evaluation has ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) missing: usize,
    pub(crate) device: String,
    pub(crate) versions: Value,
    pub(crate) command: String,
    pub(crate) started_at: String,
    /// Wall seconds, those of the runs before this one included.
    pub(crate) seconds: f64,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Judgements {
    /// What [`Judgements::kind`] is.
    pub(super) fn kind() -> String {
        KIND.into()
    }

    /// The file that [`write`](Self::write) wrote.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let found: Self = serde_json::from_str(&text)
            .with_context(|| format!("{} is no file that `panal ssl eval --out` wrote", file.display()))?;
        if found.kind != KIND {
            bail!(
                "{} holds `{}`, and `{KIND}` is wanted: name files that `panal ssl eval --out` wrote",
                file.display(),
                found.kind
            );
        }
        Ok(found)
    }

    /// In place of what stood there, whole or not at all.
    pub(super) fn write(&self, file: &Path) -> Result<()> {
        unfinished::write(file, format!("{}\n", serde_json::to_string(self)?).as_bytes())
    }

    /// Whether this was judged already.
    pub(super) fn has(&self, init: &str, protocol: Protocol, seed: u64) -> bool {
        self.judgements.iter().any(|known| (known.init.as_str(), known.protocol, known.seed) == (init, protocol, seed))
    }

    /// What has to be the same for two results of an init to be runs of one thing: an encoder's settings and images, which weights,
    /// or which network; of pixels, the transform.
    pub(super) fn thing(&self, init: &str) -> Value {
        let origin = |name: &str| self.inits.iter().find(|init| init["name"] == name).map(|init| &init["origin"]);
        let Some(own) = origin(init) else { return Value::Null };
        if let Some(pretraining) = own.get("pretraining") {
            return json!({ "config": pretraining["config"], "data": pretraining["data"] });
        }
        let Some(like) = own["like"].as_str().and_then(origin) else { return own.clone() };
        let config = &like["pretraining"]["config"];
        let transform = &config["augment"][EVALUATION];
        match init {
            "pixels" => json!({ "transform": transform }),
            _ => json!({ "model": config["model"], "stem": config["stem"], "transform": transform }),
        }
    }

    /// Takes over what an earlier run found and kept in `file`.
    ///
    /// Refused where that is of other images, settings, weights, versions or another device: its numbers could not stand
    /// beside this run's. What it judged has to be judged here too; more may be asked for.
    pub(super) fn take_over(&mut self, earlier: Self, file: &Path) -> Result<()> {
        for (what, theirs, ours) in [
            ("images", &earlier.data, &self.data),
            ("settings", &json!(earlier.settings), &json!(self.settings)),
            ("versions", &earlier.versions, &self.versions),
            ("device", &json!(earlier.device), &json!(self.device)),
        ] {
            if theirs != ours {
                bail!(
                    "{} was judged with other {what}, so this can't go on with it: name another place by --out, or delete it",
                    file.display()
                );
            }
        }
        if let Some(init) = earlier.inits.iter().find(|init| !self.inits.contains(init)) {
            bail!(
                "{} also judged {}, which is not named here or is something else now: name what was judged there as well, or another place by --out",
                file.display(),
                init["name"]
            );
        }
        self.judgements = earlier.judgements;
        self.started_at = earlier.started_at;
        self.seconds = earlier.seconds;
        Ok(())
    }
}
