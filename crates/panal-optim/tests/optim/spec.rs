//! Settings: how they are read, what is refused and with which words, and laws of the schedules.

use panal_optim::{AdamW, Lars, LrScaling, OptimizerSpec, Progress, ScheduleSpec, Sgd};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    optimizer: OptimizerSpec,
    #[serde(default)]
    schedule: ScheduleSpec,
    #[serde(default)]
    lr_scaling: LrScaling,
}

fn read(text: &str) -> Result<File, String> {
    let file: File = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    file.optimizer.check().and_then(|()| file.schedule.check()).map_err(|error| error.to_string())?;
    Ok(file)
}

#[test]
fn what_is_left_out_has_its_default() {
    let file = read("").unwrap();
    assert_eq!((file.optimizer, file.schedule), (OptimizerSpec::Sgd(Sgd::default()), ScheduleSpec::Constant {}));
    assert_eq!(file.lr_scaling, LrScaling::None);
    let file = read("optimizer = { kind = 'adamw', weight_decay = 0.05 }\nschedule = { kind = 'cosine', floor = 0.1 }")
        .unwrap();
    assert_eq!(file.optimizer, OptimizerSpec::AdamW(AdamW { weight_decay: 0.05, ..AdamW::default() }));
    assert_eq!(file.schedule, ScheduleSpec::Cosine { warmup_epochs: 0, floor: 0.1 });
    let file = read("optimizer = { kind = 'lars' }\nlr_scaling = 'sqrt'").unwrap();
    let simclr = Lars {
        momentum: 0.9,
        nesterov: false,
        weight_decay: 1e-6,
        trust_coefficient: 0.001,
        exclude_bias_and_norm: true,
    };
    assert_eq!((file.optimizer, file.lr_scaling), (OptimizerSpec::Lars(simclr), LrScaling::Sqrt));
    assert_eq!(read("lr_scaling = 'linear'").unwrap().lr_scaling, LrScaling::Linear);
}

#[test]
fn what_is_wrong_is_named() {
    let cases = [
        ("optimizer = { kind = 'sgd', momentum = 1.5 }", "momentum must be in [0, 1), got 1.5"),
        ("optimizer = { kind = 'sgd', momentum = nan }", "momentum must be in [0, 1), got NaN"),
        (
            "optimizer = { kind = 'sgd', weight_decay = -1e-4 }",
            "weight_decay must be a finite number >= 0, got -0.0001",
        ),
        (
            "optimizer = { kind = 'sgd', momentum = 0, nesterov = true }",
            "nesterov = true needs momentum > 0, got momentum = 0",
        ),
        ("optimizer = { kind = 'adamw', beta1 = 1.0 }", "beta1 must be in [0, 1), got 1"),
        ("optimizer = { kind = 'adamw', beta2 = -0.5 }", "beta2 must be in [0, 1), got -0.5"),
        ("optimizer = { kind = 'adamw', eps = 0.0 }", "eps must be a finite number > 0, got 0"),
        ("optimizer = { kind = 'adamw', weight_decay = inf }", "weight_decay must be a finite number >= 0, got inf"),
        ("optimizer = { kind = 'adamw', momentum = 0.9 }", "unknown field `momentum`, expected one of `beta1`"),
        ("optimizer = { kind = 'sgd', momentun = 0.9 }", "unknown field `momentun`, expected one of `momentum`"),
        ("optimizer = { kind = 'rmsprop' }", "unknown variant `rmsprop`, expected one of `sgd`, `adamw`, `lars`"),
        ("optimizer = { kind = 'lars', momentum = 1.0 }", "momentum must be in [0, 1), got 1"),
        ("optimizer = { kind = 'lars', weight_decay = -1.0 }", "weight_decay must be a finite number >= 0, got -1"),
        (
            "optimizer = { kind = 'lars', trust_coefficient = 0 }",
            "trust_coefficient must be a finite number > 0, got 0",
        ),
        (
            "optimizer = { kind = 'lars', trust_coefficient = nan }",
            "trust_coefficient must be a finite number > 0, got NaN",
        ),
        (
            "optimizer = { kind = 'lars', trust_coefficient = inf }",
            "trust_coefficient must be a finite number > 0, got inf",
        ),
        (
            "optimizer = { kind = 'lars', momentum = 0, nesterov = true }",
            "nesterov = true needs momentum > 0, got momentum = 0",
        ),
        ("optimizer = { kind = 'lars', eta = 0.001 }", "unknown field `eta`, expected one of `momentum`"),
        ("lr_scaling = 'root'", "unknown variant `root`, expected one of `none`, `linear`, `sqrt`"),
        ("schedule = { kind = 'step', every = 0, gamma = 0.1 }", "every must be at least 1, got 0"),
        ("schedule = { kind = 'step', every = 7, gamma = 0.0 }", "gamma must be in (0, 1], got 0"),
        ("schedule = { kind = 'step', every = 7 }", "missing field `gamma`"),
        ("schedule = { kind = 'cosine', floor = 1.5 }", "floor must be in [0, 1], got 1.5"),
        ("schedule = { kind = 'cosine', warmup = 1 }", "unknown field `warmup`, expected `warmup_epochs` or `floor`"),
        ("schedule = { kind = 'constant', gamma = 0.1 }", "unknown field `gamma`"),
    ];
    for (text, message) in cases {
        let error = read(text).err().unwrap_or_else(|| panic!("accepted: {text}"));
        assert!(error.starts_with(message), "{text}: {error}");
    }
    let error = ScheduleSpec::Cosine { warmup_epochs: 3, floor: 0.0 }.check_for(3).unwrap_err();
    assert_eq!(error.to_string(), "warmup_epochs must be fewer than the epochs of the phase, got 3");
}

