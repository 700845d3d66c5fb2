//! The loader: the same batches whatever the threads, resumed epochs, errors, panics, and ends that come early.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use panal_data::{AugmentSpec, Batch, DataError, DataSource, Loader, LoaderSpec, Subset};
use proptest::prelude::*;

use crate::shared::Painted;

const TRAINING: LoaderSpec =
    LoaderSpec { views: 1, batch: 4, shuffle: true, drop_last: false, seed: 11, threads: Some(2), prefetch: 2 };

fn loader(source: Painted, spec: LoaderSpec) -> Loader {
    Loader::new(Arc::new(source), AugmentSpec::supervised(8).check().unwrap(), spec).unwrap()
}

fn all(loader: &Loader, epoch: u64) -> Vec<Batch> {
    loader.epoch(epoch).map(Result::unwrap).collect()
}

fn refusal(images: usize, spec: &LoaderSpec) -> String {
    spec.check(images).unwrap_err().to_string()
}

#[test]
fn a_batch_holds_what_the_pipeline_makes_of_its_images() {
    let loader = loader(Painted::new(11), TRAINING);
    let batches = all(&loader, 0);
    assert_eq!((batches.len(), loader.batches()), (3, 3));
    assert_eq!(batches.iter().map(|batch| batch.indices.len()).collect::<Vec<_>>(), [4, 4, 3]);
    let mut seen: Vec<usize> = batches.iter().flat_map(|batch| batch.indices.clone()).collect();
    assert_ne!(seen, (0..11).collect::<Vec<_>>());
    assert_eq!(loader.batch_indices(0).collect::<Vec<_>>().concat(), seen);
    for batch in &batches {
        assert_eq!((batch.height, batch.width, batch.pixels.len()), (8, 8, batch.indices.len() * 8 * 8 * 3));
        assert_eq!(batch.labels, batch.indices.iter().map(|&index| (index % 3) as i64).collect::<Vec<_>>());
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..11).collect::<Vec<_>>());

    // Without random steps a slot is the image alone, whatever the batch around it.
    let plain = AugmentSpec::plain(8, 8).check().unwrap();
    let source = Arc::new(Painted::new(11));
    let loader = Loader::new(source.clone(), plain.clone(), TRAINING).unwrap();
    for batch in loader.epoch(5).map(Result::unwrap) {
        for (slot, &index) in batch.pixels.chunks(8 * 8 * 3).zip(&batch.indices) {
            let mut alone = vec![0.0; 8 * 8 * 3];
            plain.apply(&source.image(index).unwrap(), &mut panal_data::keyed_rng(0, &[]), &mut alone);
            assert_eq!(slot, alone);
        }
    }
}

#[test]
fn the_second_view_can_be_made_in_another_way() {
    let plain = AugmentSpec::plain(8, 8).check().unwrap();
    let both = LoaderSpec { views: 2, ..TRAINING };
    let asymmetric = loader(Painted::new(11), both.clone()).with_second_view(plain.clone()).unwrap();
    let drawn = loader(Painted::new(11), both.clone());
    let fixed = Loader::new(Arc::new(Painted::new(11)), plain, both).unwrap();
    let place = 8 * 8 * 3;
    for ((mixed, drawn), fixed) in all(&asymmetric, 3).iter().zip(all(&drawn, 3)).zip(all(&fixed, 3)) {
        let views =
            mixed.pixels.chunks(2 * place).zip(drawn.pixels.chunks(2 * place)).zip(fixed.pixels.chunks(2 * place));
        for ((mixed, drawn), fixed) in views {
            assert_eq!(mixed[..place], drawn[..place]);
            assert_eq!(mixed[place..], fixed[place..]);
        }
    }
    let other = AugmentSpec::plain(9, 9).check().unwrap();
    let said = drawn.with_second_view(other).map(drop).unwrap_err().to_string();
    assert_eq!(said, "the second view must be 8 x 8 pixels, as the first, got 9 x 9");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn threads_and_prefetch_change_nothing(
        images in 1_usize..30, batch in 1_usize..9, seed: u64, epoch: u64, shuffle: bool, drop_last: bool,
        first in 0_usize..8,
    ) {
        let spec = LoaderSpec { views: 1, batch: batch.min(images), shuffle, drop_last, seed, threads: Some(1), prefetch: 0 };
        let reference = all(&loader(Painted::new(images), spec.clone()), epoch);
        let whole = images / spec.batch;
        prop_assert_eq!(reference.len(), if drop_last { whole } else { images.div_ceil(spec.batch) });
        for (threads, prefetch) in [(2, 1), (5, 3)] {
            let other = loader(Painted::new(images), LoaderSpec { threads: Some(threads), prefetch, ..spec.clone() });
            prop_assert_eq!(&all(&other, epoch), &reference);
            let tail: Vec<Batch> = other.epoch_from(epoch, first).map(Result::unwrap).collect();
            prop_assert_eq!(&tail, &reference[first.min(reference.len())..]);
        }
    }
}

