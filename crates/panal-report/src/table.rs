//! The records of a lab, row by row: means and spreads over seeds, intervals, confusion. Which rows differ is judged in `compare`,
//! and nothing here knows how any of it is written down.

use panal_metrics::{Average, ConfusionMatrix, Interval, Summary, wilson};

use crate::compare::{Comparison, compare};
use crate::energy::{RowEnergy, energy};
use crate::mistakes::{Mistake, mistakes};
use crate::record::{DataRecord, EpochRecord, Evaluation, ModelRecord, Prediction, Seconds};
use crate::reliability::{Reliability, reliability};
use crate::{MacroScores, ReportError, RunRecord};

/// Everything that is reported of a lab.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Name of the lab.
    pub lab: String,
    /// Its rows: by data and model in the order of the records, then by row index.
    pub rows: Vec<Row>,
    /// What a reader must know to not be misled, such as a class that was never predicted.
    pub warnings: Vec<String>,
}

/// One row of a lab over all its seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Name.
    pub name: String,
    /// Position in the lab, from 0.
    pub index: usize,
    /// The images.
    pub data: DataRecord,
    /// How the evaluated images were held out.
    pub evaluation: Evaluation,
    /// The network.
    pub model: ModelRecord,
    /// Device names, distinct ones joined by `, `.
    pub device: String,
    /// The seeds, ascending. Every `values` below is in this order.
    pub seeds: Vec<u64>,
    /// Images evaluated in one run.
    pub images: usize,
    /// Scores of the last epoch.
    pub last: Scores,
    /// Scores of the best epoch, which is selected on the evaluation split; `None` unless every seed has them.
    pub best: Option<Scores>,
    /// Wilson's 95 % interval of the accuracy for the images of one run. Its count of right images is the mean over seeds, rounded:
    /// seeds see the same images, so they don't make `n` larger.
    pub accuracy_interval: Interval,
    /// How the accuracy compares with the best row on the same images.
    pub comparison: Comparison,
    /// Precision, recall and F1 of each class, in label order.
    pub classes: Vec<ClassScores>,
    /// Confusion, summed over seeds.
    pub confusion: ConfusionMatrix,
    /// Whether its probabilities mean what they say; `None` where a prediction has none.
    pub reliability: Option<Reliability>,
    /// The images it was most sure of and wrong about, the surest first; at most eight.
    pub mistakes: Vec<Mistake>,
    /// Wall seconds of a run.
    pub seconds: Spread,
    /// Mean wall seconds of a run by part.
    pub seconds_by_part: Seconds,
    /// Training images a second, the mean over the seeds that have it.
    pub images_per_second: Option<f64>,
    /// Energy and CO2 of a run; `None` unless every seed's record has them.
    pub energy: Option<RowEnergy>,
    /// Names of the phases; may be empty.
    pub phases: Vec<String>,
    /// Epochs of each seed.
    pub epochs: Vec<Vec<EpochRecord>>,
}

/// Accuracy and macro averages over seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Mean precision of the classes.
    pub precision: Spread,
    /// Mean recall of the classes.
    pub recall: Spread,
    /// Mean F1 of the classes.
    pub f1: Spread,
    /// Share of images that are right.
    pub accuracy: Spread,
}

/// Scores of one class over seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassScores {
    /// Name of the class.
    pub class: String,
    /// Its images in one run.
    pub support: u64,
    /// Precision.
    pub precision: Spread,
    /// Recall.
    pub recall: Spread,
    /// F1.
    pub f1: Spread,
}

/// A value of each seed, with their mean and spread.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// One value for each seed.
    pub values: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// Their sample standard deviation; `None` for one seed.
    pub std: Option<f64>,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Result<Self, ReportError> {
        let values: Vec<f64> = values.into_iter().collect();
        let Summary { mean, standard_deviation: std, .. } = Summary::of(&values)?;
        Ok(Self { values, mean, std })
    }
}

impl Scores {
    fn of(runs: &[MacroScores]) -> Result<Self, ReportError> {
        let spread = |score: fn(&MacroScores) -> f64| Spread::of(runs.iter().map(score));
        Ok(Self {
            precision: spread(|run| run.precision)?,
            recall: spread(|run| run.recall)?,
            f1: spread(|run| run.f1)?,
            accuracy: spread(|run| run.accuracy)?,
        })
    }
}

impl Table {
    /// Aggregates records. Where a row was run twice with one seed, the later record counts, and a warning says so.
    ///
    /// # Errors
    /// [`ReportError::NoRecords`]; [`ReportError::Record`] for one that contradicts itself.
    pub fn new(records: &[RunRecord]) -> Result<Self, ReportError> {
        let lab = records.first().ok_or(ReportError::NoRecords)?.lab.clone();
        for record in records {
            record.check()?;
        }
        let mut warnings = Vec::new();
        let groups = group(records, &mut warnings);
        let mut rows = groups.iter().map(|runs| row(runs, &mut warnings)).collect::<Result<Vec<_>, _>>()?;
        compare(&mut rows, &groups, &mut warnings)?;
        warn_of_gaps(&rows, &mut warnings);
        Ok(Self { lab, rows, warnings })
    }

