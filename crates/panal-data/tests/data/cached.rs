//! The cache: what it keeps, and what it does not change.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use panal_data::{Cached, DataSource};
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
