//! What an augmenter refuses, when it is made and when it is asked for views.

use panal_augment::{AugmentError, Augmenter};
use panal_data::augment::{AugmentSpec, Op, RandomApply};
use panal_data::transforms::{
    Amount, CenterCrop, Interpolation, Pad, PadMode, Padding, RandomAffine, RandomGrayscale, RandomResizedCrop,
    RandomRotation, Resize, Size,
};
use tch::Device;

use crate::{bank, pictures, spec};

fn crop() -> Op {
    Op::RandomResizedCrop(RandomResizedCrop::new(Size::Side(8)))
}

/// Where the refused step stands, its name, and why.
#[track_caller]
fn refused(ops: Vec<Op>) -> (String, &'static str, &'static str) {
    match Augmenter::new(&spec(ops), Device::Cpu) {
        Err(AugmentError::Unsupported { at, op, why }) => (at, op, why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn steps_of_the_cpu_alone_are_refused_by_name() {
    let rotation = Op::RandomRotation(RandomRotation::new(Amount::One(5.0)));
    let affine = Op::RandomAffine(RandomAffine::new(Amount::One(5.0)));
    let pad = Op::Pad(Pad { padding: Padding::All(2), fill: Default::default(), mode: PadMode::Reflect });
    let why = "it is made on the CPU only";
    assert_eq!(refused(vec![crop(), rotation.clone()]), ("ops[1]".to_owned(), "random_rotation", why));
    assert_eq!(refused(vec![crop(), pad]), ("ops[1]".to_owned(), "pad", why));
    let group =
        Op::RandomApply(RandomApply { p: 0.5, ops: vec![Op::RandomGrayscale(RandomGrayscale { p: 0.5 }), affine] });
    assert_eq!(refused(vec![crop(), group]), ("ops[1].ops[1]".to_owned(), "random_affine", why));
    let error = Augmenter::new(&spec(vec![crop(), rotation]), Device::Cpu).unwrap_err().to_string();
    assert_eq!(
        error,
        "ops[1] `random_rotation` cannot run on the device: it is made on the CPU only\n  = leave it out, or load the images \
         with panal_data::Loader, which does every step on the CPU"
    );
}

#[test]
fn the_size_is_set_once_and_first() {
    let resize = |interpolation| Op::Resize(Resize { size: Size::Both([9, 8]), interpolation });
    let smooth = || resize(Interpolation::Bilinear);
    let center = || Op::CenterCrop(CenterCrop { size: Size::Side(8) });
    let once = "the size must be set once: by resize, center_crop, both in this order, or random_resized_crop";
    assert_eq!(refused(vec![smooth(), crop()]), ("ops[1]".to_owned(), "random_resized_crop", once));
    assert_eq!(refused(vec![center(), smooth()]), ("ops[1]".to_owned(), "resize", once));
    assert_eq!(refused(vec![crop(), center()]), ("ops[1]".to_owned(), "center_crop", once));
    assert_eq!(refused(vec![smooth(), center(), center()]).0, "ops[2]");
    let first = "the size must be set before the colours change";
    let grey = Op::RandomGrayscale(RandomGrayscale { p: 0.5 });
    assert_eq!(refused(vec![grey, crop()]), ("ops[1]".to_owned(), "random_resized_crop", first));
    let how = "interpolation must be bilinear or bicubic";
    assert_eq!(refused(vec![resize(Interpolation::Nearest)]), ("ops[0]".to_owned(), "resize", how));
}

#[test]
fn a_spec_out_of_range_is_refused_as_on_the_cpu() {
    let spec = AugmentSpec { std: [0.2, 0.0, 0.2], ..AugmentSpec::simclr(32, 0.5) };
    let error = Augmenter::new(&spec, Device::Cpu).unwrap_err();
    assert_eq!(error.to_string(), "std must be three numbers > 0, got 0");
}

#[test]
fn views_of_nothing_are_refused() {
    let bank = bank(&pictures(&[(9, 9), (9, 9)]));
    let augmenter = Augmenter::new(&spec(vec![crop()]), Device::Cpu).unwrap();
    let problem = |indices: &[usize], views| augmenter.views(&bank, indices, 0, views, 0).unwrap_err().to_string();
    assert_eq!(problem(&[], 2), "the number of indices must be > 0, got 0");
    assert_eq!(problem(&[0], 0), "views must be > 0, got 0");
    assert_eq!(problem(&[1, 2], 2), "an index must be below the 2 images of the bank, got 2");
}
