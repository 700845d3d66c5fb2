//! The configuration of few-shot learning: from a preset or a file, changed by the command line, checked once into [`Study`].
//! Nothing runs here.

use anyhow::{Context, Result, bail};
use panal_data::{Episode, EpisodeSize, EpisodeSpec};
use panal_trainers::{EpisodicSpec, FewShotSpec, MethodSpec};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::cli::{ConfigArgs, FewshotMethod, FewshotStudyArgs};
use crate::config;

/// The built-in configurations: name and text.
pub(crate) const PRESETS: &[(&str, &str)] = &[
    ("omniglot-oneshot", include_str!("../../presets/fewshot/omniglot-oneshot.toml")),
    ("omniglot-within", include_str!("../../presets/fewshot/omniglot-within.toml")),
];

/// The preset of those who name none.
const DEFAULT_PRESET: &str = "omniglot-oneshot";

/// Ways of Omniglot's official task.
const OFFICIAL_WAYS: i64 = 20;

/// What is learnt, on what, and how it is judged.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Study {
    /// Short name, for the results.
    pub(crate) name: String,
    /// What it is, in words.
    pub(crate) title: String,
    /// Data sets of the catalogue, or folders, to learn from. A class whose images an earlier one has too counts once.
    pub(crate) data: Vec<String>,
    /// What learns.
    pub(crate) learner: FewShotSpec,
    /// How it learns.
    pub(crate) training: EpisodicSpec,
    /// What it is judged by.
    pub(crate) test: Test,
}

/// What learners are judged by.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Test {
    /// A data set of the catalogue, or a folder: one of classes (in groups, or not), or the runs of Omniglot's one-shot task.
    pub(crate) data: String,
    /// How episodes are drawn of it; to be left out where the data are runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) draw: Option<Draw>,
}

/// Episodes to draw.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draw {
    /// How many; at least 2.
    pub(crate) episodes: usize,
    /// Their seed, the same for every learner.
    #[serde(default)]
    pub(crate) seed: u64,
    /// Their kind.
    pub(crate) episode: EpisodeSpec,
}

impl Study {
    fn check(&self) -> Result<()> {
        config::check_name(&self.name)?;
        if self.data.is_empty() {
            bail!("data must name at least one data set to learn from, got none");
        }
        self.training.check(&self.learner).context("in learner and training")?;
        if let Some(draw) = &self.test.draw {
            if draw.episodes < 2 {
                bail!("test.draw.episodes must be at least 2, got {}", draw.episodes);
            }
            draw.episode.check().context("in test.draw.episode")?;
            if let Some(ways) = self.ways() {
                match &draw.episode.size {
                    EpisodeSize::Fixed(size) if size.ways == ways => {}
                    EpisodeSize::Fixed(size) => bail!(
                        "test.draw.episode.size.fixed.ways must be {ways}, as learner.method.ways, for a learner of MAML answers no other number; got {}",
                        size.ways
                    ),
                    EpisodeSize::Variable(_) => {
                        bail!(
                            "test.draw.episode.size must be fixed, with {ways} ways, as learner.method.ways, got variable"
                        )
                    }
                }
            }
        }
        Ok(())
    }

    /// Refuses episodes to judge by that the learner can't answer.
    pub(crate) fn check_ways(&self, episodes: &[Episode]) -> Result<()> {
        let Some(ways) = self.ways() else { return Ok(()) };
        match episodes.iter().find(|episode| episode.ways.len() != ways) {
            None => Ok(()),
            Some(episode) => bail!(
                "learner.method.ways and training.episode.size.fixed.ways must be {}, the ways of episode {} of {}, got {ways}",
                episode.ways.len(),
                episode.number,
                self.test.data
            ),
        }
    }

    /// The only number of ways that the learner answers, if there is one.
    fn ways(&self) -> Option<usize> {
        if let MethodSpec::Maml { ways, .. } = self.learner.method { Some(ways) } else { None }
    }
}