    /// Whether rows are about more than one data set or evaluation.
    pub(crate) fn has_several_data(&self) -> bool {
        self.rows.iter().any(|row| !row.same_data(&self.rows[0]))
    }

    /// Whether rows are about more than one architecture.
    pub(crate) fn has_several_models(&self) -> bool {
        self.rows.iter().any(|row| row.model.arch != self.rows[0].model.arch)
    }

    /// The row's name, with data and model where the table has several of them.
    pub(crate) fn label(&self, row: &Row) -> String {
        let mut label = row.name.clone();
        if self.has_several_models() {
            label = format!("{label}, {}", row.model.arch);
        }
        if self.has_several_data() {
            label = format!("{label}, {} ({})", row.data.title, row.evaluation);
        }
        label
    }

    /// What the rows are about, one line for each data set: title, origin, images evaluated and how, models.
    pub fn subjects(&self) -> Vec<String> {
        let mut firsts: Vec<&Row> = Vec::new();
        for row in &self.rows {
            if !firsts.iter().any(|first| first.same_data(row)) {
                firsts.push(row);
            }
        }
        let subject = |first: &&Row| {
            let DataRecord { title, origin, classes, evaluation, .. } = &first.data;
            let mut models: Vec<&str> = Vec::new();
            for row in self.rows.iter().filter(|row| row.same_data(first)) {
                if !models.contains(&row.model.arch.as_str()) {
                    models.push(&row.model.arch);
                }
            }
            let counts = if classes.len() <= 10 {
                let counts: Vec<String> =
                    evaluation.per_class.iter().zip(classes).map(|(count, class)| format!("{count} {class}")).collect();
                counts.join(", ")
            } else {
                format!("{} classes", classes.len())
            };
            let (images, how, models) = (first.images, first.evaluation, models.join(", "));
            format!("{title} ({origin}); {images} images evaluated ({counts}), {how}; {models}")
        };
        firsts.iter().map(subject).collect()
    }
}

impl Row {
    /// Whether both rows were judged on the same images in the same way.
    pub(crate) fn same_data(&self, other: &Self) -> bool {
        self.data.same_evaluation(&other.data) && self.evaluation == other.evaluation
    }
}

/// The records of each row, each seed once and ascending.
pub(crate) fn group<'a>(records: &'a [RunRecord], warnings: &mut Vec<String>) -> Vec<Vec<&'a RunRecord>> {
    let same_subject = |a: &RunRecord, b: &RunRecord| {
        a.data.same_evaluation(&b.data) && a.evaluation == b.evaluation && a.model.arch == b.model.arch
    };
    let mut groups: Vec<Vec<&RunRecord>> = Vec::new();
    for record in records {
        let same_row = |runs: &&mut Vec<&RunRecord>| {
            same_subject(runs[0], record) && (&runs[0].row, runs[0].row_index) == (&record.row, record.row_index)
        };
        let Some(runs) = groups.iter_mut().find(same_row) else {
            groups.push(vec![record]);
            continue;
        };
        match runs.iter_mut().find(|run| run.seed == record.seed) {
            Some(run) => {
                warnings
                    .push(format!("{}: seed {} was run more than once; the last run counts", record.row, record.seed));
                *run = record;
            }
            None => runs.push(record),
        }
    }
    for runs in &mut groups {
        runs.sort_by_key(|run| run.seed);
    }
    let subject = |runs: &Vec<&RunRecord>| records.iter().position(|record| same_subject(record, runs[0]));
    groups.sort_by_cached_key(|runs| (subject(runs), runs[0].row_index));
    groups
}