#[test]
fn epochs_and_seeds_differ_and_repeat() {
    let ours = loader(Painted::new(20), TRAINING);
    assert_eq!(all(&ours, 1), all(&ours, 1));
    assert_ne!(all(&ours, 0)[0].indices, all(&ours, 1)[0].indices);
    let seeded = loader(Painted::new(20), LoaderSpec { seed: 12, ..TRAINING });
    assert_ne!(all(&ours, 0)[0].indices, all(&seeded, 0)[0].indices);
    // The same image in another epoch, in its place, but drawn anew.
    let ordered = loader(Painted::new(20), LoaderSpec { shuffle: false, ..TRAINING });
    let (first, second) = (all(&ordered, 0), all(&ordered, 1));
    assert_eq!(first[0].indices, second[0].indices);
    assert_ne!(first[0].pixels, second[0].pixels);
}

/// A resumed run repeats an interrupted one only while this stands.
#[test]
fn the_order_never_changes() {
    let order: Vec<usize> = loader(Painted::new(10), TRAINING).batch_indices(3).flatten().collect();
    assert_eq!(order, [5, 9, 4, 1, 8, 2, 0, 7, 3, 6]);
}

#[test]
fn an_image_draws_by_its_place_in_the_source() {
    let whole = loader(Painted::new(6), LoaderSpec { shuffle: false, ..TRAINING });
    let part = Subset::new(Arc::new(Painted::new(6)), vec![0, 1]).unwrap();
    let spec = LoaderSpec { batch: 2, shuffle: false, ..TRAINING };
    let part = Loader::new(Arc::new(part), AugmentSpec::supervised(8).check().unwrap(), spec).unwrap();
    assert_eq!(all(&part, 0)[0].pixels[..], all(&whole, 0)[0].pixels[..2 * 8 * 8 * 3]);
}

#[test]
fn impossible_specs_are_refused() {
    assert_eq!(
        refusal(244, &LoaderSpec { batch: 1000, ..TRAINING }),
        "batch must be <= the 244 training images, got 1000"
    );
    assert_eq!(refusal(244, &LoaderSpec { batch: 0, ..TRAINING }), "batch must be > 0, got 0");
    assert_eq!(refusal(244, &LoaderSpec { threads: Some(0), ..TRAINING }), "threads must be > 0, got 0");
    assert_eq!(refusal(0, &LoaderSpec::default()), "the number of images to load must be > 0, got 0");
    // In evaluation the whole set is one batch.
    for drop_last in [false, true] {
        let spec = LoaderSpec { batch: 1000, shuffle: false, drop_last, ..TRAINING };
        assert_eq!(all(&loader(Painted::new(5), spec), 0)[0].indices, [0, 1, 2, 3, 4]);
    }
}

#[test]
fn a_bad_image_ends_the_epoch_with_its_name() {
    for threads in [1, 5] {
        let source = Painted { broken: Some(6), ..Painted::new(40) };
        let loader = loader(source, LoaderSpec { shuffle: false, threads: Some(threads), ..TRAINING });
        let mut epoch = loader.epoch(0);
        assert_eq!(epoch.next().unwrap().unwrap().indices, [0, 1, 2, 3]);
        let error = epoch.next().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "cannot decode ants/6.png: it was painted so");
        assert!(epoch.next().is_none() && epoch.next().is_none());
        assert_eq!(epoch.size_hint(), (0, Some(0)));
    }
}

