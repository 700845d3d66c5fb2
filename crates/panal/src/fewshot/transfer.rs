//! Transfer from frozen features on episodes that learners are held to as well.

use anyhow::{Context, Result, anyhow};
use panal_data::Episode;
use panal_trainers::{FewShotMethod, Judged, LaplacianShotSpec, Transform, evaluate_episodes};

use super::data::Judging;
use super::encoder::Encoder;
use super::standing::Standing;
use crate::cli::{FewshotEvalArgs, Global, TransferMethod};
use crate::console::Console;
use crate::interrupt;

/// The method over frozen features, with its usual settings; `None` for the one that freezes nothing.
pub(super) fn frozen(method: TransferMethod) -> Option<FewShotMethod> {
    Some(match method {
        TransferMethod::NearestMean => FewShotMethod::NearestMean,
        TransferMethod::Cosine => FewShotMethod::Cosine(Default::default()),
        TransferMethod::Logistic => FewShotMethod::Logistic(Default::default()),
        TransferMethod::LaplacianShot => FewShotMethod::LaplacianShot(Default::default()),
        TransferMethod::LaplacianShotRectified => {
            FewShotMethod::LaplacianShot(LaplacianShotSpec { rectify: true, ..Default::default() })
        }
        TransferMethod::Tim => FewShotMethod::Tim(Default::default()),
        TransferMethod::FineTune => return None,
    })
}

/// The methods that are asked for.
///
/// # Errors
/// Fine-tuning, which takes minutes where the others take seconds.
pub(super) fn methods(args: &FewshotEvalArgs) -> Result<Vec<FewShotMethod>> {
    let method = |&method: &TransferMethod| {
        frozen(method).ok_or_else(|| {
            anyhow!("--method fine-tune: a network for each episode; `panal fewshot curve` has it, on fewer episodes")
        })
    };
    args.methods.iter().map(method).collect()
}

/// A row for every encoder and method, over features of unit length.
pub(super) fn standings(
    args: &FewshotEvalArgs,
    methods: &[FewShotMethod],
    test: &Judging,
    global: &Global,
    console: &Console,
) -> Result<Vec<Standing>> {
    let mut standings = Vec::new();
    for init in &args.inits {
        let encoder = Encoder::open(init, global, console)?;
        let bank = encoder.bank(&test.images, &format!("features of {init}"))?;
        for method in methods {
            let answer = |episodes: &[Episode]| -> Result<Judged> {
                let scores = evaluate_episodes(&bank, episodes, method, &Transform::L2, &interrupt::watch())
                    .with_context(|| format!("--init {init}"))?;
                let calibration_error = Some(scores.calibration.expected_error());
                Ok(Judged { calibration_error, ..Judged::of(episodes, scores.predicted)? })
            };
            let judged = answer(&test.list.episodes)?;
            let apart = test.apart.as_deref().map(answer).transpose()?;
            standings.push(Standing::fixed(&format!("{init}: {method}"), judged, apart));
        }
    }
    Ok(standings)
}