/// Reads the configuration that the arguments name, with what else they change.
pub(crate) fn load(args: &FewshotStudyArgs, method: Option<FewshotMethod>, lr: Option<f64>) -> Result<Study> {
    let lr = lr.map(|lr| ("training.lr", Value::Float(lr)));
    let plain = ConfigArgs {
        preset: args.preset.clone(),
        config: args.config.clone(),
        model: None,
        batch: None,
        lr: None,
        precision: None,
        sets: Vec::new(),
        skip_bad: args.skip_bad,
        checkpoint_every: None,
        resume: false,
    };
    let (origin, mut table) = config::read_table(&plain, PRESETS, DEFAULT_PRESET, &lr.into_iter().collect::<Vec<_>>())?;
    let study = || {
        if let Some(method) = method {
            choose(&mut table, method)?;
        }
        // What is set by hand comes after what the method brings.
        config::set(&mut table, &args.sets)?;
        let study: Study = config::deserialize(table)?;
        study.check()?;
        Ok(study)
    };
    let study: Result<Study> = study();
    study.with_context(|| format!("in {origin}"))
}

/// Puts another method into a configuration, with what it needs besides: larger maps for a relation module, and for MAML
/// training episodes of as many ways as those of the test.
fn choose(table: &mut Table, method: FewshotMethod) -> Result<()> {
    let text = match method {
        FewshotMethod::Prototypical => "kind = \"prototypical\"",
        FewshotMethod::Matching => "kind = \"matching\"\nscale = 10.0",
        FewshotMethod::Relation => "kind = \"relation\"",
        FewshotMethod::Siamese => "kind = \"siamese\"",
        FewshotMethod::Maml => "kind = \"maml\"",
        FewshotMethod::FirstOrderMaml => "kind = \"maml\"\norder = \"first\"",
        FewshotMethod::Anil => "kind = \"maml\"\nadapt = \"head\"",
    };
    config::assign(table, "learner.method", Value::Table(text.parse()?))?;
    if matches!(method, FewshotMethod::Relation) {
        config::assign(table, "learner.network.pools", Value::Integer(2))?;
    }
    if matches!(method, FewshotMethod::Maml | FewshotMethod::FirstOrderMaml | FewshotMethod::Anil) {
        let fixed = ["draw", "episode", "size", "fixed", "ways"];
        let ways = fixed.iter().try_fold(table.get("test"), |at, key| at.map(|value| value.get(key)));
        let ways = ways.flatten().and_then(Value::as_integer).unwrap_or(OFFICIAL_WAYS);
        config::assign(table, "learner.method.ways", Value::Integer(ways))?;
        config::assign(table, "training.episode.size.fixed.ways", Value::Integer(ways))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(preset: &str, sets: &[&str]) -> FewshotStudyArgs {
        let sets = sets.iter().map(|set| (*set).to_owned()).collect();
        FewshotStudyArgs { preset: Some(preset.into()), config: None, sets, skip_bad: false }
    }

    #[test]
    fn help_names_every_preset() {
        for words in [&["fewshot", "train"][..], &["fewshot", "eval"]] {
            let help = crate::cli::help(words);
            assert!(PRESETS.iter().all(|(name, _)| help.contains(name)), "{words:?}: {help}");
        }
    }

    #[test]
    fn every_preset_takes_every_method() {
        use clap::ValueEnum;
        for (preset, _) in PRESETS {
            load(&args(preset, &[]), None, None).unwrap();
            for method in FewshotMethod::value_variants() {
                load(&args(preset, &[]), Some(*method), None)
                    .unwrap_or_else(|error| panic!("{preset} {method:?}: {error:#}"));
            }
        }
    }

    #[test]
    fn maml_is_judged_on_as_many_ways_as_it_answers() {
        let of = |sets: &[&str]| load(&args("omniglot-within", sets), Some(FewshotMethod::Anil), None);
        let said = |sets: &[&str]| format!("{:#}", of(sets).unwrap_err());
        let other = said(&["test.draw.episode.size.fixed.ways=7"]);
        assert!(other.contains("test.draw.episode.size.fixed.ways must be 5, as learner.method.ways"), "{other}");
        let variable = said(&["test.draw.episode.size={ variable = {} }"]);
        assert!(variable.contains("test.draw.episode.size must be fixed, with 5 ways"), "{variable}");
        let ways = |ways: usize| Episode {
            number: 3,
            ways: vec![panal_data::EpisodeClass { class: 0, rotation: Default::default() }; ways],
            support: Vec::new(),
            query: Vec::new(),
        };
        let study = of(&[]).unwrap();
        study.check_ways(&[ways(5)]).unwrap();
        let error = study.check_ways(&[ways(5), ways(20)]).unwrap_err().to_string();
        assert!(error.contains("must be 20, the ways of episode 3 of omniglot-background-small2, got 5"), "{error}");
    }
}