#[test]
fn a_panic_is_an_error_and_the_loader_goes_on() {
    let source = Painted { panics: Some(6), ..Painted::new(40) };
    let loader = loader(source, LoaderSpec { shuffle: false, ..TRAINING });
    let mut epoch = loader.epoch(0);
    assert!(epoch.next().unwrap().is_ok());
    let error = epoch.next().unwrap().unwrap_err();
    assert!(matches!(error, DataError::Internal(_)) && error.to_string().contains("fell off the ladder"), "{error}");
    assert!(epoch.next().is_none());
    assert_eq!(loader.epoch_from(0, 2).map(Result::unwrap).count(), 8);
}

#[test]
fn no_more_batches_are_made_ahead_than_was_said() {
    let source = Arc::new(Painted::new(400));
    let pipeline = AugmentSpec::plain(8, 8).check().unwrap();
    let loader = Loader::new(source.clone(), pipeline, LoaderSpec { prefetch: 3, ..TRAINING }).unwrap();
    let asked = || source.asked.load(Ordering::Relaxed);
    let mut epoch = loader.epoch(0);
    wait_until(|| asked() == 3 * 4);
    epoch.next().unwrap().unwrap();
    wait_until(|| asked() == 4 * 4);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(asked(), 4 * 4);
    drop(epoch);

    let before = asked();
    let lazy =
        Loader::new(source.clone(), AugmentSpec::plain(8, 8).check().unwrap(), LoaderSpec { prefetch: 0, ..TRAINING });
    let mut epoch = lazy.unwrap().epoch(0);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(asked(), before);
    epoch.next().unwrap().unwrap();
    assert_eq!(asked(), before + 4);
}

#[test]
fn views_lie_side_by_side_and_the_first_is_what_one_alone_would_be() {
    let augment = AugmentSpec::supervised(8).check().unwrap();
    let batches = |views| {
        let spec = LoaderSpec { views, ..TRAINING };
        let loader = Loader::new(Arc::new(Painted::new(6)), augment.clone(), spec).unwrap();
        loader.epoch(1).map(Result::unwrap).collect::<Vec<_>>()
    };
    for (one, two) in batches(1).into_iter().zip(batches(2)) {
        assert_eq!((one.views, two.views, &one.indices, &one.labels), (1, 2, &two.indices, &two.labels));
        assert_eq!(two.pixels.len(), 2 * one.pixels.len());
        for (alone, pair) in one.pixels.chunks(8 * 8 * 3).zip(two.pixels.chunks(2 * 8 * 8 * 3)) {
            assert_eq!(alone, &pair[..8 * 8 * 3]);
            assert_ne!(alone, &pair[8 * 8 * 3..], "another draw");
        }
    }
    assert_eq!(refusal(244, &LoaderSpec { views: 0, ..TRAINING }), "views must be > 0, got 0");
}

#[test]
fn an_epoch_outlives_its_loader() {
    let epoch = loader(Painted::new(40), TRAINING).epoch(0);
    assert_eq!(epoch.map(Result::unwrap).count(), 10);
}

/// Threads are counted by name, since other tests run at the same time: these have a count of their own.
#[cfg(target_os = "linux")]
#[test]
fn no_thread_stays_behind() {
    let ours = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        tasks
            .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
            .filter(|name| name.starts_with("panal-load-1") && name.trim().len() == "panal-load-1xx".len())
            .count()
    };
    for taken in [0, 3] {
        let loader = loader(Painted::new(4000), LoaderSpec { threads: Some(120), prefetch: 50, ..TRAINING });
        let mut epoch = loader.epoch(0);
        for _ in 0..taken {
            epoch.next().unwrap().unwrap();
        }
        wait_until(|| ours() == 20);
        drop(loader);
        drop(epoch);
        wait_until(|| ours() == 0);
    }
}

fn wait_until(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited for too long");
        std::thread::sleep(Duration::from_millis(2));
    }
}
