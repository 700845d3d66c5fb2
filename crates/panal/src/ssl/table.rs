//! `panal ssl table`: what `panal ssl eval` found on several data sets, as SimCLR's Table 8.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use panal_report::{TransferResult, TransferTable};
use serde_json::{Value, json};

use super::judgements::Judgements;
use super::protocol::Protocol;
use crate::cli::{Global, TableArgs};
use crate::unfinished;

pub(crate) fn run(args: &TableArgs, global: &Global) -> Result<()> {
    let table = of(&args.files)?;
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
        write(&table, out)?;
    }
    if global.json {
        print!("{}", table.json()?);
        return Ok(());
    }
    println!("{}", table.markdown());
    println!(
        "Accuracy in per cent, the mean over seeds. Bold: the best of its protocol and data set, and what is not significantly worse (paired\n\
         permutation test over the evaluated images, p > 0.05)."
    );
    Ok(())
}

/// table.md, table.csv and table.json in a folder.
pub(super) fn write(table: &TransferTable, out: &Path) -> Result<()> {
    unfinished::write(&out.join("table.md"), table.markdown().as_bytes())?;
    unfinished::write(&out.join("table.csv"), table.csv().as_bytes())?;
    unfinished::write(&out.join("table.json"), table.json()?.as_bytes())
}

/// The table of what stands in these files.
pub(super) fn of(files: &[PathBuf]) -> Result<TransferTable> {
    let mut results: Vec<TransferResult> = Vec::new();
    // What the results of one title have in common, and the file that said so first.
    let mut data: Vec<(String, Value, PathBuf)> = Vec::new();
    // The same for the results of one title and one init.
    let mut things: Vec<(String, String, Value, PathBuf)> = Vec::new();
    let mut runs: Vec<(String, Protocol, String, u64)> = Vec::new();
    for file in files {
        let found = Judgements::read(file)?;
        if found.missing > 0 {
            tracing::warn!(
                "{}: the evaluation has not ended, {} of its judgements are missing: go on with it by --resume",
                file.display(),
                found.missing
            );
        }
        let shared = json!({ "data": found.data, "settings": found.settings });
        match data.iter().find(|(title, ..)| *title == found.title) {
            Some((_, other, first)) if *other != shared => bail!(
                "{} and {} both judge `{}`, but on other images or by other settings: their numbers can't share a column",
                first.display(),
                file.display(),
                found.title
            ),
            Some(_) => {}
            None => data.push((found.title.clone(), shared, file.clone())),
        }
        for name in found.inits.iter().filter_map(|init| init["name"].as_str()) {
            let thing = found.thing(name);
            match things.iter().find(|(title, init, ..)| (title.as_str(), init.as_str()) == (&found.title, name)) {
                Some((.., other, first)) if *other != thing => bail!(
                    "{} and {} both judge `{name}` on `{}`, but it is not the same in both: encoders of one name must have the same settings \
                     and images, `random` and `pixels` the same network and transform; pretrain with another `name`, or name a network by \
                     `random:ARCH`",
                    first.display(),
                    file.display(),
                    found.title
                ),
                Some(_) => {}
                None => things.push((found.title.clone(), name.to_owned(), thing, file.clone())),
            }
        }
        for judgement in found.judgements {
            let run = (found.title.clone(), judgement.protocol, judgement.init.clone(), judgement.seed);
            if runs.contains(&run) {
                bail!(
                    "{}: `{}`, {}, seed {} was judged twice",
                    file.display(),
                    judgement.init,
                    judgement.protocol,
                    judgement.seed
                );
            }
            runs.push(run);
            let (protocol, init) = (judgement.protocol.to_string(), judgement.init);
            let known =
                results.iter_mut().find(|r| (&r.protocol, &r.init, &r.data) == (&protocol, &init, &found.title));
            match known {
                Some(result) => result.correct.push(judgement.correct),
                None => {
                    let correct = vec![judgement.correct];
                    results.push(TransferResult { protocol, init, data: found.title.clone(), correct });
                }
            }
        }
    }
    results.sort_by(|a, b| a.protocol.cmp(&b.protocol));
    Ok(TransferTable::new(&results)?)
}
