//! The cache: what it keeps, and what it does not change.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use panal_data::{AugmentSpec, Cached, DataSource, Subset};
use rayon::prelude::*;

use crate::shared::Painted;

#[test]
fn an_image_is_decoded_once_where_there_is_room() {
    let source = Arc::new(Painted::new(8));
    let cached = Cached::new(source.clone(), usize::MAX);
    for _ in 0..3 {
        for index in 0..8 {
            assert_eq!(cached.image(index).unwrap(), Painted::new(8).image(index).unwrap());
        }
    }
    assert_eq!((source.asked.load(Ordering::Relaxed), cached.kept()), (8, 8));
    assert_eq!(cached.digest().unwrap(), source.digest().unwrap());
    assert_eq!((cached.name(), cached.class_counts()), ("painted", vec![3, 3, 2]));
}

#[test]
fn the_bound_in_bytes_holds() {
    let source = Arc::new(Painted::new(5));
    // The images are 20, 21, 22 ... pixels wide and 15 high: the first two take 1,845 bytes.
    let cached = Cached::new(source.clone(), 1845);
    for index in [0, 1, 2, 3, 4, 0, 1, 2, 3, 4] {
        cached.image(index).unwrap();
    }
    assert_eq!((source.asked.load(Ordering::Relaxed), cached.kept()), (8, 2));
}

#[test]
fn many_threads_see_the_same_images() {
    let cached = Cached::new(Arc::new(Painted::new(6)), 4000);
    (0..600_usize).into_par_iter().for_each(|turn| {
        let index = turn % 6;
        assert_eq!(cached.image(index).unwrap(), Painted::new(6).image(index).unwrap());
    });
    assert!((1..=4).contains(&cached.kept()), "{}", cached.kept());
}

#[test]
fn an_error_is_not_kept() {
    let source = Arc::new(Painted { broken: Some(1), ..Painted::new(3) });
    let cached = Cached::new(source.clone(), usize::MAX);
    assert!(cached.image(1).is_err() && cached.image(1).is_err());
    assert_eq!(source.asked.load(Ordering::Relaxed), 2);
}

#[test]
fn all_images_are_decoded_at_once_and_kept_as_far_as_there_is_room() {
    let source = Arc::new(Painted::new(5));
    let cached = Cached::new(source.clone(), usize::MAX);
    let decoded = AtomicUsize::new(0);
    let count = || _ = decoded.fetch_add(1, Ordering::Relaxed);
    cached.decode_all(&count).unwrap();
    cached.image(3).unwrap();
    assert_eq!((source.asked.load(Ordering::Relaxed), cached.kept(), decoded.into_inner()), (5, 5, 5));

    // Each takes 900 to 1,080 bytes.
    let cached = Cached::new(Arc::new(Painted::new(5)), 2200);
    cached.decode_all(&|| {}).unwrap();
    assert_eq!(cached.kept(), 2);

    let broken = Arc::new(Painted { broken: Some(4), ..Painted::new(5) });
    let error = Cached::new(broken, usize::MAX).decode_all(&|| {}).unwrap_err();
    assert_eq!(error.to_string(), "cannot decode bees/4.png: it was painted so");
}

#[test]
fn of_images_without_room_the_views_are_kept_of_every_pipeline_and_are_the_same() {
    let pipelines = [(8, 6), (8, 4)].map(|(resize, crop)| AugmentSpec::plain(resize, crop).check().unwrap());
    let view = |source: &dyn DataSource, index, crop: usize| {
        let mut pixels = vec![0.0; 3 * crop * crop];
        source.view(index, &pipelines[usize::from(crop == 4)], &mut pixels).unwrap();
        pixels
    };
    let source = Arc::new(Painted::new(5));
    // Room for the first two images, and for all views of the others: 3 * (432 + 192) bytes.
    let cached = Cached::new(source.clone(), 1845).with_views(1872);
    for _ in 0..3 {
        for index in 0..5 {
            for crop in [6, 4] {
                assert_eq!(view(&cached, index, crop), view(&Painted::new(5), index, crop));
            }
        }
    }
    // Two were decoded once, and three once for each pipeline.
    assert_eq!((source.asked.load(Ordering::Relaxed), cached.kept()), (2 + 2 * 3, 2));
    let part = Subset::new(Arc::new(cached), vec![4, 0]).unwrap();
    assert_eq!(view(&part, 0, 6), view(&Painted::new(5), 4, 6));
    assert_eq!(source.asked.load(Ordering::Relaxed), 8);

    // Room for one view of four.
    let source = Arc::new(Painted::new(4));
    let cached = Cached::new(source.clone(), 0).with_views(2 * 432 - 1);
    for _ in 0..2 {
        (0..4).for_each(|index| _ = view(&cached, index, 6));
    }
    assert_eq!(source.asked.load(Ordering::Relaxed), 4 + 3);
}
