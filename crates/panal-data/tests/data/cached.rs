//! The cache: what it keeps, and what it does not change.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use panal_data::{AugmentSpec, Cached, DataSource, Pipeline, Subset};
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
    cached.decode_all(&[], &count).unwrap();
    cached.image(3).unwrap();
    assert_eq!((source.asked.load(Ordering::Relaxed), cached.kept(), decoded.into_inner()), (5, 5, 5));

    // Each takes 900 to 1,080 bytes.
    let cached = Cached::new(Arc::new(Painted::new(5)), 2200);
    cached.decode_all(&[], &|| {}).unwrap();
    assert_eq!(cached.kept(), 2);

    let broken = Arc::new(Painted { broken: Some(4), ..Painted::new(5) });
    let error = Cached::new(broken, usize::MAX).decode_all(&[], &|| {}).unwrap_err();
    assert_eq!(error.to_string(), "cannot decode bees/4.png: it was painted so");
}

fn plain(crop: u32) -> Pipeline {
    AugmentSpec::plain(8, crop).check().unwrap()
}

/// What `pipeline` makes of an image of `source`.
fn view(source: &dyn DataSource, index: usize, pipeline: &Pipeline) -> Vec<f32> {
    let (height, width) = pipeline.size();
    let mut pixels = vec![0.0; 3 * (height * width) as usize];
    source.view(index, pipeline, &mut pixels).unwrap();
    pixels
}

#[test]
fn views_of_images_without_room_and_of_large_ones_are_kept_for_each_pipeline_and_are_the_same() {
    let source = Arc::new(Painted::new(5));
    // Room for the first two images; for the other's views of 432 bytes, and for all of 192, a quarter of any image.
    let cached = Cached::new(source.clone(), 1845).with_views(3 * 432 + 5 * 192);
    for _ in 0..3 {
        for index in 0..5 {
            for pipeline in [plain(6), plain(4)] {
                assert_eq!(view(&cached, index, &pipeline), view(&Painted::new(5), index, &pipeline));
            }
        }
    }
    // Two were decoded once, and three once for each pipeline.
    assert_eq!((source.asked.load(Ordering::Relaxed), cached.kept()), (2 + 2 * 3, 2));
    let part = Subset::new(Arc::new(cached), vec![4, 0]).unwrap();
    assert_eq!(view(&part, 0, &plain(6)), view(&Painted::new(5), 4, &plain(6)));
    assert_eq!(source.asked.load(Ordering::Relaxed), 8);
}

#[test]
fn the_bound_of_views_holds_from_many_threads() {
    let source = Arc::new(Painted::new(4));
    let cached = Cached::new(source.clone(), 0).with_views(3 * 432 - 1);
    let ask = || {
        (0..40).into_par_iter().for_each(|turn| {
            assert_eq!(view(&cached, turn % 4, &plain(6)), view(&Painted::new(4), turn % 4, &plain(6)));
        });
    };
    ask();
    source.asked.store(0, Ordering::Relaxed);
    ask();
    // Two of four are kept by now: the others are decoded each time.
    assert_eq!(source.asked.load(Ordering::Relaxed), 20);
}

#[test]
fn large_images_are_decoded_once_for_their_views_too() {
    let source = Arc::new(Painted::new(5));
    let cached = Cached::new(source.clone(), 0).with_views(usize::MAX);
    cached.decode_all(&[plain(4), plain(6)], &|| {}).unwrap();
    for index in 0..5 {
        assert_eq!(view(&cached, index, &plain(4)), view(&Painted::new(5), index, &plain(4)));
    }
    assert_eq!(source.asked.load(Ordering::Relaxed), 5);
    // An image is not four times as large as these.
    view(&cached, 0, &plain(6));
    assert_eq!(source.asked.load(Ordering::Relaxed), 6);
}

#[test]
fn what_a_draw_changes_is_not_kept() {
    let random = AugmentSpec::simclr(4, 1.0).check().unwrap();
    let source = Arc::new(Painted::new(2));
    let cached = Cached::new(source.clone(), 0).with_views(usize::MAX);
    cached.decode_all(std::slice::from_ref(&random), &|| {}).unwrap();
    for _ in 0..2 {
        view(&cached, 0, &random);
    }
    assert_eq!(source.asked.load(Ordering::Relaxed), 2 + 2);
}