/// Aggregates the runs of one row. The comparison is filled in when all rows are known.
fn row(runs: &[&RunRecord], warnings: &mut Vec<String>) -> Result<Row, ReportError> {
    let first = runs[0];
    let classes = &first.data.classes;
    warn_of_mixture(runs, warnings);
    let matrices = runs.iter().map(|run| confusion(classes.len(), &run.predictions)).collect::<Result<Vec<_>, _>>()?;
    warn_of_unpredicted(runs, &matrices, warnings);

    let confusion = total(&matrices)?;
    let per_class: Vec<_> = matrices.iter().map(ConfusionMatrix::per_class).collect();
    let class_scores = classes.iter().enumerate().map(|(class, name)| {
        let spread = |score: fn(&panal_metrics::Prf) -> f64| Spread::of(per_class.iter().map(|run| score(&run[class])));
        Ok(ClassScores {
            class: name.clone(),
            support: per_class[0][class].support,
            precision: spread(|class| class.precision)?,
            recall: spread(|class| class.recall)?,
            f1: spread(|class| class.f1)?,
        })
    });
    let best: Option<Vec<MacroScores>> = runs.iter().map(|run| run.best.as_ref().map(|best| best.scores)).collect();
    let right_mean = (confusion.correct() as f64 / runs.len() as f64).round() as u64;
    let mean = |part: fn(&Seconds) -> f64| runs.iter().map(|run| part(&run.seconds)).sum::<f64>() / runs.len() as f64;
    let waiting: Option<Vec<f64>> = runs.iter().map(|run| run.seconds.waiting).collect();
    let speeds: Vec<f64> = runs.iter().map(|run| run.images_per_second).filter(|speed| speed.is_finite()).collect();

    Ok(Row {
        name: first.row.clone(),
        index: first.row_index,
        data: first.data.clone(),
        evaluation: first.evaluation,
        model: first.model.clone(),
        device: distinct(runs.iter().map(|run| run.device.as_str())).join(", "),
        seeds: runs.iter().map(|run| run.seed).collect(),
        images: first.predictions.len(),
        last: Scores::of(&matrices.iter().map(macro_scores).collect::<Vec<_>>())?,
        best: best.map(|runs| Scores::of(&runs)).transpose()?,
        accuracy_interval: wilson(right_mean, first.predictions.len() as u64, 0.95)?,
        comparison: Comparison::Alone,
        classes: class_scores.collect::<Result<_, ReportError>>()?,
        confusion,
        reliability: reliability(runs, warnings)?,
        mistakes: mistakes(runs),
        seconds: Spread::of(runs.iter().map(|run| run.seconds.total))?,
        seconds_by_part: Seconds {
            total: mean(|s| s.total),
            data: mean(|s| s.data),
            features: mean(|s| s.features),
            train: mean(|s| s.train),
            waiting: waiting.map(|waiting| waiting.iter().sum::<f64>() / waiting.len() as f64),
            evaluate: mean(|s| s.evaluate),
        },
        images_per_second: (!speeds.is_empty()).then(|| speeds.iter().sum::<f64>() / speeds.len() as f64),
        energy: energy(runs)?,
        phases: first.phases.clone(),
        epochs: runs.iter().map(|run| run.epochs.clone()).collect(),
    })
}

fn confusion(classes: usize, predictions: &[Prediction]) -> Result<ConfusionMatrix, ReportError> {
    let truth: Vec<usize> = predictions.iter().map(|prediction| prediction.truth).collect();
    let predicted: Vec<usize> = predictions.iter().map(|prediction| prediction.predicted).collect();
    Ok(ConfusionMatrix::from_labels(classes, &truth, &predicted)?)
}

fn macro_scores(matrix: &ConfusionMatrix) -> MacroScores {
    let average = matrix.average(Average::Macro);
    MacroScores { precision: average.precision, recall: average.recall, f1: average.f1, accuracy: matrix.accuracy() }
}

fn total(matrices: &[ConfusionMatrix]) -> Result<ConfusionMatrix, ReportError> {
    let classes = matrices[0].classes();
    let mut sums = vec![vec![0; classes]; classes];
    for matrix in matrices {
        for (sums, counts) in sums.iter_mut().zip(matrix.rows()) {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
    }
    Ok(ConfusionMatrix::from_counts(&sums)?)
}

fn warn_of_mixture(runs: &[&RunRecord], warnings: &mut Vec<String>) {
    let first = runs[0];
    let mut warn = |what: &str, same: fn(&RunRecord, &RunRecord) -> bool| {
        if runs.iter().any(|run| !same(run, first)) {
            warnings.push(format!(
                "{}: its seeds differ in {what}, so their spread is not that of the seed alone",
                first.row
            ));
        }
    };
    warn("their configuration", |a, b| a.config == b.config);
    warn("the images they trained on", |a, b| a.data.train == b.data.train);
    warn("the weights they began with", |a, b| a.model == b.model);
    warn("versions", |a, b| a.versions == b.versions);
}

fn warn_of_unpredicted(runs: &[&RunRecord], matrices: &[ConfusionMatrix], warnings: &mut Vec<String>) {
    let RunRecord { row, data, .. } = runs[0];
    for (class, name) in data.classes.iter().enumerate() {
        if matrices[0].per_class()[class].support == 0 {
            warnings.push(format!("{row}: no evaluated image is of class {name}; its recall counts as 0"));
        }
        let never = |matrix: &ConfusionMatrix| matrix.rows().all(|counts| counts[class] == 0);
        let seeds: Vec<String> = runs
            .iter()
            .zip(matrices)
            .filter(|(_, matrix)| never(matrix))
            .map(|(run, _)| format!("seed {}", run.seed))
            .collect();
        if !seeds.is_empty() {
            warnings.push(format!(
                "{row}: class {name} was never predicted with {}; its precision counts as 0 there",
                seeds.join(", ")
            ));
        }
    }
}

fn warn_of_gaps(rows: &[Row], warnings: &mut Vec<String>) {
    let Some(first) = rows.first() else { return };
    if rows.iter().any(|row| row.seeds != first.seeds) {
        warnings.push("not all rows were run with the same seeds".to_owned());
    }
    let last = rows.iter().map(|row| row.index).max().unwrap_or(0);
    let missing: Vec<String> = (0..last)
        .filter(|index| rows.iter().all(|row| row.index != *index))
        .map(|index| (index + 1).to_string())
        .collect();
    if !missing.is_empty() {
        warnings.push(format!("not run, so not shown: row {} of this lab", missing.join(", ")));
    }
}

/// The values that differ, in the order of their first.
pub(crate) fn distinct<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for value in values {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}