#[test]
fn settings_survive_a_file() {
    let specs = [
        OptimizerSpec::Sgd(Sgd { momentum: 0.0, weight_decay: 1e-4, decay_bias_and_norm: false, ..Sgd::default() }),
        OptimizerSpec::AdamW(AdamW { beta1: 0.8, eps: 1e-6, ..AdamW::default() }),
        OptimizerSpec::Lars(Lars { nesterov: true, trust_coefficient: 0.02, ..Lars::default() }),
    ];
    for spec in specs {
        assert_eq!(toml::from_str::<OptimizerSpec>(&toml::to_string(&spec).unwrap()).unwrap(), spec);
    }
    let constant = ScheduleSpec::Constant {};
    for spec in
        [constant, ScheduleSpec::Step { every: 3, gamma: 0.2 }, ScheduleSpec::Cosine { warmup_epochs: 2, floor: 0.1 }]
    {
        assert_eq!(toml::from_str::<ScheduleSpec>(&toml::to_string(&spec).unwrap()).unwrap(), spec);
    }
}

/// Both rules of SimCLR give 4.8 for its batch of 4096 images.
#[test]
fn learning_rates_follow_the_batch() {
    assert_eq!(LrScaling::None.scale(0.2, 4096), 0.2);
    assert!((LrScaling::Linear.scale(0.3, 4096) - 4.8).abs() < 1e-12);
    assert!((LrScaling::Sqrt.scale(0.075, 4096) - 4.8).abs() < 1e-12);
    assert_eq!(LrScaling::Linear.scale(0.3, 64), 0.075);
    assert_eq!(LrScaling::Sqrt.scale(0.075, 64), 0.6);
}

proptest! {
    #[test]
    fn a_cosine_rises_then_falls_between_floor_and_one(
        epochs in 1_usize..12, warmup in 0_usize..12, steps_per_epoch in 1_usize..9, floor in 0.0..=1.0,
    ) {
        prop_assume!(warmup < epochs);
        let schedule = ScheduleSpec::Cosine { warmup_epochs: warmup, floor };
        schedule.check_for(epochs).unwrap();
        let factors: Vec<f64> = (0..epochs * steps_per_epoch)
            .map(|at| Progress { epoch: at / steps_per_epoch, step: at % steps_per_epoch, steps_per_epoch, epochs })
            .map(|progress| schedule.factor(progress))
            .collect();
        let (rise, fall) = factors.split_at(warmup * steps_per_epoch);
        prop_assert!(rise.iter().all(|factor| *factor > 0.0) && rise.is_sorted_by(|a, b| a < b));
        prop_assert!(rise.last().is_none_or(|factor| *factor == 1.0) && fall[0] == 1.0);
        prop_assert!(fall.is_sorted_by(|a, b| a >= b) && fall.iter().all(|factor| *factor >= floor));
    }

    #[test]
    fn within_an_epoch_only_a_cosine_moves(
        epochs in 1_usize..20, epoch in 0_usize..20, every in 1_usize..9, gamma in 0.01..=1.0, step in 0_usize..7,
    ) {
        let at = |step| Progress { epoch, step, steps_per_epoch: 7, epochs };
        for schedule in [ScheduleSpec::Constant {}, ScheduleSpec::Step { every, gamma }] {
            prop_assert_eq!(schedule.factor(at(step)), schedule.factor(at(0)));
        }
    }
}
